/**
 * What a download depends on beside the file: where the hub is, where the cache lies, who asks. Options
 * decide, then the environment as the hub's own libraries read it, then their defaults.
 *
 * @module
 */

import { join, resolve } from "node:path";
import { mustBe, requireInteger, requireOptions } from "../../kernels/arguments.ts";
import { homeFolder } from "./place.ts";

/** How far a file has come. */
export interface DownloadProgress {
  /** Name of the file in its repository. */
  readonly file: string;
  /** Bytes that are on the disk. */
  readonly bytes: number;
  /** Size of the file in bytes. */
  readonly total: number;
  /** Set while bytes are read that were there already, to compare their checksum. */
  readonly checking?: true;
}

/** Options of everything that is got from the Hugging Face hub. */
export interface HubOptions {
  /**
   * Folder of the cache, which Python's `huggingface_hub` shares; by default `$HF_HUB_CACHE`, `$HF_HOME/hub`,
   * `$XDG_CACHE_HOME/huggingface/hub` or `~/.cache/huggingface/hub`, whichever is set first.
   */
  cacheFolder?: string | undefined;
  /**
   * Access token, which is sent to the hub and to no other host; `false` for none. By default `$HF_TOKEN`, or
   * what the hub's own login has left in `$HF_TOKEN_PATH` or `$HF_HOME/token`.
   */
  token?: string | false | undefined;
  /** Address of the hub; `$HF_ENDPOINT` or `https://huggingface.co` by default. */
  endpoint?: string | URL | undefined;
  /** Take files from the cache only; by default if `$HF_HUB_OFFLINE` is set. */
  offline?: boolean | undefined;
  /**
   * Milliseconds of silence after which a transfer counts as broken; `$HF_HUB_DOWNLOAD_TIMEOUT` (seconds) or
   * 10 s by default.
   */
  timeout?: number | undefined;
  /** How often in a row a request may fail without a new byte, beyond the first time; 4 by default. */
  retries?: number | undefined;
  /**
   * Milliseconds before the first repetition, doubled each time; 500 by default. A server may ask for more.
   */
  retryDelay?: number | undefined;
  /** Called whenever bytes have come. */
  onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Ends the download; what has come stays and is not fetched again. */
  signal?: AbortSignal | undefined;
}

/** Names of all options, to tell a misspelt one. */
const OPTIONS = [
  ...["cacheFolder", "token", "endpoint", "offline", "timeout", "retries", "retryDelay"] as const,
  ...["onProgress", "signal"] as const,
] satisfies (keyof HubOptions)[];

/** Options with all defaults filled in. */
export interface HubSettings {
  readonly cacheFolder: string;
  readonly token: string | undefined;
  readonly endpoint: URL;
  readonly offline: boolean;
  readonly timeout: number;
  readonly retries: number;
  readonly retryDelay: number;
  readonly onProgress: (progress: DownloadProgress) => void;
  readonly signal: AbortSignal | undefined;
}

/**
 * Fills in what the options leave out. Variables that this program may not read count as not set; nobody is
 * prompted for them.
 *
 * @throws {TypeError} If an option is unknown, or nothing tells where the cache lies.
 */
export async function hubSettings(options: HubOptions): Promise<HubSettings> {
  requireOptions(options, OPTIONS, "use the Hugging Face hub");
  const { retries = 4, retryDelay = 500, onProgress = () => {}, signal } = options;
  const { timeout = 1000 * (Number(variable("HF_HUB_DOWNLOAD_TIMEOUT")) || 10) } = options;
  for (const [name, value] of Object.entries({ timeout, retries, retryDelay })) {
    requireInteger(value, name, "use the Hugging Face hub", { min: name === "timeout" ? 1 : 0 });
  }
  const token = options.token ?? variable("HF_TOKEN") ?? variable("HUGGING_FACE_HUB_TOKEN") ??
    await storedToken();
  return {
    cacheFolder: resolve(options.cacheFolder ?? defaultCacheFolder()),
    token: token === false ? undefined : token?.trim() || undefined,
    endpoint: endpoint(options.endpoint ?? variable("HF_ENDPOINT") ?? "https://huggingface.co"),
    offline: options.offline ?? /^(1|on|yes|true)$/i.test(variable("HF_HUB_OFFLINE") ?? ""),
    timeout,
    retries,
    retryDelay,
    onProgress,
    signal,
  };
}

function endpoint(address: string | URL): URL {
  const url = URL.parse(String(address));
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(
      mustBe("an http or https address", address, "its endpoint", "use the Hugging Face hub"),
    );
  }
  return url;
}

/** A variable of the environment, if it is set and may be read. An empty one counts as not set. */
function variable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) || undefined : undefined;
}

/** The folder of everything that the hub's libraries keep. */
function hubHome(): string | undefined {
  const own = pathVariable("HF_HOME");
  if (own !== undefined) return own;
  const user = homeFolder();
  const cache = pathVariable("XDG_CACHE_HOME") ?? (user === undefined ? undefined : join(user, ".cache"));
  return cache === undefined ? undefined : join(cache, "huggingface");
}

function defaultCacheFolder(): string {
  const folder = hubHome();
  const cache = pathVariable("HF_HUB_CACHE") ?? pathVariable("HUGGINGFACE_HUB_CACHE") ??
    (folder === undefined ? undefined : join(folder, "hub"));
  if (cache !== undefined) return cache;
  const user = Deno.build.os === "windows" ? "USERPROFILE" : "HOME";
  throw new TypeError(
    "Cannot tell where the cache of the Hugging Face hub lies as no variable that says so is set and may be read: " +
      `allow it with --allow-env=${user},HF_HOME,HF_HUB_CACHE,HF_TOKEN or give cacheFolder`,
  );
}

/** A path of the environment, with `~` and other variables in it replaced, as Python's libraries do. */
function pathVariable(name: string): string | undefined {
  return variable(name)
    ?.replace(/^~(?=$|[/\\])/, () => homeFolder() ?? "~")
    .replace(
      /\$(?:(\w+)|\{(\w+)\})/g,
      (whole, plain?: string, braced?: string) => variable(plain ?? braced!) ?? whole,
    );
}

/** What the hub's login has stored, if it may be read. */
async function storedToken(): Promise<string | undefined> {
  const folder = hubHome();
  const path = pathVariable("HF_TOKEN_PATH") ?? (folder === undefined ? undefined : join(folder, "token"));
  if (path === undefined) return undefined;
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") return undefined;
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
