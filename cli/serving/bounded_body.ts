/**
 * Bodies of requests, read up to a bound of bytes and, if wanted, of time: what goes beyond it is refused as
 * soon as that is known. In what words, and what the bytes mean, is left to the servers.
 *
 * @module
 */

/** How much of a body is read. */
export interface BodyLimits {
  /** Bytes. */
  readonly bytes: number;
  /** Milliseconds from the first byte to the last; without it any. */
  readonly milliseconds?: number;
}

/** Why a body is refused. */
export type BodyReason = "size" | "time";

/**
 * Reads a body, of which nothing more is read once it is refused.
 *
 * @param refuse The error for a reason.
 * @throws What `refuse` makes, if it has too many bytes or does not arrive in time.
 */
export async function readBoundedBody(
  { body, headers }: Request,
  { bytes: most, milliseconds }: BodyLimits,
  refuse: (reason: BodyReason) => Error,
): Promise<Uint8Array<ArrayBuffer>> {
  if (body === null) return new Uint8Array();
  if (Number(headers.get("content-length") ?? 0) > most) {
    await body.cancel();
    throw refuse("size");
  }
  const reader = body.getReader();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = milliseconds === undefined
    ? undefined
    : setTimeout(() => reject(refuse("time")), milliseconds);
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    while (true) {
      const { done, value } = await Promise.race([reader.read(), late]);
      if (done) break;
      length += value.length;
      if (length > most) throw refuse("size");
      parts.push(value);
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
