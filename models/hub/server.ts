/**
 * Talking to the Hugging Face hub: what it knows of a file, which files a repository has, and the bytes of
 * one from a place on. Redirects are followed by hand, so that the access token never leaves the hub, and
 * silence ends a request. What is kept of the bytes is left to the download.
 *
 * @module
 */

import { pause } from "./cache.ts";
import { HubError } from "./hub_error.ts";
import { describePlace, type HubPlace, isCommit } from "./place.ts";
import type { HubSettings } from "./settings.ts";

/** What the hub says of a file. */
export interface RemoteFile {
  readonly place: HubPlace;
  readonly name: string;
  /** The commit that the revision of the place stands for. */
  readonly commit: string;
  readonly bytes: number;
  /** Checksum: the SHA-256 of large files, the object name in git of others. */
  readonly etag: string;
}

/** More than any honest chain of redirects has. */
const MAX_REDIRECTS = 10;
/** Milliseconds; whoever is asked to wait longer wants to decide that himself. */
const MAX_RETRY_AFTER = 300_000;

/** The hub, as one set of settings sees it. */
export class HubServer {
  readonly #settings: HubSettings;

  /** @param settings Where the hub is and who asks. */
  constructor(settings: HubSettings) {
    this.#settings = settings;
  }

  /**
   * Asks for size, checksum and commit of a file. For a large file they stand in the redirect to the host
   * that holds it, which is not followed: that host would tell of its own copy.
   */
  async describe(place: HubPlace, name: string, retries: number): Promise<RemoteFile> {
    const subject = `${name} of ${describePlace(place)}`;
    const headers = { "accept-encoding": "identity" };
    const facts: Record<"commit" | "etag" | "bytes", string | null> = {
      commit: null,
      etag: null,
      bytes: null,
    };
    const learn = (from: Headers): boolean => {
      facts.commit ??= from.get("x-repo-commit");
      facts.etag ??= from.get("x-linked-etag");
      facts.bytes ??= from.get("x-linked-size");
      return Object.values(facts).every((fact) => fact !== null);
    };
    await this.#repeat(retries, async () => {
      const url = this.#address(place, place.revision, name);
      using answer = await this.#request(url, subject, { method: "HEAD", headers, enough: learn });
      const { status, headers: last } = answer.response;
      if (status >= 400) throw this.#refusal(answer, place, subject);
      facts.etag ??= last.get("etag");
      facts.bytes ??= last.get("content-length");
    });
    const commit = facts.commit ?? "";
    const bytes = facts.bytes ?? "";
    const etag = facts.etag?.replace(/^W\//, "").replaceAll('"', "") ?? "";
    // The commit and the checksum become names of files, so they must be nothing else.
    if (!isCommit(commit) || !/^\w[\w.-]*$/.test(etag) || !/^\d+$/.test(bytes)) {
      throw new HubError(
        "corrupt",
        `Cannot download ${subject}: ${this.#settings.endpoint.host} does not answer like a Hugging Face hub, ` +
          `without a commit, a checksum or a size of the file`,
      );
    }
    return { place, name, commit, bytes: Number(bytes), etag };
  }

  /**
   * Asks for the bytes of a file from an offset on. The answer's status is 206 for that, 200 if the whole
   * file comes, 416 if the file has no such bytes.
   */
  async open(file: RemoteFile, offset: number): Promise<Answer> {
    const { place, commit, name } = file;
    const subject = `${name} of ${describePlace(place)}`;
    const headers = {
      "accept-encoding": "identity",
      ...(offset === 0 ? {} : { range: `bytes=${offset}-` }),
    };
    const answer = await this.#request(this.#address(place, commit, name), subject, { headers });
    if ([200, 206, 416].includes(answer.response.status)) return answer;
    using _done = answer;
    throw this.#refusal(answer, place, subject);
  }

  /** Asks for the names of all files. */
  async names(place: HubPlace, retries: number): Promise<string[]> {
    const subject = `the list of files of ${describePlace(place)}`;
    const { listFiles } = await import("npm:@huggingface/hub@2.17.5");
    const get = (input: string | URL | Request): Promise<Response> =>
      this.#repeat(retries, async () => {
        using answer = await this.#request(new URL(String(input)), subject, {});
        if (!answer.response.ok) throw this.#refusal(answer, place, subject);
        const chunks = await Array.fromAsync(answer.chunks());
        return new Response(new Blob(chunks), { headers: answer.response.headers });
      });
    const names: string[] = [];
    const { repository, revision } = place;
    const entries = listFiles({
      repo: { type: "model", name: repository },
      revision: encodeURIComponent(revision),
      recursive: true,
      hubUrl: this.#base(),
      fetch: get,
    });
    for await (const { type, path } of entries) {
      if (type === "file") names.push(path);
    }
    return names;
  }

  #base(): string {
    return this.#settings.endpoint.href.replace(/\/+$/, "");
  }

  #address({ repository }: HubPlace, revision: string, name: string): URL {
    const path = name.split("/").map(encodeURIComponent).join("/");
    return new URL(`${this.#base()}/${repository}/resolve/${encodeURIComponent(revision)}/${path}`);
  }

  async #repeat<Value>(retries: number, action: () => Promise<Value>): Promise<Value> {
    const patience = new Patience({ ...this.#settings, retries });
    while (true) {
      try {
        return await action();
      } catch (error) {
        await patience.after(error);
      }
    }
  }

  /**
   * Sends a request and those that it is redirected to, until `enough` is satisfied with the headers of one.
   */
  async #request(
    url: URL,
    subject: string,
    options: { method?: string; headers?: Record<string, string>; enough?: (headers: Headers) => boolean },
  ): Promise<Answer> {
    const { method = "GET", enough = () => false } = options;
    const headers = new Headers(options.headers);
    const { token, endpoint, signal, timeout } = this.#settings;
    if (token !== undefined && url.origin === endpoint.origin) {
      headers.set("authorization", `Bearer ${token}`);
    }
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const answer = await Answer.to(url, { method, headers, subject, signal, timeout });
      const { response } = answer;
      const failed = response.status >= 400;
      const location = response.status >= 300 && !failed ? response.headers.get("location") : null;
      if (failed || enough(response.headers) || location === null) return answer;
      answer[Symbol.dispose]();
      const next = URL.parse(location, url);
      if (next === null || !/^https?:$/.test(next.protocol)) {
        throw new HubError("unreachable", `Cannot download ${subject}: it is redirected to no web address`);
      }
      // Whoever could send a request back to the hub must not have it sent with the token.
      if (next.origin !== endpoint.origin) headers.delete("authorization");
      url = next;
    }
    throw new HubError("unreachable", `Cannot download ${subject}: more than ${MAX_REDIRECTS} redirects`);
  }

  #refusal({ response, url }: Answer, place: HubPlace, subject: string): HubError {
    const { status } = response;
    const { endpoint, token } = this.#settings;
    const fromHub = url.origin === endpoint.origin;
    const code = response.headers.get("x-error-code") ?? "";
    const page = `${this.#base()}/${place.repository}`;
    const answered = `Cannot download ${subject}: ${url.host} answered ${status}`;
    // Addresses on other hosts are good for a while only, so the next one may do.
    if (fromHub && (status === 401 || status === 403)) {
      const who = token === undefined
        ? "without a token"
        : "with the token that is set, which may be out of date";
      const cure = code === "GatedRepo"
        ? `accept the licence at ${page} and set HF_TOKEN to a token of that account`
        : `if ${place.repository} exists, set HF_TOKEN to a token that may read it, and accept its licence at ${page} if it has one`;
      return new HubError("denied", `${answered} ${who}; ${cure}`);
    }
    if (fromHub && (status === 404 || status === 410)) {
      const missing: Record<string, string> = {
        RepoNotFound:
          `there is no repository ${place.repository}, or it is private: check the name, or set HF_TOKEN`,
        RevisionNotFound: `the repository has no revision "${place.revision}"`,
        EntryNotFound: "the repository has no such file",
      };
      return new HubError(
        "missing",
        `${answered}; ${missing[code] ?? "there is no such repository, revision or file"}`,
      );
    }
    const retryAfter = parseRetryAfter(response.headers.get("retry-after"));
    if (retryAfter === undefined) return new HubError("unreachable", answered);
    const message = `${answered} and wants to be asked again in ${Math.ceil(retryAfter / 1000)} s`;
    return new HubError("unreachable", message, { retryAfter });
  }
}

/** An answer whose body is still to come; disposing it ends the request. */
export class Answer implements Disposable {
  /** Status and headers; the body is read by {@linkcode Answer.chunks}. */
  readonly response: Response;
  /** The address that answered. */
  readonly url: URL;
  readonly #watch: Watch;

  private constructor(response: Response, url: URL, watch: Watch) {
    this.response = response;
    this.url = url;
    this.#watch = watch;
  }

  /** Sends one request. */
  static async to(
    url: URL,
    options: {
      method: string;
      headers: Headers;
      subject: string;
      signal: AbortSignal | undefined;
      timeout: number;
    },
  ): Promise<Answer> {
    const { method, headers, subject, signal, timeout } = options;
    const watch = new Watch(`Cannot download ${subject}: ${url.host}`, timeout, signal);
    try {
      const response = await watch.over(
        "did not answer",
        (signal) => fetch(url, { method, headers, signal, redirect: "manual" }),
      );
      return new Answer(response, url, watch);
    } catch (error) {
      watch.end();
      throw error;
    }
  }

  /** The body. */
  async *chunks(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const reader = this.response.body?.getReader();
    while (reader !== undefined) {
      const { done, value } = await this.#watch.over("broke off", () => reader.read());
      if (done) return;
      yield value;
    }
  }

  [Symbol.dispose](): void {
    this.#watch.end();
  }
}

/**
 * Ends a request when its server has been silent for too long or the caller does not want it any more, and
 * says which it was.
 */
class Watch {
  readonly #who: string;
  readonly #timeout: number;
  readonly #controller = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #abort = (): void => this.#controller.abort();
  #silent = false;

  constructor(who: string, timeout: number, signal: AbortSignal | undefined) {
    this.#who = who;
    this.#timeout = timeout;
    this.#signal = signal;
    signal?.throwIfAborted();
    signal?.addEventListener("abort", this.#abort);
  }

  /** Waits for one step; `failure` says what the server did if it fails. */
  async over<Value>(failure: string, step: (signal: AbortSignal) => Promise<Value>): Promise<Value> {
    const timer = setTimeout(() => {
      this.#silent = true;
      this.#abort();
    }, this.#timeout);
    try {
      return await step(this.#controller.signal);
    } catch (error) {
      this.#signal?.throwIfAborted();
      if (error instanceof Deno.errors.NotCapable) throw error;
      const { message } = (error as Error).cause instanceof Error
        ? (error as Error).cause as Error
        : error as Error;
      // Addresses of files on other hosts are signed and would let whoever reads the message have the file.
      const reason = this.#silent
        ? `was silent for ${this.#timeout / 1000} s`
        : `${failure} (${message.replace(/ for url \(\S*\)/, "")})`;
      throw new HubError("unreachable", `${this.#who} ${reason}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  end(): void {
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#abort();
  }
}

/** How often and how fast something that failed is tried again. */
export class Patience {
  readonly #settings: HubSettings;
  #failures = 0;

  /** @param settings How often, and after how long. */
  constructor(settings: HubSettings) {
    this.#settings = settings;
  }

  /** There was progress: earlier failures do not count any more. */
  renew(): void {
    this.#failures = 0;
  }

  /** Waits after a failure, or throws it if it is not worth another try. */
  async after(error: unknown): Promise<void> {
    const { retries, retryDelay, signal } = this.#settings;
    const transient = error instanceof HubError && error.reason === "unreachable";
    if (!transient || this.#failures >= retries || (error.retryAfter ?? 0) > MAX_RETRY_AFTER) throw error;
    const delay = retryDelay * 2 ** this.#failures++;
    await pause(Math.max(delay, error.retryAfter ?? 0), signal);
  }
}

/** Milliseconds of a `Retry-After` header: seconds or a date. */
function parseRetryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const milliseconds = /^\d+$/.test(header) ? 1000 * Number(header) : Date.parse(header) - Date.now();
  return Number.isNaN(milliseconds) ? undefined : Math.max(0, milliseconds);
}
