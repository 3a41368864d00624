/**
 * `varscale setup native`, in processes of its own, with copies of Deno's cache that lack the native library
 * and a server that has its package.
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { join } from "node:path";
import process from "node:process";
import { gzipSync } from "node:zlib";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { deno } from "../../deno_process.ts";
import { BareCache, installedPackage, lockFile, testNative } from "../../models/graphs/native_processes.ts";
import { run } from "../run.ts";

const NAME = "onnxruntime-node";
const VERSION = "1.30.0";
const ARGUMENTS = ["--no-prompt", "--no-check", "cli/main.ts", "setup", "native"];

Deno.test("varscale setup: what is to be set up has to be said", async () => {
  for (
    const [args, message] of [
      [[], "What to set up must be native"],
      [["wasm"], 'What to set up must be native: current value is "wasm"'],
      [["native", "wasm"], 'Unexpected argument "wasm"'],
    ] as const
  ) {
    const { code, err } = await run(["setup", ...args]);
    assertEquals([code, err.split("\n")[0]], [2, `varscale: ${message}`]);
  }
});

Deno.test("varscale setup: what is missing for it is named, and nothing is fetched", async () => {
  await using cache = await BareCache.make();
  // A registry that is not there.
  await cache.moveTo(9);
  const env = { DENO_DIR: cache.folder, NPM_CONFIG_REGISTRY: "http://127.0.0.1:9/" };
  for (
    const [flags, message] of [
      [["-R", "--allow-env", "--allow-run"], "native libraries are not allowed: run again with --allow-ffi"],
      [
        ["-R", "--allow-env", "--allow-ffi"],
        'no program may be started: run again with --allow-run, or "deno cache --no-lock --no-config --node-modules-dir=none npm:onnxruntime-node@1.30.0"',
      ],
      [["-A"], 'Failed loading http://127.0.0.1:9/onnxruntime-node for package "onnxruntime-node": '],
    ] as const
  ) {
    const { success, output } = await deno(["run", ...flags, ...ARGUMENTS], env);
    assert(!success, output);
    assertStringIncludes(output, `varscale: Cannot fetch npm:onnxruntime-node@1.30.0 as ${message}`);
    assert(!output.includes("backtrace"), output);
  }
});

testNative(
  "varscale setup: the package is fetched once, into no lock file, and its library is tried",
  async () => {
    const lock = await lockFile();
    const { platform, arch } = process;
    const libraries = join("bin", "napi-v6", platform, arch);
    const source = join(await installedPackage(), libraries);
    const files = [...Deno.readDirSync(source)].map(({ name }): [string, Uint8Array] => {
      return [`package/${libraries.replaceAll("\\", "/")}/${name}`, Deno.readFileSync(join(source, name))];
    });
    const manifest = new TextEncoder().encode(JSON.stringify({ name: NAME, version: VERSION }));
    await using cache = await BareCache.make();
    const packed = tarball([["package/package.json", manifest], ...files]);
    await using registry = offer(packed);
    await cache.moveTo(registry.port);

    const env = { DENO_DIR: cache.folder, NPM_CONFIG_REGISTRY: `http://127.0.0.1:${registry.port}/` };
    const first = await deno(["run", "-A", ...ARGUMENTS], env);
    assert(first.success, first.output);
    assertStringIncludes(
      first.output,
      "varscale: fetching npm:onnxruntime-node@1.30.0: 108.2 MiB, 287.1 MiB on the disk\n",
    );
    assertMatch(first.output, /^the native library is there now: .*onnxruntime-node.1\.30\.0$/m);
    assertEquals(registry.served(), 1);
    const second = await deno(["run", "-A", ...ARGUMENTS], env);
    assertMatch(second.output, /^the native library was there already: .*onnxruntime-node.1\.30\.0$/m);
    assertEquals(registry.served(), 1);
    assertEquals((await deno(["run", "-A", ...ARGUMENTS, "--quiet"], env)).output, "");
    assertEquals(await lockFile(), lock);
  },
);

Deno.test("varscale setup: a library that does not load is told", async () => {
  await using cache = await BareCache.make();
  await cache.breakLibrary();
  const { success, output } = await deno(["run", "-A", ...ARGUMENTS], { DENO_DIR: cache.folder });
  assert(!success);
  assertMatch(
    output,
    /^varscale: Cannot compute natively by .*: Cannot load the native CPU provider npm:onnxruntime-node@1.30.0 as .*: use the provider "wasm"$/m,
  );
});

Deno.test("varscale setup: a project with packages of its own is told how to add one", async () => {
  const folder = await Deno.makeTempDir({ prefix: "varscale-setup-" });
  try {
    await Deno.writeTextFile(`${folder}/deno.json`, '{ "nodeModulesDir": "auto" }');
    const { success, output } = await deno(["run", "-A", "--config", `${folder}/deno.json`, ...ARGUMENTS]);
    assert(!success);
    assertStringIncludes(
      output,
      'packages of this project lie in its folder node_modules; "deno add npm:onnxruntime-node@1.30.0" puts it there',
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Files as npm packs them: a tar of 512-byte records, as gzip. */
function tarball(files: readonly (readonly [name: string, content: Uint8Array])[]): Uint8Array<ArrayBuffer> {
  const parts = files.flatMap(([name, content]) => {
    const header = new Uint8Array(512);
    const write = (text: string, at: number): void => header.set(new TextEncoder().encode(text), at);
    write(name, 0);
    write("0000644\0", 100);
    write(`${content.length.toString(8).padStart(11, "0")}\0`, 124);
    write("00000000000\0", 136);
    // The sum of all bytes of the header, with blanks in its own place.
    write("        0ustar\x0000", 148);
    write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0`, 148);
    return [header, content, new Uint8Array(-content.length & 511)];
  });
  return new Uint8Array(gzipSync(Buffer.concat([...parts, new Uint8Array(1024)]), { level: 0 }));
}

/** A registry with one package, which counts how often that was fetched. */
function offer(
  packed: Uint8Array<ArrayBuffer>,
): AsyncDisposable & { readonly port: number; served(): number } {
  let served = 0;
  const integrity = `sha512-${createHash("sha512").update(packed).digest("base64")}`;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, ({ url }) => {
    if (url.endsWith(".tgz")) {
      served++;
      return new Response(packed);
    }
    const dist = { tarball: new URL("/package.tgz", url).href, integrity };
    const versions = { [VERSION]: { name: NAME, version: VERSION, dist } };
    return Response.json({ name: NAME, "dist-tags": { latest: VERSION }, versions });
  });
  return {
    port: server.addr.port,
    served: () => served,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
