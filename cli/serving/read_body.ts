/**
 * Reads what a client sends, and no more of it than was agreed: neither bytes nor time.
 *
 * @module
 */

import { ApiError, badRequest } from "./api_error.ts";
import { type BodyLimits, type BodyReason, readBoundedBody } from "./bounded_body.ts";

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
  const bytes = await readBoundedBody(request, limits, (reason) => bodyError(reason, limits));
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

function bodyError(reason: BodyReason, { bytes }: BodyLimits): ApiError {
  return reason === "size"
    ? new ApiError(`The body must have at most ${bytes} bytes`, { status: 413, code: "request_too_large" })
    : new ApiError("The body did not arrive in time", { status: 408, code: "request_timeout" });
}
