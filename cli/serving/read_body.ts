/**
 * Reads what a client sends, and no more of it than was agreed: neither bytes nor time.
 *
 * @module
 */

import { ApiError, badRequest } from "./api_error.ts";

/** How much is read. */
export interface BodyLimits {
  /** Bytes. */
  readonly bytes: number;
  /** Milliseconds from the first byte to the last. */
  readonly milliseconds: number;
}

/**
 * Reads a JSON object.
 *
 * @throws {ApiError} If it is none, or too large, or does not arrive in time.
 */
export async function readJsonObject(
  request: Request,
  limits: BodyLimits,
): Promise<Readonly<Record<string, unknown>>> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    // Other types can be sent by any page that a browser has open, without being asked for permission.
    throw new ApiError(
      `The content type must be application/json: current value is ${
        type === undefined ? "none" : `"${type}"`
      }`,
      { status: 415, code: "unsupported_media_type" },
    );
  }
  const bytes = await readBytes(request, limits);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw badRequest(
      `The body must be JSON in UTF-8: ${(error as Error).message}`,
      undefined,
      "invalid_json",
    );
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badRequest("The body must be a JSON object", undefined, "invalid_json");
  }
  return value as Readonly<Record<string, unknown>>;
}

async function readBytes(request: Request, { bytes: most, milliseconds }: BodyLimits): Promise<Uint8Array> {
  const tooLarge = () =>
    new ApiError(`The body must have at most ${most} bytes`, { status: 413, code: "request_too_large" });
  const { body } = request;
  if (body === null) return new Uint8Array();
  const said = Number(request.headers.get("content-length") ?? 0);
  if (said > most) {
    await body.cancel();
    throw tooLarge();
  }
  const reader = body.getReader();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new ApiError("The body did not arrive in time", { status: 408, code: "request_timeout" }));
  }, milliseconds);
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    while (true) {
      const { done, value } = await Promise.race([reader.read(), late]);
      if (done) break;
      length += value.length;
      if (length > most) throw tooLarge();
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
