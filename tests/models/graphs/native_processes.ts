/**
 * Deno in processes of its own, for tests of the native library: a process that has linked it keeps it.
 *
 * @module
 */

import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { deno } from "../../deno_process.ts";
import { PROJECT } from "../../shaders.ts";

/** The package. */
export const NATIVE_PACKAGE: string = "npm:onnxruntime-node@1.30.0";

// The first time this fetches 113 MB: a few seconds, or never where there is no network.
const { success: fetched } = await deno(["cache", "--no-lock", NATIVE_PACKAGE]);
const supported = `${Deno.build.os} ${Deno.build.arch}` !== "darwin x86_64";
const missing = !supported
  ? " (there is no library for this machine)"
  : fetched
  ? ""
  : " (needs npm:onnxruntime-node, which cannot be fetched)";

/** Registers a test that needs the library. */
export function testNative(name: string, test: () => Promise<void>): void {
  Deno.test({ name: name + missing, ignore: missing !== "", fn: test });
}

/**
 * Runs a script of its own; imports of the project's files begin with `PROJECT`.
 *
 * @returns What it printed.
 */
export async function runScript(
  source: string,
  flags: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(script, source.replaceAll("PROJECT/", PROJECT.href));
    const config = fileURLToPath(new URL("deno.json", PROJECT));
    const { output } = await deno(
      ["run", "--quiet", "--no-prompt", "--config", config, ...flags, script],
      env,
    );
    return output.trim();
  } finally {
    await Deno.remove(script);
  }
}

/** Reads the project's files, and nothing else. */
export const READ_PROJECT: readonly string[] = [`--allow-read=${fileURLToPath(PROJECT)}`, "--allow-import"];

/** The project's lock file. */
export async function lockFile(): Promise<string> {
  return await Deno.readTextFile(new URL("deno.lock", PROJECT));
}

/** A cache of Deno's with the packages that the project needs, but for the native library. */
export class BareCache implements AsyncDisposable {
  /** Folder of the cache. */
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes one; files are linked to those of the cache that there is, or copied. */
  static async make(): Promise<BareCache> {
    const cache = new BareCache(await Deno.makeTempDir({ prefix: "varscale-cache-" }));
    await linkTree(await npmCache(), join(cache.folder, "npm"), /^(onnxruntime-node|webgpu)$/);
    return cache;
  }

  /** Puts a text where the native library belongs. */
  async breakLibrary(): Promise<void> {
    const { platform, arch } = process;
    const folder = join(packageIn(join(this.folder, "npm")), "1.30.0", "bin", "napi-v6", platform, arch);
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(join(folder, "onnxruntime_binding.node"), "no library");
  }

  /** Makes it the cache of another registry, after whose port Deno names the folder. */
  async moveTo(port: number): Promise<void> {
    const npm = join(this.folder, "npm");
    const [registry] = Deno.readDirSync(npm);
    await Deno.rename(join(npm, registry!.name), join(npm, String(port)));
  }

  /** Removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Folder of the package that has been fetched. */
export async function installedPackage(): Promise<string> {
  return join(packageIn(await npmCache()), "1.30.0");
}

async function npmCache(): Promise<string> {
  const { output } = await deno(["info", "--json"]);
  return JSON.parse(output).npmCache;
}

/** Where the versions of the package lie; a cache has a folder for each registry, here for one. */
function packageIn(npmCache: string): string {
  const [registry] = Deno.readDirSync(npmCache);
  return join(npmCache, registry!.name, "onnxruntime-node");
}

async function linkTree(from: string, to: string, without: RegExp): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (without.test(name)) continue;
    const [source, target] = [join(from, name), join(to, name)];
    if (isDirectory) await linkTree(source, target, without);
    // Another file system takes no link.
    else await Deno.link(source, target).catch(() => Deno.copyFile(source, target));
  }
}
