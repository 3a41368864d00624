/**
 * A Hugging Face hub on this machine, with a second host that holds the large files, and with the faults that
 * real ones have.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { HubOptions } from "../../../models/hub/mod.ts";

/** What goes wrong with one answer. */
export type Fault =
  /** An answer of another kind. */
  | { status: number; headers?: Record<string, string> }
  /** The connection breaks after so many bytes of the body. */
  | { cutAfter: number }
  /** Nothing more comes after so many bytes, and the connection stays. */
  | { silentAfter: number }
  /** The body ends after so many bytes, as if that were all. */
  | { endAfter: number }
  /** More bytes than there should be. */
  | { append: number }
  /** A bit of the first byte that is sent is wrong. */
  | { flip: true }
  /** The range that was asked for is not heeded. */
  | { whole: true }
  /** The range that comes is another one. */
  | { shift: number };

/** A request as it came. */
export interface Seen {
  readonly host: "hub" | "cdn";
  readonly method: string;
  readonly path: string;
  readonly range: string | null;
  readonly token: string | null;
}

/** Content that is not the same anywhere. */
export function content(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  let state = seed;
  return Uint8Array.from({ length }, () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 16);
}

/** Lower-case hexadecimal SHA-256. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Name that git gives to a content. */
export function gitName(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

/** A hub with one repository, `owner/name`, and others where a test wants some. */
export class FakeHub implements AsyncDisposable {
  /** Folder of an empty cache. */
  readonly cache: string;
  /** The commit that `main` stands for. */
  commit = "c0ffee".padEnd(40, "0");
  /** Files of the repository. */
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();
  /** Files of other repositories, of the same commit. */
  readonly others = new Map<string, Map<string, Uint8Array<ArrayBuffer>>>();
  /** Files that are said to be larger or smaller than they are. */
  readonly sizes = new Map<string, number>();
  /** Checksums of small files that are no checksums. */
  readonly etags = new Map<string, string>();
  /** Faults of the coming answers of the hub; `undefined` for one without. */
  readonly hubFaults: (Fault | undefined)[] = [];
  /** Faults of the coming transfers of large files. */
  readonly cdnFaults: (Fault | undefined)[] = [];
  /** All requests. */
  readonly seen: Seen[] = [];
  /** Its name. */
  repository = "owner/name";
  /** Files larger than this are on the other host. */
  largeFrom = 100;
  /** Token without which nothing is given. */
  token: string | undefined;
  readonly #hub: Deno.HttpServer<Deno.NetAddr>;
  readonly #cdn: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.cache = Deno.makeTempDirSync({ prefix: "varscale-hub-" });
    const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
    this.#hub = Deno.serve(options, (request) => this.#answer("hub", request));
    this.#cdn = Deno.serve(options, (request) => this.#answer("cdn", request));
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#hub.addr.port}`;
  }

  /** Options that lead here and do not wait long. */
  options(more: HubOptions = {}): HubOptions {
    const { cache, endpoint } = this;
    return { cacheFolder: cache, endpoint, token: false, retryDelay: 1, timeout: 5000, ...more };
  }

  /** Transfers of large files so far, by their ranges. */
  get transfers(): (string | null)[] {
    return this.seen.filter(({ host }) => host === "cdn").map(({ range }) => range);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#hub.shutdown(), this.#cdn.shutdown()]);
    await Deno.remove(this.cache, { recursive: true });
  }

  #answer(host: Seen["host"], request: Request): Response {
    const { pathname, search } = new URL(request.url);
    this.seen.push({
      host,
      method: request.method,
      path: pathname + search,
      range: request.headers.get("range"),
      token: request.headers.get("authorization"),
    });
    const fault = (host === "hub" ? this.hubFaults : this.cdnFaults).shift();
    if (fault !== undefined && "status" in fault) {
      return new Response(request.method === "HEAD" ? null : "[]", fault);
    }
    if (host === "cdn") {
      const name = decodeURIComponent(pathname.slice(1));
      const holder = [this.files, ...this.others.values()].find((files) => files.has(name))!;
      return this.#body(holder.get(name)!, request, fault);
    }
    if (this.token !== undefined && request.headers.get("authorization") !== `Bearer ${this.token}`) {
      return new Response(null, { status: 401, headers: { "x-error-code": "RepoNotFound" } });
    }
    const [, kind, repository, revision = "", name = ""] =
      /^(\/api\/models)?\/([^/]+\/[^/]+)\/(?:resolve|tree)\/([^/]+)(?:\/(.*))?$/.exec(pathname) ?? [];
    const missing = (code: string): Response =>
      new Response(null, { status: 404, headers: { "x-error-code": code } });
    const files = repository === this.repository ? this.files : this.others.get(repository ?? "");
    if (files === undefined) return missing("RepoNotFound");
    if (!["main", this.commit].includes(decodeURIComponent(revision))) return missing("RevisionNotFound");
    if (kind !== undefined) return this.#list(files, new URL(request.url));
    const file = files.get(decodeURIComponent(name));
    if (file === undefined) return missing("EntryNotFound");
    const common = { "x-repo-commit": this.commit };
    if (file.length <= this.largeFrom) {
      const headers = {
        ...common,
        etag: `"${this.etags.get(name) ?? gitName(file)}"`,
        "content-length": String(this.sizes.get(name) ?? file.length),
      };
      return request.method === "HEAD" ? new Response(null, { headers }) : this.#body(file, request, fault);
    }
    return new Response(null, {
      status: 302,
      headers: {
        ...common,
        location: `http://localhost:${this.#cdn.addr.port}/${name}?signature=secret`,
        etag: '"of the redirect"',
        "x-linked-etag": `"${sha256(file)}"`,
        "x-linked-size": String(this.sizes.get(name) ?? file.length),
      },
    });
  }

  /** Two pages, as of a repository with very many files. */
  #list(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>, url: URL): Response {
    const entries = [...files].map(([path, { length }]) => ({
      type: "file",
      path,
      size: length,
      oid: "0",
    }));
    if (url.searchParams.has("cursor")) return Response.json(entries.slice(1));
    url.searchParams.set("cursor", "1");
    return Response.json([{ type: "directory", path: "docs", size: 0, oid: "0" }, ...entries.slice(0, 1)], {
      headers: { link: `<${url}>; rel="next"` },
    });
  }

  #body(file: Uint8Array<ArrayBuffer>, request: Request, fault: Fault = { cutAfter: Infinity }): Response {
    const range = "whole" in fault ? null : request.headers.get("range");
    let from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    if (range !== null && from >= file.length) return new Response(null, { status: 416 });
    if ("shift" in fault) from += fault.shift;
    let bytes = file.slice(from);
    if ("flip" in fault) bytes[0]! ^= 1;
    if ("append" in fault) bytes = new Uint8Array([...bytes, ...new Uint8Array(fault.append)]);
    const announced = bytes.length;
    if ("cutAfter" in fault) bytes = bytes.slice(0, fault.cutAfter);
    if ("silentAfter" in fault) bytes = bytes.slice(0, fault.silentAfter);
    if ("endAfter" in fault) bytes = bytes.slice(0, fault.endAfter);
    const body = new ReadableStream({
      async start(controller) {
        for (let i = 0; i < bytes.length; i += 1000) controller.enqueue(bytes.subarray(i, i + 1000));
        // Whoever cuts in the middle of a transfer has sent what came before.
        if (bytes.length < announced) await new Promise((done) => setTimeout(done, 20));
        if (!("silentAfter" in fault)) controller.close();
      },
    });
    const length = "endAfter" in fault ? bytes.length : announced;
    return new Response(body, {
      status: range === null ? 200 : 206,
      headers: {
        "content-length": String(length),
        etag: '"of the other host"',
        ...(range === null ? {} : { "content-range": `bytes ${from}-${from + length - 1}/${file.length}` }),
      },
    });
  }
}
