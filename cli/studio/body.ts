/**
 * Bodies of requests, read up to a bound: what is longer is refused as soon as that is known.
 *
 * @module
 */

import { size } from "../output/units.ts";
import { readBoundedBody } from "../serving/bounded_body.ts";

/** A request that cannot be answered as it is asked. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  /** Status of the answer. */
  readonly status: number;

  /**
   * @param status Status of the answer.
   * @param message What is wrong with it.
   */
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Reads a body.
 *
 * @throws {RequestError} If it has more bytes than `limit`.
 */
export async function readBody(request: Request, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLong = (): RequestError => new RequestError(413, `The body must have at most ${size(limit)}`);
  return await readBoundedBody(request, { bytes: limit }, tooLong);
}

/**
 * Reads a body that is JSON.
 *
 * @throws {RequestError} If it is too long, or none.
 */
export async function readJsonBody(request: Request, limit: number): Promise<unknown> {
  const type = request.headers.get("content-type")?.split(";", 1)[0]?.trim();
  if (type !== "application/json") throw new RequestError(415, "The body must be application/json");
  const bytes = await readBody(request, limit);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new RequestError(400, "The body must be JSON");
  }
}
