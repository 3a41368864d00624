/**
 * Model folders: written whole or not at all, read from wherever they lie, and believed only where sizes and
 * checksums agree.
 */

import { classNamesOf } from "../../../models/label.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { openCheckpoint, type SafetensorsEntry } from "../../../models/checkpoint/mod.ts";
import { createModelFolder, type FolderWriter } from "../../../models/folder/folder_writer.ts";
import {
  type ManifestFacts,
  type ModelFolder,
  openModelFolder,
} from "../../../models/folder/model_folder.ts";
import { createVirtualFolder } from "../../../models/folder/virtual_folder.ts";
import { DEMO_MODEL, loadModel } from "../../../models/load.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { convertModel } from "../../../models/convert.ts";
import { deno } from "../../deno_process.ts";
import { goldenCheckpoints } from "../../fixtures/golden/golden.ts";
import { flexVarCheckpoints as flexVar } from "../flexvar/checkpoints.ts";

const FACTS: ManifestFacts = {
  family: "var",
  name: "test",
  dtype: "f32",
  config: { depth: 1 },
  classNames: ["a", "b"],
  tuning: { alpha: 2 },
};

const CONTENT = new TextEncoder().encode("graph");

/** Printed by `printf graph | sha256sum`. */
const CONTENT_SHA256 = "eef93e1d14482804277fca0172464032d1a4fdbcc338524059fa1e861454ad4d";

/** A temporary folder, removed at the end. */
async function temporary(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function namesIn(path: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(path), (entry) => entry.name)).sort();
}

/** Writes a small folder, no model. */
async function writeSmall(path: string, options: { overwrite?: boolean } = {}): Promise<ModelFolder> {
  await using writer = await createModelFolder(path, options);
  await writer.write("graph.onnx", CONTENT);
  await writer.writeTensors("weights", [
    { name: "w", dtype: "F32", shape: [1], bytes: () => new Uint8Array([0, 0, 128, 63]) },
  ]);
  return await writer.finish(FACTS);
}

/** Changes the text of a folder's `model.json`. */
async function rewriteManifest(path: string, change: (text: string) => string): Promise<void> {
  const file = `${path}/model.json`;
  await Deno.writeTextFile(file, change(await Deno.readTextFile(file)));
}

Deno.test("openModelFolder: a folder that was written is the folder that is read", async () => {
  await using place = await temporary();
  const path = `${place.path}/new/model`;
  const written = await writeSmall(path);
  const read = await openModelFolder(path);
  assertEquals(read.manifest, written.manifest);
  assertEquals(read.location, path);
  const { files, format, version, ...facts } = read.manifest;
  assertEquals([format, version, facts], ["varscale-model", 2, FACTS]);
  assertEquals(files["graph.onnx"], { bytes: 5, sha256: CONTENT_SHA256 });
  assertEquals(await read.read("graph.onnx"), CONTENT);
  assertEquals(await namesIn(path), ["graph.onnx", "model.json", "weights.safetensors"]);
  assertEquals(await namesIn(`${place.path}/new`), ["model"]);
});

Deno.test("openModelFolder: places of tensors are where their bytes lie, on disk and in memory", async () => {
  await using place = await temporary();
  const values = { first: [1, 2, 3], second: [4] };
  const entries = Object.entries(values).map(([name, list]): SafetensorsEntry => ({
    name,
    dtype: "F32",
    shape: [list.length],
    bytes: () => new Uint8Array(new Float32Array(list).buffer),
  }));
  const writers = [await createModelFolder(`${place.path}/model`), createVirtualFolder("memory")];
  for (const writer of writers) {
    await using _ = writer;
    const places = await writer.writeTensors("w", entries);
    const folder = await writer.finish(FACTS);
    const bytes = await folder.read("w.safetensors");
    for (const [name, list] of Object.entries(values)) {
      const { file, offset, length, type, shape } = places(name);
      assertEquals([file, type, shape], ["w.safetensors", "float32", [list.length]]);
      assertEquals([...new Float32Array(bytes.slice(offset, offset + length).buffer)], list);
    }
  }
});

Deno.test("openModelFolder: nothing is at the place before the end, and nothing is left without it", async () => {
  await using place = await temporary();
  const path = `${place.path}/model`;
  {
    await using writer = await createModelFolder(path);
    await writer.write("graph.onnx", CONTENT);
    assertEquals((await namesIn(place.path)).includes("model"), false);
  }
  assertEquals(await namesIn(place.path), []);
});

/** A writer with some of its methods replaced. */
function altered(writer: FolderWriter, methods: Partial<FolderWriter>): FolderWriter {
  return {
    own: (resource) => writer.own(resource),
    write: (name, bytes) => writer.write(name, bytes),
    writeTensors: (part, entries, options) => writer.writeTensors(part, entries, options),
    finish: (facts) => writer.finish(facts),
    ...methods,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

Deno.test("openModelFolder: a conversion that is aborted in the middle leaves nothing", async () => {
  await using place = await temporary();
  const reason = new Error("enough");
  for (const file of ["transformer.safetensors", "tokenizer.safetensors", "transformer.onnx"]) {
    const controller = new AbortController();
    const { signal } = controller;
    const convert = async (): Promise<void> => {
      await using writer = await createModelFolder(`${place.path}/model`, { signal });
      const aborting = altered(writer, {
        write: async (name, bytes) => {
          if (name === file) controller.abort(reason);
          await writer.write(name, bytes);
        },
        writeTensors: async (part, entries, options) => {
          if (`${part}.safetensors` === file) controller.abort(reason);
          return await writer.writeTensors(part, entries, options);
        },
      });
      await convertModel(goldenCheckpoints("var-shared-adaln"), aborting, { signal });
    };
    assertEquals(await convert().catch((error) => error), reason, file);
    assertEquals(await namesIn(place.path), [], file);
  }
});

Deno.test("openModelFolder: a conversion that fails in the middle leaves nothing, and what was there stays", async () => {
  await using place = await temporary();
  const path = `${place.path}/model`;
  await writeSmall(path);
  const convert = async (): Promise<void> => {
    await using writer = await createModelFolder(path, { overwrite: true });
    const failing = altered(writer, { write: () => Promise.reject(new Error("No space left")) });
    await convertModel(goldenCheckpoints("var-shared-adaln"), failing);
  };
  await assertRejects(convert, Error, "No space left");
  assertEquals(await namesIn(place.path), ["model"]);
  assertEquals((await openModelFolder(path)).manifest.name, "test");
});

Deno.test("openModelFolder: a signal that is aborted already ends opening and loading", async () => {
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => openModelFolder(DEMO_MODEL, { signal }), Error, "enough");
  await assertRejects(() => loadModel("demo", { device: "cpu", signal }), Error, "enough");
  await assertRejects(
    () => loadModel(goldenCheckpoints("var-adaln"), { device: "cpu", signal }),
    Error,
    "enough",
  );
});

Deno.test("openModelFolder: what is there is replaced only if that is wanted", async () => {
  await using place = await temporary();
  const path = `${place.path}/model`;
  await writeSmall(path);
  await Deno.writeTextFile(`${path}/note.txt`, "mine");
  const error = await assertRejects(() => createModelFolder(path), Deno.errors.AlreadyExists);
  assertStringIncludes(error.message, path);
  assertEquals((await namesIn(path)).includes("note.txt"), true);
  await writeSmall(`${path}/`, { overwrite: true });
  assertEquals(await namesIn(path), ["graph.onnx", "model.json", "weights.safetensors"]);
  assertEquals(await namesIn(place.path), ["model"]);
});

Deno.test("openModelFolder: only a model folder or an empty one is ever replaced", async () => {
  await using place = await temporary();
  const path = `${place.path}/precious`;
  await Deno.mkdir(path);
  await writeSmall(path, { overwrite: true });
  await Deno.remove(`${path}/model.json`);
  await assertRejects(
    () => createModelFolder(path, { overwrite: true }),
    Deno.errors.AlreadyExists,
    "no model",
  );
  assertEquals(await namesIn(path), ["graph.onnx", "weights.safetensors"]);
  const file = `${place.path}/file`;
  await Deno.writeTextFile(file, "mine");
  await assertRejects(
    () => createModelFolder(file, { overwrite: true }),
    Deno.errors.AlreadyExists,
    "no model",
  );
});

Deno.test("openModelFolder: if the last step fails, what was there comes back", async () => {
  await using place = await temporary();
  const path = `${place.path}/model`;
  await writeSmall(path);
  const rename = Deno.rename;
  let calls = 0;
  const replace = async (): Promise<void> => {
    await using writer = await createModelFolder(path, { overwrite: true });
    Deno.rename = (from, to) => ++calls === 2 ? Promise.reject(new Error("busy")) : rename(from, to);
    try {
      await writer.finish({ ...FACTS, name: "other" });
    } finally {
      Deno.rename = rename;
    }
  };
  await assertRejects(replace, Error, "busy");
  assertEquals(await namesIn(place.path), ["model"]);
  assertEquals((await openModelFolder(path)).manifest.name, "test");
});

async function refusal(work: () => Promise<unknown>): Promise<ModelFileError> {
  return await assertRejects(work, ModelFileError);
}

Deno.test("openModelFolder: a file with one bit changed is refused with both checksums", async () => {
  await using place = await temporary();
  await writeSmall(place.path + "/model");
  const file = `${place.path}/model/graph.onnx`;
  const folder = await openModelFolder(`${place.path}/model`);
  await Deno.writeFile(file, CONTENT.map((byte, i) => i === 2 ? byte ^ 1 : byte));
  const error = await refusal(() => folder.read("graph.onnx"));
  assertEquals([error.file, error.expected], [file, CONTENT_SHA256]);
  assert(/^[0-9a-f]{64}$/.test(error.found!) && error.found !== CONTENT_SHA256);
  assertStringIncludes(error.message, "SHA-256");
});

Deno.test("openModelFolder: a truncated, a missing and an unlisted file are refused", async () => {
  await using place = await temporary();
  const path = `${place.path}/model`;
  await writeSmall(path);
  const folder = await openModelFolder(path);
  await Deno.truncate(`${path}/graph.onnx`, 4);
  const short = await refusal(() => folder.read("graph.onnx"));
  assertEquals([short.file, short.expected, short.found], [`${path}/graph.onnx`, "5 bytes", "4"]);
  await Deno.remove(`${path}/graph.onnx`);
  const missing = await refusal(() => folder.read("graph.onnx"));
  assertEquals([missing.file, missing.found], [`${path}/graph.onnx`, "no such file"]);
  await Deno.writeFile(`${path}/decoder.onnx`, CONTENT);
  const unlisted = await refusal(() => folder.read("decoder.onnx"));
  assertEquals([unlisted.file, unlisted.expected], [`${path}/model.json`, '"decoder.onnx"']);
  assertEquals(unlisted.found, '"graph.onnx", "weights.safetensors"');
});

Deno.test("openModelFolder: a damaged model is not loaded", async () => {
  await using place = await temporary();
  await Deno.mkdir(`${place.path}/demo`);
  for (const name of await namesIn(new URL(DEMO_MODEL).pathname)) {
    await Deno.copyFile(new URL(name, DEMO_MODEL), `${place.path}/demo/${name}`);
  }
  const file = `${place.path}/demo/tokenizer.safetensors`;
  const bytes = await Deno.readFile(file);
  bytes[bytes.length - 1]! ^= 0x80;
  await Deno.writeFile(file, bytes);
  const error = await refusal(() => loadModel(`${place.path}/demo`, { device: "cpu" }));
  assertEquals(error.file, file);
});

Deno.test("openModelFolder: a description that is none is refused with what is wrong about it", async () => {
  await using place = await temporary();
  const path = `${place.path}/model`;
  await writeSmall(path);
  const whole = JSON.parse(await Deno.readTextFile(`${path}/model.json`));
  const file = { bytes: 5, sha256: CONTENT_SHA256 };
  const cases: [expected: string, text: string][] = [
    ["JSON", "{"],
    ["JSON", "<html></html>"],
    ["JSON", ""],
    ['"format": "varscale-model"', "null"],
    ['"format": "varscale-model"', "5"],
    ['"format": "varscale-model"', "[]"],
    ['"format": "varscale-model"', JSON.stringify({ ...whole, format: "other" })],
    ["version 2", JSON.stringify({ ...whole, version: 1 })],
    ["version 2", JSON.stringify({ ...whole, version: "2" })],
    ['a text "family"', JSON.stringify({ ...whole, family: 1 })],
    ['a text "name"', JSON.stringify({ ...whole, name: undefined })],
    ['"dtype": "f32" or "f16" or "q8" or "q4"', JSON.stringify({ ...whole, dtype: "int4" })],
    ['a list of texts "classNames"', JSON.stringify({ ...whole, classNames: [1] })],
    ['a list of texts "classNames"', JSON.stringify({ ...whole, classNames: undefined })],
    ['a number "tuning.alpha" from 0 to 1048576', JSON.stringify({ ...whole, tuning: { alpha: "1" } })],
    ['a number "tuning.alpha" from 0 to 1048576', JSON.stringify({ ...whole, tuning: { alpha: -1 } })],
    [
      'a number "tuning.conflictThreshold" from 0 to 1099511627776',
      JSON.stringify({ ...whole, tuning: { conflictThreshold: -1 } }),
    ],
    ['an integer "tuning.samples" from 1 to 8192', JSON.stringify({ ...whole, tuning: { samples: 0 } })],
    ['an integer "tuning.samples" from 1 to 8192', JSON.stringify({ ...whole, tuning: { samples: 9000 } })],
    ['an integer "tuning.scale" from 0 to 1048576', JSON.stringify({ ...whole, tuning: { scale: 1.5 } })],
    ['an object "tuning.evidence"', JSON.stringify({ ...whole, tuning: { evidence: "good" } })],
    ['an object "tuning"', JSON.stringify({ ...whole, tuning: [1] })],
    ['an object "files"', JSON.stringify({ ...whole, files: null })],
    ['size and SHA-256 of "a"', JSON.stringify({ ...whole, files: { a: null } })],
    ['size and SHA-256 of "a"', JSON.stringify({ ...whole, files: { a: { ...file, bytes: -1 } } })],
    ['size and SHA-256 of "a"', JSON.stringify({ ...whole, files: { a: { ...file, sha256: "0" } } })],
    ...["../x", "a/b", "..", ".", "", ".x", "/etc/x", "a\\b", "http://h/x", "%2e%2e", "a?b", "a#b", "a\n"]
      .map((
        name,
      ): [string, string] => ["plain file names", JSON.stringify({ ...whole, files: { [name]: file } })]),
  ];
  for (const [expected, text] of cases) {
    await Deno.writeTextFile(`${path}/model.json`, text);
    const error = await refusal(() => openModelFolder(path));
    assertEquals([error.file, error.expected], [`${path}/model.json`, expected], text);
    assert(error.found !== undefined);
  }
  await Deno.writeFile(`${path}/model.json`, new Uint8Array([0xff, 0xfe]));
  assertEquals((await refusal(() => openModelFolder(path))).expected, "JSON");
});

Deno.test("openModelFolder: a folder without a description, or no folder, is refused", async () => {
  await using place = await temporary();
  for (const path of [place.path, `${place.path}/none`, `${place.path}/none/`]) {
    const { file, found } = await refusal(() => openModelFolder(path));
    assertEquals([file, found], [`${path.replace(/\/$/, "")}/model.json`, "no such file"]);
  }
});

Deno.test("openModelFolder: a family that nobody knows is refused with those that are known", async () => {
  await using place = await temporary();
  const path = `${place.path}/model`;
  await writeSmall(path);
  await rewriteManifest(path, (text) => text.replace('"family": "var"', '"family": "vax"'));
  const error = await refusal(() => loadModel(path, { device: "cpu" }));
  assertEquals([error.file, error.expected, error.found], [
    `${path}/model.json`,
    '"var" or "flexvar" or "infinity"',
    '"vax"',
  ]);
});

Deno.test("openModelFolder: sizes that are none are refused by name", async () => {
  await using place = await temporary();
  const path = `${place.path}/model`;
  await writeSmall(path);
  const { manifest } = await openModelFolder(DEMO_MODEL);
  const config = manifest.config as { tokenizer: object };
  const cases: [name: string, config: unknown][] = [
    ["config", null],
    ["config", "x"],
    ["config.depth", { ...config, depth: undefined }],
    ["config.width", { ...config, width: "256" }],
    ["config.heads", { ...config, heads: 0 }],
    ["config.patchNumbers", { ...config, patchNumbers: [] }],
    ["config.patchNumbers", { ...config, patchNumbers: [1, 0] }],
    ["config.tokenizer", { ...config, tokenizer: null }],
    ["config.tokenizer.channels", { ...config, tokenizer: { ...config.tokenizer, channels: 1.5 } }],
    ["config.tokenizer.decoder", { ...config, tokenizer: { ...config.tokenizer, decoder: undefined } }],
    ["config.tokenizer.encoder", { ...config, tokenizer: { ...config.tokenizer, encoder: 4 } }],
  ];
  for (const [name, value] of cases) {
    await rewriteManifest(path, (text) => JSON.stringify({ ...JSON.parse(text), config: value }));
    const { file, expected } = await refusal(() => loadModel(path, { device: "cpu" }));
    assertEquals(file, `${path}/model.json`);
    assertStringIncludes(expected!, `"${name}"`, JSON.stringify(value));
  }
});

/** Writes down other sizes in a folder. */
async function rewriteSizes(path: string, change: (config: Record<string, unknown>) => void): Promise<void> {
  const manifest = JSON.parse(await Deno.readTextFile(`${path}/model.json`));
  change(manifest.config);
  await Deno.writeTextFile(`${path}/model.json`, JSON.stringify(manifest));
}

Deno.test("loadModel: sizes that are not those of the tensors are refused before anything is built", async () => {
  await using place = await temporary();
  const path = `${place.path}/model`;
  for (
    const [family, source] of [["var", goldenCheckpoints("var-adaln")], ["flexvar", await flexVar()]] as const
  ) {
    await using writer = await createModelFolder(path, { overwrite: true });
    await convertModel(source, writer);
    const whole = await Deno.readTextFile(`${path}/model.json`);
    const level = (network: string, change: object) => (config: Record<string, unknown>): void => {
      const tokenizer = config.tokenizer as Record<string, object[]>;
      Object.assign(tokenizer[network]!.at(-1)!, change);
    };
    const codes = (change: object) => (config: Record<string, unknown>): void => {
      Object.assign(config.tokenizer as object, change);
    };
    const own = { ...JSON.parse(whole).config };
    const last = own.tokenizer.decoder.length - 1;
    const cases: [place: string, change: (config: Record<string, unknown>) => void][] = [
      ["config.depth", (config) => config.depth = 1_000_000],
      ["config.depth", (config) => config.depth = 30_000],
      ["config.width", (config) => config.width = 2 ** 40],
      ["config.heads", (config) => config.heads = 2 ** 31],
      ["config.classes", (config) => config.classes = 2 ** 31],
      ["config.sharedAdaptiveNorm", (config) => config.sharedAdaptiveNorm = !config.sharedAdaptiveNorm],
      ["config.tokenizer.vocabulary", codes({ vocabulary: 2 ** 31 })],
      ["config.tokenizer.channels", codes({ channels: 2 ** 31 })],
      [`config.tokenizer.decoder[${last}].blocks`, level("decoder", { blocks: 2 ** 31 })],
      [`config.tokenizer.decoder[${last}].blocks`, level("decoder", { blocks: 30_000 })],
      [`config.tokenizer.encoder[${last}].channels`, level("encoder", { channels: 2 ** 31 })],
      ["config.tokenizer.decoder", codes({ decoder: Array(5000).fill(own.tokenizer.decoder[0]) })],
      ...family === "var"
        ? [["config.tokenizer.residuals", codes({ residuals: 2 ** 31 })] as [string, typeof cases[0][1]]]
        : [["config.positionSide", (config) => config.positionSide = 2 ** 20] as typeof cases[0]],
    ];
    for (const [size, change] of cases) {
      await Deno.writeTextFile(`${path}/model.json`, whole);
      await rewriteSizes(path, change);
      const begun = performance.now();
      const error = await refusal(() => loadModel(path, { device: "cpu" }));
      assertEquals([error.file, error.expected!.split(": ")[0]], [`${path}/model.json`, `"${size}"`]);
      assert(performance.now() - begun < 2000, `${size}: ${performance.now() - begun} ms`);
      // A conversion takes the sizes no more for granted than loading does.
      await using other = createVirtualFolder("elsewhere");
      const converting = await refusal(() => convertModel({ folder: path }, other));
      assertEquals(converting.message, error.message);
    }
    if (family !== "var") continue;
    const inOrder = "that begin with 1 and never decrease";
    const lists: [sides: number[], reason: string][] = [
      [[2 ** 31], inOrder],
      [[1, 2 ** 20], "pos_1LC (expected [1, 1099511627777, "],
      [[...own.patchNumbers, 1], inOrder],
      [Array(100_000).fill(1), "… 99984 more] as they are not those of the transformer"],
    ];
    for (const [sides, reason] of lists) {
      await Deno.writeTextFile(`${path}/model.json`, whole);
      await rewriteSizes(path, (config) => config.patchNumbers = sides);
      const error = await refusal(() => loadModel(path, { device: "cpu" }));
      assertStringIncludes(error.message, reason);
      assert(error.message.length < 400, error.message);
    }
  }
});

/** A name with all that has a meaning in an address; Windows allows fewer. */
const ODD_NAME = Deno.build.os === "windows" ? "a b#c%41é 模型" : "x:a b#c?d%41%é 模型\\";

Deno.test("openModelFolder: a folder of any name is found by path, relative path and URL", async () => {
  await using place = await temporary();
  const path = `${place.path}/${ODD_NAME}`;
  const { manifest } = await writeSmall(path);
  const address = new URL(`file://${place.path}/`);
  address.pathname += encodeURIComponent(ODD_NAME);
  // A working folder of an odd name, too.
  const odd = `${place.path}/#?`;
  await Deno.mkdir(odd);
  const open = async (working: string, locations: readonly (string | URL)[]): Promise<unknown> => {
    const asked = locations.map((location) => {
      return location instanceof URL ? `new URL(${JSON.stringify(location)})` : JSON.stringify(location);
    });
    const code = `
      import { openModelFolder } from ${
      JSON.stringify(import.meta.resolve("../../../models/folder/model_folder.ts"))
    };
      const folders = await Promise.all([${asked}].map((location) => openModelFolder(location)));
      const found = folders.map(async (folder) => [folder.manifest, [...await folder.read("graph.onnx")]]);
      console.log(JSON.stringify(await Promise.all(found)));
    `;
    const { out, err } = await deno(["eval", code], {}, working);
    assertEquals(err, "");
    return JSON.parse(out);
  };
  const locations = [path, `${path}/`, `../${ODD_NAME}`, address, address.href];
  assertEquals(await open(odd, locations), locations.map(() => [manifest, [...CONTENT]]));
  assertEquals(await open(place.path, [ODD_NAME]), [[manifest, [...CONTENT]]]);
});

/** Serves the demo model, with some answers replaced. */
function serveDemo(answers: Record<string, () => Response>): AsyncDisposable & { origin: string } {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    const name = new URL(request.url).pathname.replace(/^\/models\/demo\//, "");
    const answer = answers[name];
    if (answer !== undefined) return answer();
    return new Response(await Deno.readFile(new URL(name, DEMO_MODEL)));
  });
  return {
    origin: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("openModelFolder: a model is loaded from a web server", async () => {
  await using server = serveDemo({});
  await using model = await loadModel(`${server.origin}/models/demo`, { device: "cpu" });
  assertEquals(model.location, `${server.origin}/models/demo`);
  assertEquals(classNamesOf(model.labels).length, 64);
  await using same = await loadModel("demo", { device: "cpu" });
  assertEquals(model.fingerprints, same.fingerprints);
});

Deno.test("openModelFolder: a server's refusals, wrong bytes and silence are told", async () => {
  const hidden = (status: number) => (): Response => new Response("<html>", { status });
  for (
    const [name, status] of [["model.json", 404], ["condition.onnx", 404], ["transformer.onnx", 500]] as const
  ) {
    await using server = serveDemo({ [name]: hidden(status) });
    const error = await refusal(() => loadModel(new URL(`${server.origin}/models/demo`), { device: "cpu" }));
    assertEquals(error.file, `${server.origin}/models/demo/${name}`);
    assertStringIncludes(error.found!, `answered ${status}`);
  }
  await using server = serveDemo({ "condition.onnx": () => new Response("<html>") });
  const wrong = await refusal(() => loadModel(`${server.origin}/models/demo/`, { device: "cpu" }));
  assertEquals(wrong.file, `${server.origin}/models/demo/condition.onnx`);
  const { manifest: { files } } = await openModelFolder(DEMO_MODEL);
  assertEquals([wrong.expected, wrong.found], [`${files["condition.onnx"]!.bytes} bytes`, "6"]);
  await server[Symbol.asyncDispose]();
  const gone = await refusal(() => openModelFolder(`${server.origin}/models/demo`));
  assert(gone.cause instanceof Error);
});

/** Zeros for as long as somebody takes them, and whether they have been told to stop. */
function endless(): { response: () => Response; ended: Promise<number> } {
  const { promise: ended, resolve } = Promise.withResolvers<number>();
  let sent = 0;
  const body = (): ReadableStream<Uint8Array<ArrayBuffer>> =>
    new ReadableStream({
      pull: (controller) => {
        controller.enqueue(new Uint8Array(1 << 16));
        sent += 1 << 16;
      },
      cancel: () => resolve(sent),
    });
  return { response: () => new Response(body()), ended };
}

Deno.test("openModelFolder: a body without an end is read as far as the file may go", async () => {
  const { manifest: { files } } = await openModelFolder(DEMO_MODEL);
  for (
    const [name, most] of [["model.json", 2 ** 24], [
      "transformer.onnx",
      files["transformer.onnx"]!.bytes,
    ]] as const
  ) {
    const { response, ended } = endless();
    await using server = serveDemo({ [name]: response });
    const error = await refusal(() => loadModel(`${server.origin}/models/demo`, { device: "cpu" }));
    assertEquals(error.file, `${server.origin}/models/demo/${name}`);
    assertEquals([error.expected, error.found], [`at most ${most} bytes`, "more"]);
    // What was on its way when it was enough is in the buffers between.
    const sent = await ended;
    assert(sent < most + 2 ** 25, `${sent} bytes were sent`);
  }
});

Deno.test("openModelFolder: a body that unpacks to more than the file is ended", async () => {
  const zeros = new Blob([new Uint8Array(2 ** 25)]).stream().pipeThrough(new CompressionStream("gzip"));
  const packed = await new Response(zeros).bytes();
  assert(packed.length < 50_000);
  for (const name of ["model.json", "transformer.onnx"]) {
    const headers = { "content-encoding": "gzip" };
    await using server = serveDemo({ [name]: () => new Response(packed, { headers }) });
    const error = await refusal(() => loadModel(`${server.origin}/models/demo`, { device: "cpu" }));
    assertEquals([error.file, error.found], [`${server.origin}/models/demo/${name}`, "more"]);
  }
});

Deno.test("openModelFolder: a size that a server tells is held against the list before the body is read", async () => {
  const { manifest: { files } } = await openModelFolder(DEMO_MODEL);
  const size = files["transformer.onnx"]!.bytes;
  const answer = (): Response => new Response(new Uint8Array(size + 1));
  await using server = serveDemo({ "transformer.onnx": answer });
  const error = await refusal(() => loadModel(`${server.origin}/models/demo`, { device: "cpu" }));
  assertEquals([error.expected, error.found], [`at most ${size} bytes`, `${size + 1}`]);
});

Deno.test("openModelFolder: a server that falls silent counts as gone", async () => {
  const silent = (): ReadableStream<Uint8Array> =>
    new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(10)) });
  await using server = serveDemo({ "model.json": () => new Response(silent()) });
  const error = await refusal(() => openModelFolder(`${server.origin}/models/demo`, { timeout: 100 }));
  assertEquals(error.file, `${server.origin}/models/demo/model.json`);
  assertEquals(error.found, "The server was silent for 0.1 s");
});

Deno.test({
  name: "openModelFolder: only regular files are opened",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using place = await temporary();
    const path = `${place.path}/model`;
    await writeSmall(path);
    const description = await Deno.readTextFile(`${path}/model.json`);
    const make = {
      "a pipe": async (file: string) => {
        const { success } = await new Deno.Command("mkfifo", { args: [file] }).output();
        assert(success);
      },
      "a device": (file: string) => Deno.symlink("/dev/zero", file),
      "a folder": (file: string) => Deno.mkdir(file),
    };
    for (const [found, put] of Object.entries(make)) {
      for (const name of ["model.json", "graph.onnx", "weights.safetensors"]) {
        await Deno.rename(`${path}/${name}`, `${path}/kept`);
        await put(`${path}/${name}`);
        const work = async (): Promise<void> => {
          const folder = await openModelFolder(path);
          if (name === "graph.onnx") await folder.read(name);
          else (await folder.weights("weights"))[Symbol.dispose]();
        };
        const error = await refusal(work);
        assertEquals([error.file, error.expected, error.found], [`${path}/${name}`, "a regular file", found]);
        await Deno.remove(`${path}/${name}`);
        await Deno.rename(`${path}/kept`, `${path}/${name}`);
      }
    }
    // A link to a file is as good as the file: the cache of the hub is made of them.
    await Deno.rename(`${path}/graph.onnx`, `${place.path}/elsewhere`);
    await Deno.symlink(`${place.path}/elsewhere`, `${path}/graph.onnx`);
    assertEquals(await (await openModelFolder(path)).read("graph.onnx"), CONTENT);
    await Deno.writeTextFile(`${path}/model.json`, description.padEnd(2 ** 24 + 1));
    const large = await refusal(() => openModelFolder(path));
    assertEquals([large.expected, large.found], [`at most ${2 ** 24} bytes`, `${2 ** 24 + 1}`]);
  },
});

Deno.test("openModelFolder: the demo's folder holds what it lists, and its codebook keeps its precision", async () => {
  const folder = await openModelFolder(DEMO_MODEL);
  const names = await Array.fromAsync(Deno.readDir(DEMO_MODEL), (entry) => entry.name);
  assertEquals(names.sort(), [...Object.keys(folder.manifest.files), "model.json"].sort());
  for (const name of Object.keys(folder.manifest.files)) await folder.read(name);
  using tokenizer = await openCheckpoint(new URL("tokenizer.safetensors", DEMO_MODEL));
  assertEquals(tokenizer.tensors.get("quantize.embedding.weight")!.dtype, "F32");
});
