/**
 * Files on the hub that are not all in one repository, and models that are told apart by names of sizes: what
 * a text-to-image family publishes.
 *
 * @module
 */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  convertModel,
  createModelFolder,
  generate,
  HubError,
  hubModel,
  type HubPlace,
  loadModel,
  registerFamily,
} from "../../mod.ts";
import type { HubCheckpoints } from "../../models/hub_model.ts";
import { FakeHub, sha256 } from "../models/hub/fake_hub.ts";
import { writeShards } from "../models/checkpoint_files.ts";
import { inFolder } from "../models/folder/small_folder.ts";
import { checkpoint, type DictionaryForm, type DictionaryOptions, writeDictionary } from "./checkpoint.ts";
import { BITS, MOSAIC } from "./mosaic.ts";

registerFamily(MOSAIC);
/** One whose text encoder may lie in several places. */
registerFamily({
  ...MOSAIC,
  name: "tiles",
  title: "Tiles",
  parts: MOSAIC.parts.filter(({ name }) => name !== "words"),
  published: {
    repository: "nobody/tiles",
    example: "tiles_2B.bin",
    sizeOf: (file) => /^tiles_(\w+)\.bin$/.exec(file)?.[1],
    transformer: () => undefined,
    others: () => ({
      text: [
        { repository: "somebody/letters", revision: "v2", name: "letters.bin" },
        "letters.bin",
        { repository: "anybody/letters", name: "letters.bin" },
      ],
    }),
  },
});

const PLACE: HubPlace = { repository: "owner/name", revision: "main" };
const LETTERS = "letters.safetensors";

/** A file that nobody reads. */
function file(name: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(name.padEnd(200));
}

/** Where the checkpoints lie in the cache. */
function placesIn(hub: FakeHub, model: unknown): string[] {
  return Object.values((model as HubCheckpoints).checkpoints).map((path) =>
    path.slice(hub.cache.length + 1).replace(`/snapshots/${hub.commit}`, "")
  );
}

/** A hub with models of some sizes, and the text encoder in a repository of its own. */
function hubOf(...names: string[]): FakeHub {
  const hub = new FakeHub();
  for (const name of names) hub.files.set(name, file(name));
  hub.others.set("somebody/letters", new Map([[LETTERS, file(LETTERS)]]));
  return hub;
}

Deno.test("loadModel finds a model by the name of its size, and its text encoder elsewhere", async () => {
  await using hub = hubOf();
  const net = await checkpoint("colors.weight", [3, BITS], 12.9898);
  const text = await checkpoint("letters.weight", [128, BITS], 78.233);
  hub.files.set("mosaic_tiny.safetensors", net).set("mosaic_large.safetensors", net);
  hub.others.get("somebody/letters")!.set(LETTERS, text);
  const options = { device: "cpu", size: "tiny", without: ["words"], hub: hub.options() } as const;
  {
    await using model = await loadModel("hf:owner/name", options);
    assertEquals([model.family, model.size], ["mosaic", "tiny"]);
    assertEquals(model.fingerprints, { "net as f32": sha256(net), "text as f32": sha256(text) });
  }
  // What is in the cache is found there, in either repository.
  const offline = { ...options, hub: hub.options({ offline: true }) };
  await using again = await loadModel("hf:owner/name", offline);
  assertEquals(again.labels, { kind: "texts" });
  assertEquals(hub.transfers.length, 2);
  // The size that was asked for is that of the file's name; what is in it tells its own.
  await assertRejects(
    () => loadModel("hf:owner/name", { ...options, size: "large" }),
    RangeError,
    'Cannot load the model "Mosaic" as size must be its own, tiny: current value is "large"',
  );
});

Deno.test("hubModel names the sizes that there are", async () => {
  await using hub = hubOf("mosaic_10B.safetensors", "mosaic_2B.safetensors");
  await assertRejects(
    () => hubModel(PLACE, undefined, hub.options()),
    HubError,
    "it has several, say which by its size: 2B, 10B",
  );
  await assertRejects(
    () => hubModel(PLACE, "8B", hub.options()),
    HubError,
    "; there is size 2B, 10B",
  );
  await assertRejects(
    () => hubModel(PLACE, 16, hub.options()),
    HubError,
    "; there is size 2B, 10B",
  );
  hub.files.set("var_d16.pth", file("var_d16.pth"));
  await assertRejects(
    () => hubModel(PLACE, 20, hub.options()),
    HubError,
    "; there is depth 16 or size 2B, 10B",
  );
  await assertRejects(
    () => hubModel(PLACE, undefined, hub.options()),
    HubError,
    "say which by its depth: 16 or size: 2B, 10B",
  );
  const options = { ...hub.options(), without: ["words"] };
  assertEquals(placesIn(hub, await hubModel(PLACE, "2B", options)), [
    "models--owner--name/mosaic_2B.safetensors",
    `models--somebody--letters/${LETTERS}`,
  ]);
});

Deno.test("hubModel looks for a part where its family says, in that order", async () => {
  await using hub = hubOf("tiles_2B.bin", "notes.pth");
  const letters = ["models--owner--name/letters.bin", "models--anybody--letters/letters.bin"];
  const found = async (): Promise<string> => {
    const options = hub.options({ cacheFolder: `${hub.cache}/${crypto.randomUUID()}` });
    const places = placesIn(hub, await hubModel(PLACE, "2B", options));
    return places[1]!.slice(37);
  };
  // The only other checkpoint may be the part, as one candidate lies beside the transformer.
  assertEquals(await found(), "models--owner--name/notes.pth");
  hub.others.set("anybody/letters", new Map([["letters.bin", file("letters.bin")]]));
  assertEquals(await found(), letters[1]);
  hub.files.set("letters.bin", file("letters.bin"));
  assertEquals(await found(), letters[0]);
  // The revision that is named is asked for.
  const asked = hub.seen.filter(({ path }) => path.startsWith("/somebody/"));
  assertEquals(new Set(asked.map(({ path }) => path)), new Set(["/somebody/letters/resolve/v2/letters.bin"]));
});

Deno.test("hubModel takes nothing beside the transformer for a part that lies elsewhere", async () => {
  await using hub = hubOf("mosaic_2B.safetensors", "notes.pth");
  hub.others.clear();
  const error = await assertRejects(() => hubModel(PLACE, "2B", hub.options()), HubError);
  assertEquals([error.reason, error.message.includes("somebody/letters")], ["missing", true], error.message);
});

const net = await checkpoint("colors.weight", [3, BITS], 12.9898);
const text = await checkpoint("letters.weight", [128, BITS], 78.233);

/** Puts the files of a folder into a repository. */
async function publish(
  files: Map<string, Uint8Array<ArrayBuffer>>,
  folder: string,
  prefix = "",
): Promise<void> {
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (isFile) files.set(prefix + name, await Deno.readFile(`${folder}/${name}`));
  }
}

/** A hub with the network, the text encoder, and dictionaries in repositories of their own. */
async function hubWithWords(
  ...dictionaries: readonly (readonly [repository: string, form: DictionaryForm, odd?: DictionaryOptions])[]
): Promise<FakeHub> {
  const hub = hubOf();
  hub.files.set("mosaic_tiny.safetensors", net);
  hub.others.get("somebody/letters")!.set(LETTERS, text);
  for (const [repository, form, odd] of dictionaries) {
    const files = new Map([["README.md", file("README.md")]]);
    await inFolder(async (path) => {
      await writeDictionary(path, form, odd);
      await publish(files, path);
    });
    hub.others.set(repository, files);
  }
  return hub;
}

/** Names of the files that were fetched of a repository, in order. */
function fetched(hub: FakeHub, repository: string): string[] {
  const start = `/${repository}/resolve/`;
  return hub.seen.filter(({ method, path }) => method === "HEAD" && path.startsWith(start))
    .map(({ path }) => path.slice(start.length).replace(/^[^/]+\//, ""));
}

Deno.test("hubModel: with an index come the shards that it names and the files beside it, of one commit", async () => {
  await using hub = await hubWithWords(["somebody/words", "model.safetensors"]);
  const options = { device: "cpu", size: "tiny", hub: hub.options() } as const;
  const index = "model.safetensors.index.json";
  const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  const files = hub.others.get("somebody/words")!;
  const hash = sha256(
    new TextEncoder().encode([index, ...shards].map((name) => sha256(files.get(name)!)).join("\n")),
  );
  {
    await using model = await loadModel("hf:owner/name", options);
    assertEquals(model.fingerprints, {
      "net as f32": sha256(net),
      "text as f32": sha256(text),
      // What the hub tells of the shards is what reading all of them would.
      "words as f32": hash,
      "dictionary.json": sha256(files.get("words.json")!),
    });
  }
  // What decides whether the shards are of use comes before them.
  assertEquals(fetched(hub, "somebody/words"), [index, "words.json", "notes.json", ...shards]);
  const found = await hubModel(PLACE, "tiny", hub.options({ offline: true })) as HubCheckpoints;
  assertEquals(found.sha256.words, hash);
  {
    await using byPath = await loadModel(found.checkpoints, { device: "cpu" });
    assertEquals(byPath.fingerprints["words as f32"], hash);
  }
  const transfers = hub.transfers.length;
  await using offline = await loadModel("hf:owner/name", { ...options, hub: hub.options({ offline: true }) });
  assertEquals([Object.keys(offline.fingerprints).length, hub.transfers.length], [4, transfers]);
});

Deno.test("hubModel: of several repositories the first is taken that has the part and what it needs", async () => {
  await using hub = await hubWithWords(
    ["somebody/words", "model.safetensors"],
    ["anybody/words", "pytorch_model.bin", { noted: "nothing" }],
  );
  hub.others.get("somebody/words")!.delete("words.json");
  const { checkpoints } = await hubModel(PLACE, "tiny", hub.options()) as HubCheckpoints;
  assertEquals(checkpoints.words!.split("/").at(-1), "pytorch_model.bin.index.json");
  assertEquals(fetched(hub, "somebody/words"), ["model.safetensors.index.json", "words.json"]);
  await using model = await loadModel(checkpoints, { device: "cpu" });
  assertEquals(Object.keys(model.fingerprints).length, 4);
  // Where nobody has it, the first error counts, with what to do.
  hub.others.delete("anybody/words");
  const cacheFolder = `${hub.cache}/other`;
  const error = await assertRejects(() => hubModel(PLACE, "tiny", hub.options({ cacheFolder })), HubError);
  assertEquals(error.reason, "missing");
  assertStringIncludes(error.message, "Cannot download words.json of hf:somebody/words@");
  assertStringIncludes(error.message, '; the model can do without "words"');
  const offline = hub.options({ cacheFolder: `${hub.cache}/empty`, offline: true });
  await assertRejects(() => hubModel(PLACE, "tiny", offline), HubError, "must not be asked");
});

Deno.test("hubModel: what is left out is not fetched, and only what can be left out is", async () => {
  await using hub = await hubWithWords(["somebody/words", "model.safetensors"]);
  const options = { ...hub.options(), without: ["words"] };
  for (const size of ["tiny", undefined]) {
    const { checkpoints } = await hubModel(PLACE, size, options) as HubCheckpoints;
    assertEquals(Object.keys(checkpoints), ["net", "text"]);
  }
  assertEquals(fetched(hub, "somebody/words"), []);
  hub.seen.length = 0;
  const other = hub.options({ cacheFolder: `${hub.cache}/other` });
  await assertRejects(
    () => hubModel(PLACE, "tiny", { ...other, without: ["text"] }),
    RangeError,
    'Cannot make the model as without must be some of "words" for Mosaic: current value is ["text"]',
  );
  // Nor is anything else fetched then.
  assertEquals([fetched(hub, "owner/name"), hub.transfers], [[], []]);
});

Deno.test("hubModel: of a model folder, the files of a part that is left out are not fetched", () =>
  inFolder(async (path) => {
    await using hub = new FakeHub();
    await writeDictionary(`${path}/words`, "words.safetensors");
    await using writer = await createModelFolder(`${path}/model`);
    await convertModel({ net, text, words: `${path}/words` }, writer);
    await publish(hub.files, `${path}/model`);
    for (const size of ["tiny", undefined]) {
      hub.seen.length = 0;
      const cacheFolder = `${hub.cache}/${size}`;
      const options = { device: "cpu", ...(size === undefined ? {} : { size }) } as const;
      await using model = await loadModel("hf:owner/name", {
        ...options,
        ...{ without: ["words"], hub: hub.options({ cacheFolder }) },
      });
      assertEquals(Object.keys(model.fingerprints), ["net.safetensors", "text.safetensors"]);
      assertEquals(fetched(hub, "owner/name").filter((name) => /words|dictionary/.test(name)), []);
      await using whole = await loadModel("hf:owner/name", { ...options, hub: hub.options({ cacheFolder }) });
      assertEquals(Object.keys(whole.fingerprints).length, 4);
    }
  }));

Deno.test("hubModel: a transformer may be an index in a folder, and of two the published one is taken", () =>
  inFolder(async (path) => {
    await using hub = await hubWithWords();
    const values = Float32Array.from({ length: 3 * BITS }, (_, i) => Math.sin((i + 1) * 12.9898));
    const tensors = [{ name: "colors.weight", shape: [3, BITS], values }];
    const index = "pytorch_model.bin.index.json";
    await writeShards(path, tensors, { shards: ["pytorch_model-00001-of-00001.bin"], index });
    await publish(hub.files, path, "mosaic_big/");
    await publish(hub.files, path, "mosaic_big_half/");
    const options = { ...hub.options(), without: ["words"] };
    const found = await hubModel(PLACE, "big", options) as HubCheckpoints;
    assertEquals(placesIn(hub, found)[0], `models--owner--name/mosaic_big/${index}`);
    const asked = fetched(hub, "owner/name").filter((name) => name.includes("big"));
    assertEquals(asked, [
      // The likeliest name; then one that is there.
      "mosaic_big.safetensors",
      `mosaic_big/${index}`,
      "mosaic_big/pytorch_model-00001-of-00001.bin",
    ]);
    assertEquals(await hubModel(PLACE, "big", { ...options, offline: true }), found);
    await using model = await loadModel(found.checkpoints, { device: "cpu" });
    await using same = await loadModel({ net, text }, { device: "cpu" });
    const paint = async (one: typeof model): Promise<string> => {
      const { images: [image] } = await generate(one, { labels: "ships", seed: 2 });
      return String(image!.tokens);
    };
    assertEquals(await paint(model), await paint(same));
  }));

Deno.test("hubModel: other parts may depend on the size", () =>
  inFolder(async (path) => {
    await using hub = await hubWithWords(["somebody/words", "model.safetensors"]);
    await writeDictionary(path, "words.safetensors");
    await Deno.rename(`${path}/words.safetensors`, `${path}/words_huge.safetensors`);
    await publish(hub.files, path);
    hub.files.set("mosaic_huge.safetensors", net);
    const wordsOf = async (size: string): Promise<string> => {
      return placesIn(hub, await hubModel(PLACE, size, hub.options()))[2]!;
    };
    assertEquals(await wordsOf("huge"), "models--owner--name/words_huge.safetensors");
    assertEquals(await wordsOf("tiny"), "models--somebody--words/model.safetensors.index.json");
  }));
