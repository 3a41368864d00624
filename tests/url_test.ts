/**
 * The project as people import it: served over plain HTTP, used from an empty folder that has no
 * configuration.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { serveFile } from "../tools/static_server.ts";

/** Serves the project's files while `use` runs in an empty folder; returns the paths that were asked for. */
async function serve(use: (base: string, folder: string) => Promise<void>): Promise<string[]> {
  const folder = await Deno.makeTempDir({ prefix: "varscale-url-" });
  const served: string[] = [];
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    served.push(new URL(request.url).pathname);
    return serveFile(request);
  });
  try {
    await use(`http://127.0.0.1:${server.addr.port}`, folder);
    return served;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Serves while a model is loaded from here. */
async function serveModel(use: (base: string, folder: string) => Promise<void>): Promise<void> {
  assert((await serve(use)).includes("/models/demo/transformer.safetensors"));
}

async function deno(folder: string, args: string[]): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), {
    args,
    cwd: folder,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stdout, stderr } = await command.output();
  const text = new TextDecoder();
  assertEquals(code, 0, text.decode(stderr));
  return text.decode(stdout);
}

Deno.test("import: a script in an empty folder imports mod.ts by URL and generates with the demo model", async () => {
  await serveModel(async (base, folder) => {
    const host = new URL(base).host;
    await Deno.writeTextFile(
      `${folder}/script.ts`,
      `import { generate, loadModel, varScaling } from "${base}/mod.ts";
      await using model = await loadModel("demo", { device: "cpu" });
      const { images } = await generate(model, { labels: ["red torus", 3], seed: 7, hooks: [varScaling()] });
      for (const image of images) await Deno.writeFile(image.label.name + ".png", image.png());
      console.log(images.map((image) => image.caption).join(", "));`,
    );
    const permissions = [`--allow-import=${host}`, `--allow-net=${host}`, "--allow-read", "--allow-write=."];
    const output = await deno(folder, ["run", "--check", "--no-prompt", ...permissions, "script.ts"]);
    assertEquals(output.trim(), "red torus #0, green sphere #1");
    assert((await Deno.stat(`${folder}/red torus.png`)).size > 1000);
  });
});

Deno.test("import: the command line runs by URL", async () => {
  await serveModel(async (base, folder) => {
    const args = ["generate", "blue cone", "--device", "cpu", "--output", "pictures", "--json"];
    const output = await deno(folder, ["run", "-A", `${base}/cli/main.ts`, ...args]);
    assertStringIncludes(output, "blue cone");
    const names = Array.from(Deno.readDirSync(`${folder}/pictures`), ({ name }) => name).sort();
    assert(names.includes("run.json") && names.some((name) => name.endsWith(".png")), names.join(", "));
  });
});

Deno.test("import: the kernels are imported by URL alone, without packages, models or permissions", async () => {
  const served = await serve(async (base, folder) => {
    await Deno.writeTextFile(
      `${folder}/script.ts`,
      `import { distances, kde, nearest, sample } from "${base}/kernels/mod.ts";
      const points = new Float32Array([0, 0, 3, 4, 6, 8.5]);
      const options = { dimensions: 2, device: "cpu" } as const;
      console.log([...await distances(points, options)].slice(0, 2).join());
      console.log((await kde(points, { ...options, bandwidth: 1, covariance: "identity" }))[0]!.toFixed(6));
      console.log([...await nearest(points, points, { channels: 2 })].join());
      console.log([...await sample(new Float32Array([0, 9, 1]), { vocabulary: 3, topK: 1 })].join());`,
    );
    const args = ["run", "--check", "--no-prompt", `--allow-import=${new URL(base).host}`, "script.ts"];
    // 1 / (3 * 2 pi) (1 + exp(-12.5) + exp(-54.125)), rounded to six places.
    assertEquals((await deno(folder, args)).trim().split("\n"), ["0,5", "0.053052", "0,1,2", "1"]);
  });
  assert(served.every((path) => path.startsWith("/kernels/")), served.join());
});

Deno.test("import: the server of the project hands out nothing beside it", async () => {
  const ask = (path: string) => serveFile(new Request(`http://127.0.0.1${path}`));
  assertEquals((await ask("/mod.ts")).status, 200);
  const beside = `${import.meta.dirname}/../../`;
  for (const path of [`/${beside}`, "/..%2f..%2fetc%2fhostname", "//etc/hostname", "/file:///etc/hostname"]) {
    assertEquals((await ask(path)).status, 404, path);
  }
  assertEquals((await ask("/%E0%A4%A")).status, 404);
});

Deno.test("import: a JPEG is decoded without a permission, and its decoder is fetched for it alone", async () => {
  await serve(async (base, folder) => {
    const photo = await Deno.readFile(new URL("fixtures/pictures/baseline.jpg", import.meta.url));
    await Deno.writeTextFile(
      `${folder}/script.ts`,
      `import { decodeImage } from "${base}/sampler/pictures/decode.ts";
      const { width, height } = await decodeImage(Uint8Array.fromHex("${photo.toHex()}"));
      console.log(width, height);`,
    );
    const script = ["--no-prompt", `--allow-import=${new URL(base).host}`, "script.ts"];
    assertEquals((await deno(folder, ["run", "--check", ...script])).trim(), "45 33");
    // Nothing of the decoder is among what an import brings along.
    const reached = await deno(folder, ["info", "--json", `${base}/mod.ts`]);
    assertStringIncludes(reached, "pngjs");
    assert(!reached.includes("jsquash"));
  });
});
