/**
 * A part that a model can do without, with files beside it: converted, loaded, left out, by path and from
 * memory, and what is wrong with it refused before anything is written.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  convertModel,
  createModelFolder,
  generate,
  loadModel,
  type LoadModelOptions,
  ModelFileError,
  type ModelFolder,
  openModelFolder,
  registerFamily,
} from "../../mod.ts";
import { type Checkpoints, openModelSource } from "../../models/mod.ts";
import { inFolder } from "../models/folder/small_folder.ts";
import { sha256 } from "../models/hub/fake_hub.ts";
import {
  checkpoint,
  type DictionaryForm,
  type DictionaryOptions,
  WORDS,
  writeDictionary,
} from "./checkpoint.ts";
import { BITS, MOSAIC } from "./mosaic.ts";

registerFamily(MOSAIC);
// The command line makes its options of the families that are registered when it is loaded.
const { run, succeed, testInFolder } = await import("../cli/run.ts");

const net = await checkpoint("colors.weight", [3, BITS], 12.9898);
const text = await checkpoint("letters.weight", [128, BITS], 78.233);
const LIST = JSON.stringify(WORDS);

/** The tokens of a picture of a cat. */
async function paint(place: string | Checkpoints, options: LoadModelOptions = {}): Promise<string> {
  await using model = await loadModel(place, { device: "cpu", ...options });
  const { images: [image] } = await generate(model, { labels: "a cat", seed: 1 });
  return String(image!.tokens);
}

/** Converts to a folder on the disk. */
async function convert(
  source: Parameters<typeof convertModel>[0],
  path: string,
  options: Parameters<typeof convertModel>[2] = {},
): Promise<ModelFolder> {
  await using writer = await createModelFolder(path);
  return await convertModel(source, writer, options);
}

async function readText(folder: ModelFolder, name: string): Promise<string> {
  return new TextDecoder().decode(await folder.read(name));
}

Deno.test("convertModel: a part that a model can do without is written with what belongs to it, or left out", () =>
  inFolder(async (path) => {
    await writeDictionary(`${path}/words`, "words.safetensors");
    const plain = await convert({ net, text }, `${path}/plain`);
    assertEquals(plain.manifest.config, { bits: BITS, letters: 128 });
    assertEquals(Object.keys(plain.manifest.files).sort(), ["net.safetensors", "text.safetensors"]);
    const source = { net, text, words: `${path}/words/words.safetensors` };
    const full = await convert(source, `${path}/full`);
    assertEquals(full.manifest.config, { bits: BITS, letters: 128, words: 3 });
    const files = ["dictionary.json", "net.safetensors", "text.safetensors", "words.safetensors"];
    assertEquals(Object.keys(full.manifest.files).sort(), files);
    assertEquals(full.manifest.files["dictionary.json"], {
      bytes: LIST.length,
      sha256: sha256(new TextEncoder().encode(LIST)),
    });
    assertEquals(await readText(full, "dictionary.json"), LIST);
    // The list decides what is painted, so it tells the model from others.
    assertEquals(Object.keys(full.fingerprints).sort(), files);
    using weights = await full.weights("words");
    assertEquals([...weights.tensors.keys()], ["words.weight"]);

    // What is converted again keeps it, also where it is only made as it is read.
    const half = await convert({ folder: full }, `${path}/half`, { dtype: "f16" });
    assertEquals([half.manifest.dtype, await readText(half, "dictionary.json")], ["f16", LIST]);
    using widened = await openModelSource({ folder: half });
    assertEquals(await readText(widened, "dictionary.json"), LIST);
    assertEquals(Object.keys(widened.fingerprints).sort(), [
      "dictionary.json",
      "net.safetensors as f32",
      "text.safetensors as f32",
      "words.safetensors as f32",
    ]);
    const without = await convert({ folder: full }, `${path}/without`, { without: ["words"] });
    assertEquals([without.manifest, without.fingerprints], [plain.manifest, plain.fingerprints]);
    const dropped = await convert(source, `${path}/dropped`, { without: ["words"] });
    assertEquals(dropped.manifest, plain.manifest);
  }));

Deno.test("loadModel: a model with the part paints otherwise than without, from checkpoints and folders alike", () =>
  inFolder(async (path) => {
    const plain = await paint({ net, text });
    await writeDictionary(`${path}/words`, "words.safetensors");
    const full = await paint({ net, text, words: `${path}/words/words.safetensors` });
    assertNotEquals(full, plain);
    const forms: DictionaryForm[] = ["model.safetensors", "pytorch_model.bin"];
    for (const form of forms) {
      const index = await writeDictionary(`${path}/${form}`, form);
      for (
        const words of [`${path}/${form}`, new URL(`file://${path}/${form}/`), `${path}/${form}/${index}`]
      ) {
        assertEquals(await paint({ net, text, words }), full);
      }
    }
    await convert({ net, text, words: `${path}/words` }, `${path}/full`);
    assertEquals(await paint(`${path}/full`), full);
    for (const place of [`${path}/full`, { net, text, words: `${path}/words` }]) {
      assertEquals(await paint(place, { without: ["words"] }), plain);
    }
    // It is not even looked at.
    await Deno.remove(`${path}/full/words.safetensors`);
    await Deno.remove(`${path}/full/dictionary.json`);
    assertEquals(await paint(`${path}/full`, { without: ["words"] }), plain);
    assertEquals(await paint({ net, text, words: `${path}/gone` }, { without: ["words"] }), plain);
    await assertRejects(() => paint(`${path}/full`), ModelFileError, "words.safetensors");
  }));

Deno.test("loadModel: fingerprints tell the part, its list, and that it was left out", () =>
  inFolder(async (path) => {
    await writeDictionary(`${path}/words`, "words.safetensors");
    const words = `${path}/words`;
    const prints = async (
      place: string | Checkpoints,
      options: LoadModelOptions = {},
    ): Promise<Readonly<Record<string, string>>> => {
      await using model = await loadModel(place, { device: "cpu", ...options });
      return model.fingerprints;
    };
    const plain = await prints({ net, text });
    assertEquals(plain, { "net as f32": sha256(net), "text as f32": sha256(text) });
    const full = await prints({ net, text, words });
    assertEquals(full, {
      ...plain,
      "words as f32": sha256(await Deno.readFile(`${words}/words.safetensors`)),
      "dictionary.json": sha256(new TextEncoder().encode(LIST)),
    });
    assertEquals(await prints({ net, text, words }, { without: ["words"] }), plain);
    const folder = await convert({ net, text, words }, `${path}/full`);
    const { "words.safetensors": _weights, "dictionary.json": _list, ...rest } = folder.fingerprints;
    assertEquals(await prints(`${path}/full`), folder.fingerprints);
    assertEquals(await prints(`${path}/full`, { without: ["words"] }), rest);
    // Another list is another model.
    await writeDictionary(`${path}/words`, "words.safetensors", { words: ["cat", "ships", "dog"] });
    const other = await prints({ net, text, words });
    assertEquals(other["words as f32"], full["words as f32"]);
    assertNotEquals(other["dictionary.json"], full["dictionary.json"]);
  }));

Deno.test("loadModel: the part and its files are found on a web server, too", () =>
  inFolder(async (path) => {
    await writeDictionary(path, "model.safetensors", { noted: "nothing" });
    await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async ({ url }) => {
      const { pathname } = new URL(url);
      return await Deno.readFile(path + pathname)
        .then((bytes) => new Response(bytes), () => new Response(null, { status: 404 }));
    });
    const words = `http://127.0.0.1:${server.addr.port}/`;
    assertEquals(await paint({ net, text, words }), await paint({ net, text, words: path }));
    await Deno.remove(`${path}/words.json`);
    const error = await assertRejects(() => paint({ net, text, words }), ModelFileError);
    assertEquals(error.file, `${words}words.json`);
    assertStringIncludes(error.message, "Cannot use the dictionary without the file that belongs beside it");
  }));

Deno.test("convertModel: what does not go with the part is refused, and nothing is written", () =>
  inFolder(async (path) => {
    const source = { net, text, words: `${path}/words` };
    const refusal = async (make: () => Promise<unknown>): Promise<ModelFileError> => {
      await Deno.remove(`${path}/words`, { recursive: true }).catch(() => {});
      await make();
      const error = await assertRejects(() => convert(source, `${path}/model`), ModelFileError);
      assertEquals(Array.from(Deno.readDirSync(path), ({ name }) => name), ["words"]);
      return error;
    };
    const write = (options: DictionaryOptions): Promise<string> =>
      writeDictionary(`${path}/words`, "words.safetensors", options);
    const short = await refusal(() => write({ rows: 4 }));
    assertEquals([short.file, short.expected], [`${path}/words/words.json`, "a list of 4"]);
    const noted = await refusal(() => write({ noted: 5 }));
    assertEquals([noted.file, noted.found], [`${path}/words/notes.json`, "5"]);
    const gone = await refusal(async () => {
      await write({});
      await Deno.remove(`${path}/words/words.json`);
    });
    assertEquals([gone.file, gone.found], [`${path}/words/words.json`, "no such file"]);
    assertStringIncludes(gone.message, "Cannot use the dictionary without the file that belongs beside it");
    const large = await refusal(async () => {
      await write({});
      await Deno.truncate(`${path}/words/words.json`, 2 ** 26 + 1);
    });
    assertStringIncludes(large.message, `expected at most ${2 ** 26} bytes, found ${2 ** 26 + 1}`);
    // Notes may be missing.
    await write({ noted: "nothing" });
    assert((await convert(source, `${path}/model`)).hasWeights("words"));
    // A folder that has lost the list has lost the part.
    const manifest = JSON.parse(await Deno.readTextFile(`${path}/model/model.json`));
    delete manifest.files["dictionary.json"];
    await Deno.writeTextFile(`${path}/model/model.json`, JSON.stringify(manifest));
    using folder = await openModelFolder(`${path}/model`);
    const lost = await assertRejects(() => openModelSource({ folder }), ModelFileError);
    assertEquals([lost.file, lost.expected], [`${path}/model/model.json`, '"dictionary.json"']);
  }));

Deno.test("openModelSource: a part with a file beside it cannot come from memory, nor be one that is needed", async () => {
  const words = await checkpoint("words.weight", [3, BITS], 1);
  const bytes = await assertRejects(() => loadModel({ net, text, words }, { device: "cpu" }), TypeError);
  assertStringIncludes(
    bytes.message,
    "Cannot make the model as words must be a path or URL, as words.json is read beside the dictionary: current value is ",
  );
  for (const without of [["net"], ["words", "text"], ["pictures"]]) {
    const error = await assertRejects(() => loadModel({ net, text }, { device: "cpu", without }), RangeError);
    assertStringIncludes(error.message, 'as without must be some of "words" for Mosaic: current value is [');
  }
  await assertRejects(
    () => loadModel("demo", { device: "cpu", without: ["words"] }),
    RangeError,
    'Cannot make the model as without must be empty for VAR: current value is ["words"]',
  );
  await assertRejects(
    () => loadModel({ net } as never, { device: "cpu" }),
    TypeError,
    "{ net, text, words? }",
  );
  // A part that is none is named.
  const lost = await assertRejects(() => openModelSource({ net, text, words: text }), ModelFileError);
  assertEquals(lost.expected, 'a tensor "words.weight"');
});

testInFolder("varscale: an optional part has its option, and is left out by --without", async (folder) => {
  await Deno.writeFile(`${folder}/net.safetensors`, net);
  await Deno.writeFile(`${folder}/text.safetensors`, text);
  await writeDictionary(`${folder}/words`, "pytorch_model.bin");
  const needed = ["--net-ckpt", `${folder}/net.safetensors`, "--text-ckpt", `${folder}/text.safetensors`];
  const all = [...needed, "--words-ckpt", `${folder}/words`];
  const help = (await succeed("generate", "--help")).out.replaceAll(/\s+/g, " ");
  assertMatch(help, /--words-ckpt FILE Checkpoint of the dictionary, [^-]*; may be left out/);
  assertMatch(help, /--text-ckpt FILE Checkpoint of the text encoder, [^;]* --words-ckpt/);
  assertMatch(
    help,
    /--without A,B,… Leave out parts that a model can do without: [^;]*words \(the dictionary\);/,
  );

  const hashes = async (name: string, ...args: string[]): Promise<string> => {
    const output = `${folder}/${name}`;
    await succeed("generate", "a cat", ...args, "--device", "cpu", "--no-recipe", "-q", "-o", output);
    return JSON.stringify(JSON.parse(await Deno.readTextFile(`${output}/run.json`)).images);
  };
  const full = await hashes("full", ...all);
  const plain = await hashes("plain", ...needed);
  assertNotEquals(full, plain);
  assertEquals(await hashes("left", ...all, "--without", "words"), plain);
  const converted = `${folder}/model`;
  await succeed("convert", ...all, "--output", converted);
  const { out } = await succeed("inspect", converted);
  assertMatch(out, /dictionary\s+3 words/);
  assertMatch(out, /dictionary\.json /);
  assertEquals(await hashes("folder", "--model", converted), full);
  assertEquals(await hashes("folder-left", "--model", converted, "--without=words"), plain);
  await succeed("convert", "--model", converted, "--without", "words", "--output", `${folder}/small`);
  assertEquals(await hashes("small-model", "--model", `${folder}/small`), plain);

  // The record says what was left out, and it is left out again.
  const record = JSON.parse(await Deno.readTextFile(`${folder}/folder-left/run.json`));
  assertEquals(record.model.place, { folder: converted, without: ["words"] });
  const repeated = await succeed(
    ...["generate", "--repeat", `${folder}/folder-left/run.json`, "--device", "cpu", "-o", `${folder}/again`],
  );
  assertStringIncludes(repeated.out, "1 of 1 image with the same tokens");
  assert(!repeated.err.includes("not those of the recorded run"), repeated.err);

  // A folder that holds a checkpoint and no model is inspected as one.
  const words = await succeed("inspect", `${folder}/words`);
  assertMatch(words.out, /checkpoint\s+.*words\/pytorch_model\.bin\.index\.json/);
  assertMatch(words.out, /dictionary\s+3 words/);

  const refused = async (...args: string[]): Promise<string> => {
    const { code, err } = await run([...args, "-o", `${folder}/none`]);
    assertEquals([code, Array.from(Deno.readDirSync(folder)).some(({ name }) => name === "none")], [
      2,
      false,
    ]);
    return err;
  };
  const generate = ["generate", "a cat", "--device", "cpu"];
  assertStringIncludes(
    await refused(...generate, ...needed, "--without", "text"),
    'without must be some of "words" for Mosaic: current value is ["text"]',
  );
  assertStringIncludes(
    await refused(...generate, "--without", "words"),
    "Option --without goes with --model or",
  );
  assertStringIncludes(
    await refused(...generate, "--words-ckpt", `${folder}/words`),
    "Options --net-ckpt and --text-ckpt are needed too",
  );
  assertStringIncludes(
    await refused(...generate, ...needed, "--words-ckpt", `${folder}/gone`),
    `${folder}/gone`,
  );
});
