/**
 * The door to ONNX Runtime's native build for the CPU: where its library lies, whether it may be used, and a
 * runtime made of it. Sessions are left to `native_graph_session.ts`.
 *
 * The package, onnxruntime-node, has 113 MB, so it is fetched when somebody asks for it and not before. Its
 * JavaScript is not used: an import would write the package into the lock file of whoever runs this, so that
 * everybody downloads it from then on, and fails where a lock file may not change. The library alone is
 * linked, from where Deno has put it, beside the runtime for the web; that takes 5 ms and one permission,
 * `ffi`.
 *
 * @module
 */

import { dirname, join } from "node:path";
import process from "node:process";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import type * as Ort from "npm:onnxruntime-web@1.30.0";

/** The package; a change of its version may change what {@linkcode Library} says. */
export const NATIVE_PACKAGE: string = "npm:onnxruntime-node@1.30.0";

/** Bytes that are downloaded for it, and that it takes on the disk with its libraries for five systems. */
export const NATIVE_BYTES = { download: 113_507_888, disk: 301_068_136 } as const;

/** In a variable, as Deno fetches every package whose name it finds in an import. */
const MANIFEST: string = `${NATIVE_PACKAGE}/package.json`;

/** Level of messages that the library prints: fatal ones. All others come as exceptions, too. */
const FATAL = 4;

/** What goes into a session and comes out. */
export interface NativeTensor {
  /** Type of the elements. */
  readonly type: string;
  /** Elements; those of `"float16"` go in as words of 16 bits. */
  readonly data: ArrayBufferView;
  /** Shape. */
  readonly dims: readonly number[];
  /** Where the elements lie. */
  readonly location: "cpu";
}

/** A graph as the library holds it. */
interface LibrarySession {
  readonly outputMetadata: readonly { readonly name: string }[];
  loadModel(
    buffer: ArrayBufferLike,
    offset: number,
    length: number,
    options: Ort.InferenceSession.SessionOptions,
  ): void;
  run(
    feeds: Readonly<Record<string, NativeTensor>>,
    fetches: Readonly<Record<string, NativeTensor | null>>,
    options: Ort.InferenceSession.RunOptions,
  ): Record<string, NativeTensor>;
  dispose(): void;
}

/** What the library exports. */
interface Library {
  readonly InferenceSession: new () => LibrarySession;
  initOrtOnce(logLevel: number, tensor: typeof ResultTensor, isMainThread: boolean): void;
}

/** What the library makes its results with. */
class ResultTensor implements NativeTensor {
  readonly type: string;
  readonly data: ArrayBufferView;
  readonly dims: readonly number[];
  readonly location = "cpu";

  constructor(type: string, data: ArrayBufferView, dims: readonly number[]) {
    const { buffer, byteOffset, byteLength } = data;
    this.type = type;
    this.data = type === "float16" ? new Float16Array(buffer, byteOffset, byteLength / 2) : data;
    this.dims = dims;
  }
}

/** A graph that is loaded. */
export class NativeSession {
  readonly #session: LibrarySession;
  /** Names of what it computes. */
  readonly outputNames: readonly string[];

  /** Takes over a graph that is loaded. */
  constructor(session: LibrarySession) {
    this.#session = session;
    this.outputNames = session.outputMetadata.map(({ name }) => name);
  }

  /** Runs the graph, one turn of the event loop later, which stands still meanwhile. */
  async run(
    feeds: Readonly<Record<string, NativeTensor>>,
    wanted: readonly string[],
    options: Ort.InferenceSession.RunOptions,
  ): Promise<Record<string, NativeTensor>> {
    await setImmediate();
    return this.#session.run(feeds, Object.fromEntries(wanted.map((name) => [name, null])), options);
  }

  /** Unloads the graph. */
  release(): void {
    this.#session.dispose();
  }
}

/** The library, ready to load graphs. */
export class NativeRuntime {
  readonly #library: Library;

  /** Links the library at a path. */
  constructor(path: string) {
    const module = { exports: {} as Library };
    process.dlopen(module, path);
    this.#library = module.exports;
    this.#library.initOrtOnce(FATAL, ResultTensor, isMainThread);
  }

  /** Loads a graph, one turn of the event loop later, which stands still meanwhile. */
  async load(
    { buffer, byteOffset, byteLength }: Uint8Array,
    options: Ort.InferenceSession.SessionOptions,
  ): Promise<NativeSession> {
    await setImmediate();
    const session = new this.#library.InferenceSession();
    session.loadModel(buffer, byteOffset, byteLength, options);
    return new NativeSession(session);
  }
}

let runtime: NativeRuntime | undefined;

/**
 * Starts the runtime, if it has not been started; fetches its package before if it is not there.
 *
 * @throws {Error} If that cannot be done, with what to do about it.
 */
export async function startNativeRuntime(): Promise<NativeRuntime> {
  if (runtime !== undefined) return runtime;
  const folder = packageFolder();
  const there = await isThere(folder);
  if (there) return await linkRuntime(folder);
  if (there === undefined) {
    // It may be there, and linking it needs no permission to look.
    try {
      return await linkRuntime(folder);
    } catch (error) {
      if (isForbidden((error as Error).cause)) throw error;
    }
  }
  try {
    await import(MANIFEST, { with: { type: "json" } });
  } catch (cause) {
    refuse(`${firstLine(cause)}; "deno cache --no-lock ${NATIVE_PACKAGE}" fetches it`, cause);
  }
  return await linkRuntime(packageFolder());
}

/** Why the runtime does not start by itself. */
export interface NativeProblem {
  /** Whether its library is absent, forbidden, or there and does not load, which nobody would expect. */
  readonly cause: "absent" | "forbidden" | "broken";
  /** The same in words. */
  readonly reason: string;
}

/**
 * Starts the runtime if its library is there and allowed; nothing is fetched, and nobody is asked for a
 * permission.
 *
 * @returns What prevents that, or `undefined` if it has started.
 */
export async function tryNativeRuntime(): Promise<NativeProblem | undefined> {
  if (runtime !== undefined) return undefined;
  const folder = packageFolder();
  const there = await isThere(folder);
  if (there === false) return { cause: "absent", reason: "the native library is not there" };
  if (!await isGranted({ name: "ffi", path: libraryIn(folder) })) {
    return { cause: "forbidden", reason: "native libraries are not allowed" };
  }
  try {
    await linkRuntime(folder);
    return undefined;
  } catch (error) {
    // Where nobody may look, a library that does not load is most likely not there.
    return there
      ? { cause: "broken", reason: (error as Error).message }
      : { cause: "absent", reason: "the native library is not where it may be looked for" };
  }
}

/**
 * The folder of the package: where it is, or where it will be once it has been fetched, which is beside the
 * runtime for the web. Empty where nothing tells.
 */
export function packageFolder(): string {
  const manifest = resolved(MANIFEST);
  if (manifest !== undefined) return dirname(manifest);
  const web = resolved("npm:onnxruntime-web@1.30.0/jspi");
  // NAME/1.30.0 in Deno's cache, NAME@1.30.0/node_modules/NAME in a folder node_modules of Deno's.
  const beside = /^(.*)[\\/]dist[\\/][^\\/]*$/.exec(web ?? "")?.[1] ?? "";
  if (!/onnxruntime-web[\\/@]1\.30\.0/.test(beside)) return "";
  return beside.replaceAll(/onnxruntime-web(?=[\\/@]1\.30\.0|$)/g, "onnxruntime-node");
}

/** Path of a file in a package, if Deno knows it by now. */
function resolved(specifier: string): string | undefined {
  try {
    const url = import.meta.resolve(specifier);
    return url.startsWith("file:") ? fileURLToPath(url) : undefined;
  } catch {
    // A folder node_modules of others, in which the package is not.
    return undefined;
  }
}

function libraryIn(folder: string): string {
  const { platform, arch } = process;
  return join(folder, "bin", "napi-v6", platform, arch, "onnxruntime_binding.node");
}

/** Whether a file or folder is there; `undefined` where it may not be looked for. */
async function isThere(path: string): Promise<boolean | undefined> {
  if (path === "") return false;
  if (!await isGranted({ name: "read", path })) return undefined;
  return await Deno.stat(path).then(() => true, () => false);
}

async function isGranted(permission: Deno.PermissionDescriptor): Promise<boolean> {
  return (await Deno.permissions.query(permission)).state === "granted";
}

async function linkRuntime(folder: string): Promise<NativeRuntime> {
  const path = libraryIn(folder);
  if (await isThere(folder) && await isThere(path) === false) {
    refuse(`it has no library for ${Deno.build.os} on ${Deno.build.arch}: use the provider "wasm"`);
  }
  try {
    return runtime ??= new NativeRuntime(path);
  } catch (cause) {
    if (isForbidden(cause)) refuse("native libraries are not allowed: run again with --allow-ffi", cause);
    refuse(`${firstLine(cause)}: use the provider "wasm"`, cause);
  }
}

function refuse(reason: string, cause?: unknown): never {
  throw new Error(`Cannot load the native CPU provider ${NATIVE_PACKAGE} as ${reason}`, { cause });
}

function isForbidden(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable;
}

function firstLine(error: unknown): string {
  return (error as Error).message.split("\n")[0]!;
}
