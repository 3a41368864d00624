/**
 * A bucket of Amazon S3, or of a store that speaks as S3 does, as the place of a long run. Credentials,
 * region and endpoint are those of the environment, as every program of AWS finds them. A store has no locks:
 * two processes with the same part make the same bytes twice.
 *
 * @module
 */

import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  S3Client,
} from "npm:@aws-sdk/client-s3@3.1175.0";
import { UsageError } from "../io.ts";
import type { SeriesPlace } from "./series_place.ts";

/** Where a client looks for an endpoint that is not Amazon's. */
const ENDPOINT_VARIABLES = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"] as const;
/** Where it looks for the region. */
const REGION_VARIABLES = ["AWS_REGION", "AWS_DEFAULT_REGION"] as const;
/** Milliseconds after which an endpoint that does not take a connection counts as not there. */
const CONNECTION_TIMEOUT = 5000;
/** Bytes of a PNG file at least: its signature, header and end. */
const LEAST_BYTES = 57;
/** Types of content by the ends of names. */
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  json: "application/json",
  jsonl: "application/x-ndjson",
  png: "image/png",
};

/** What a bucket is called, and where in it the files are: empty, or ending in a slash. */
export interface BucketAddress {
  readonly bucket: string;
  readonly prefix: string;
}

/**
 * Reads an address like `s3://bucket/prefix`.
 *
 * @throws {UsageError} If it is none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(bucketAddress("s3://pictures/demo/"), { bucket: "pictures", prefix: "demo/" });
 * ```
 */
export function bucketAddress(text: string): BucketAddress {
  const [, bucket, path = ""] = /^s3:\/\/([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])(?:\/(.*))?$/is.exec(text) ?? [];
  const parts = path.replace(/\/+$/, "").split("/");
  const empty = path !== "" && parts.some((part) => part === "" || part === "." || part === "..");
  if (bucket === undefined || empty) {
    throw new UsageError(
      `Option --output must be a folder or a place like "s3://bucket/prefix": current value is "${text}"`,
    );
  }
  const prefix = parts.join("/");
  return { bucket, prefix: prefix === "" ? "" : `${prefix}/` };
}

/** Files of a bucket, below a prefix. */
export class S3Place implements SeriesPlace {
  readonly name: string;
  readonly #address: BucketAddress;
  readonly #client: S3Client;
  readonly #signal: AbortSignal;

  private constructor(address: BucketAddress, client: S3Client, signal: AbortSignal) {
    this.#address = address;
    this.#client = client;
    this.#signal = signal;
    this.name = `s3://${address.bucket}/${address.prefix}`.replace(/\/$/, "");
  }

  /**
   * Reaches the bucket.
   *
   * @param output Its address.
   * @param signal Ends what is being asked for.
   * @throws {UsageError} If it cannot be reached, is not there, or nobody may read it with these credentials.
   */
  static async open(output: string, signal: AbortSignal): Promise<S3Place> {
    const address = bucketAddress(output);
    const endpoint = variableOf(ENDPOINT_VARIABLES);
    if (endpoint !== undefined && !/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) {
      throw new UsageError(
        `Variable ${
          ENDPOINT_VARIABLES.find((name) => Deno.env.get(name))
        } must be an address like "https://store.example.org": current value is "${endpoint}"`,
      );
    }
    const client = new S3Client({
      region: variableOf(REGION_VARIABLES) ?? "us-east-1",
      // Stores of others seldom have a domain for each bucket.
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
      requestHandler: { connectionTimeout: CONNECTION_TIMEOUT },
    });
    const place = new S3Place(address, client, signal);
    try {
      await place.#list({ MaxKeys: 1 });
    } catch (error) {
      client.destroy();
      throw error;
    }
    return place;
  }

  async read(file: string): Promise<string | undefined> {
    return await this.#asked("read", file, async () => {
      try {
        const { Body } = await this.#client.send(new GetObjectCommand(this.#object(file)), this.#options);
        return await Body!.transformToString();
      } catch (error) {
        if ((error as Error).name === "NoSuchKey") return undefined;
        throw error;
      }
    });
  }

  async write(file: string, content: Uint8Array<ArrayBuffer> | string): Promise<void> {
    const Body = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const ContentType = CONTENT_TYPES[file.split(".").at(-1)!] ?? "application/octet-stream";
    await this.#asked("write", file, async () => {
      await this.#client.send(
        new PutObjectCommand({ ...this.#object(file), Body, ContentType, ContentLength: Body.length }),
        this.#options,
      );
    });
  }

  folder(_path: string): Promise<void> {
    return Promise.resolve();
  }

  async remove(file: string): Promise<void> {
    await this.#asked("remove", file, async () => {
      await this.#client.send(new DeleteObjectCommand(this.#object(file)), this.#options);
    });
  }

  async *names(): AsyncGenerator<string> {
    const { prefix } = this.#address;
    for await (const { Contents = [], CommonPrefixes = [] } of this.#pages({ Delimiter: "/" })) {
      for (const { Key = "" } of Contents) yield Key.slice(prefix.length);
      for (const { Prefix = "" } of CommonPrefixes) yield Prefix.slice(prefix.length, -1);
    }
  }

  async whole(files: readonly string[]): Promise<ReadonlySet<string>> {
    const wanted = new Set(files);
    const there = new Set<string>();
    for await (const { Contents = [] } of this.#pages({})) {
      for (const { Key = "", Size = 0 } of Contents) {
        const file = Key.slice(this.#address.prefix.length);
        // An object is there when all of it is; one without content is somebody else's mark of a folder.
        if (Size >= LEAST_BYTES && wanted.has(file)) there.add(file);
      }
    }
    return there;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
    return Promise.resolve();
  }

  get #options(): { readonly abortSignal: AbortSignal } {
    return { abortSignal: this.#signal };
  }

  #object(file: string): { readonly Bucket: string; readonly Key: string } {
    const { bucket, prefix } = this.#address;
    return { Bucket: bucket, Key: `${prefix}${file}` };
  }

  async *#pages(request: { readonly Delimiter?: string }): AsyncGenerator<ListObjectsV2CommandOutput> {
    let page: ListObjectsV2CommandOutput | undefined;
    do {
      const token = page?.NextContinuationToken;
      page = await this.#list({ ...request, ...(token === undefined ? {} : { ContinuationToken: token }) });
      yield page;
    } while (page.IsTruncated);
  }

  #list(
    request: { readonly Delimiter?: string; readonly ContinuationToken?: string; readonly MaxKeys?: number },
  ): Promise<ListObjectsV2CommandOutput> {
    const { bucket, prefix } = this.#address;
    return this.#asked("list", "", () => {
      const command = new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ...request });
      return this.#client.send(command, this.#options);
    });
  }

  /** What the store answers; what it refuses is told in a sentence that names the place. */
  async #asked<Answer>(action: string, file: string, ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await ask();
    } catch (error) {
      this.#signal.throwIfAborted();
      const place = file === "" ? this.name : `${this.name}/${file}`;
      throw refusalOf(error as Refusal, `Cannot ${action} ${place}`, this.#address.bucket);
    }
  }
}

/** What a client of AWS throws. */
interface Refusal extends Error {
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** What is wrong with the command line or its environment, and what with the store. */
function refusalOf(error: Refusal, action: string, bucket: string): Error {
  const { name, code, message, $metadata } = error;
  const status = $metadata?.httpStatusCode;
  const usage = (why: string): UsageError => new UsageError(`${action}: ${why}`, { cause: error });
  if (name === "NoSuchBucket") return usage(`there is no bucket "${bucket}"`);
  if (name === "CredentialsProviderError") {
    return usage("no credentials are given; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE");
  }
  if (status === 401 || status === 403) {
    return usage(`the store refuses these credentials: ${message || name}`);
  }
  if (name === "PermanentRedirect" || status === 301) {
    return usage(`the bucket "${bucket}" is in another region; set AWS_REGION`);
  }
  if (
    /^(ENOTFOUND|ECONNREFUSED|EAI_AGAIN|EHOSTUNREACH|ETIMEDOUT)$/.test(code ?? "") || name === "TimeoutError"
  ) {
    return usage(`the store cannot be reached: ${message || code || name}`);
  }
  return new Error(`${action}: ${message || name}`, { cause: error });
}

/** The first of some variables that is set. */
function variableOf(names: readonly string[]): string | undefined {
  return names.map((name) => Deno.env.get(name)).find((value) => value !== undefined && value !== "");
}
