/**
 * Who computes on the CPU where nobody says: the native library where it is there and allowed, WebAssembly
 * otherwise. Everything below is told the outcome.
 *
 * @module
 */

import type { CpuProvider } from "./graph_session.ts";
import {
  NATIVE_BYTES,
  NATIVE_PACKAGE,
  type NativeProblem,
  packageFolder,
  tryNativeRuntime,
} from "./native_runtime.ts";

let explained = false;

/**
 * Decides who computes. When a native library that is there and allowed does not load, that is said once on
 * the error stream, with the reason.
 */
export async function resolveCpuProvider(choice: CpuProvider | "auto" = "auto"): Promise<CpuProvider> {
  if (choice !== "auto") return choice;
  const problem = await tryNativeRuntime();
  if (problem === undefined) return "native";
  if (problem.cause === "broken" && !explained) {
    console.error(`varscale: ${inWords(problem)}; computing in WebAssembly`);
    explained = true;
  }
  return "wasm";
}

/** The native library on this machine. */
export interface NativeLibrary {
  /**
   * Whether it can compute; `"absent"` if its package is not there, `"forbidden"` without `--allow-ffi`,
   * `"broken"` if it is there and does not load.
   */
  readonly state: "ready" | "absent" | "forbidden" | "broken";
  /** Why it cannot compute, and what to do about it. */
  readonly reason?: string;
  /** Its package, as Deno names it. */
  readonly package: string;
  /** Where that lies, or will lie when it has been fetched; empty where nothing tells. */
  readonly folder: string;
  /** Whether that is Deno's cache, which all programs share, and no project's folder `node_modules`. */
  readonly shared: boolean;
  /** Bytes to download for it, and those that it takes then. */
  readonly bytes: { readonly download: number; readonly disk: number };
}

/**
 * Looks for the native library, and loads it if it is there and allowed. Nothing is fetched, and nobody is
 * asked for a permission.
 *
 * @example
 * ```ts
 * import { nativeLibrary, whyNotNative } from "./cpu_provider.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { state, reason } = await nativeLibrary();
 * assertEquals(state === "ready", reason === undefined);
 * assertEquals(reason, await whyNotNative());
 * ```
 */
export async function nativeLibrary(): Promise<NativeLibrary> {
  const problem = await tryNativeRuntime();
  const folder = packageFolder();
  return {
    state: problem?.cause ?? "ready",
    ...(problem && { reason: inWords(problem) }),
    package: NATIVE_PACKAGE,
    folder,
    shared: liesInCache(folder),
    bytes: NATIVE_BYTES,
  };
}

/**
 * Why `cpuProvider: "auto"` would not take the native library, or `undefined` if it would.
 *
 * @example
 * ```ts
 * import { whyNotNative } from "./cpu_provider.ts";
 * import { loadModel } from "../load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const reason = await whyNotNative(); // 'the native library is not there: "varscale setup native" …', say
 * await using model = await loadModel("demo", { device: "cpu" });
 * assertEquals(model.provider, reason === undefined ? "native" : "wasm");
 * ```
 */
export async function whyNotNative(): Promise<string | undefined> {
  const problem = await tryNativeRuntime();
  return problem && inWords(problem);
}

/** Whether packages lie in Deno's cache, which all programs share; otherwise each project has its own. */
function liesInCache(folder: string): boolean {
  return folder !== "" && !/[\\/]node_modules[\\/]/.test(folder);
}

function inWords({ cause, reason }: NativeProblem): string {
  if (cause === "broken") return reason;
  if (cause === "forbidden") return `${reason}: --allow-ffi allows them`;
  return `${reason}: ${
    liesInCache(packageFolder())
      ? '"varscale setup native" fetches it'
      : `"deno add ${NATIVE_PACKAGE}" puts it into this project's folder node_modules`
  }`;
}
