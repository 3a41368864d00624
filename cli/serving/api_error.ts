/**
 * What is answered where a request cannot be done, in the shape that clients of OpenAI's interface read:
 * `{ "error": { message, type, param, code } }`.
 *
 * @module
 */

/** What a client is told beside the message. */
export interface ApiErrorFacts {
  /** Status of the response. */
  readonly status: number;
  /** A word for programs, or `null`. */
  readonly code?: string;
  /** Which part of the request is wrong, or `null`. */
  readonly param?: string;
  /** Further headers of the response. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request that cannot be done. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string | null;
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  /** @param message What a person should know. @param facts What a program should. */
  constructor(message: string, { status, code, param, headers = {} }: ApiErrorFacts) {
    super(message);
    this.status = status;
    this.code = code ?? null;
    this.param = param ?? null;
    this.headers = headers;
  }

  /** The kind of error, by which clients choose the class that they throw. */
  get type(): string {
    if (this.status === 429) return "rate_limit_error";
    return this.status >= 500 ? "server_error" : "invalid_request_error";
  }

  /** The body of the response. */
  body(): { readonly error: Readonly<Record<"message" | "type" | "param" | "code", string | null>> } {
    const { message, type, param, code } = this;
    return { error: { message, type, param, code } };
  }

  /** The response. */
  response(): Response {
    return Response.json(this.body(), { status: this.status, headers: this.headers });
  }
}

/** A request whose content is wrong. */
export function badRequest(message: string, param?: string, code?: string): ApiError {
  return new ApiError(message, {
    status: 400,
    ...(param !== undefined && { param }),
    ...(code !== undefined && { code }),
  });
}
