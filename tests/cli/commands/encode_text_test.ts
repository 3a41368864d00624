/**
 * Features of prompts on the command line: encoded and kept, given back to every command that paints, and
 * refused where they do not suit. The model is a small one whose pictures depend on the features alone.
 */

import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { encodeTextFeatures, readTextFeatures, registerFamily, TextFeatures } from "../../../mod.ts";
import { checkpoint } from "../../other_family/checkpoint.ts";
import { BITS, MOSAIC } from "../../other_family/mosaic.ts";

/** What the encoder was asked for, one list a call. */
const encoded: (readonly string[])[] = [];
/** Whether there is an encoder. */
let encodes = true;

const FINGERPRINT = { text_encoder: "a".repeat(64) };

/** Two channels for each word, thirds so that halves are other numbers. */
function featuresOf(prompt: string): Float32Array<ArrayBuffer> {
  const words = `${prompt} .`.split(" ");
  return Float32Array.from(words.flatMap((word, i) => [word.length / 3, (word.codePointAt(0) ?? 0) / 3 + i]));
}

registerFamily({
  ...MOSAIC,
  load: async (folder, device, options) => {
    const model = await MOSAIC.load(folder, device, options);
    const { start, resolveLabel } = model;
    model.resolveLabel = (label) => {
      return label === "" ? { id: null, name: "", prompt: "" } : resolveLabel.call(model, label);
    };
    model.textsOf = (labels) => [...new Set(labels.flatMap(({ prompt }) => prompt ?? []))];
    model.requireTextFeatures = ({ channels }) => {
      if (channels !== 2) throw new RangeError(`Cannot use features of ${channels} channels: they must be 2`);
    };
    model.encodeText = (prompts, { onProgress, signal } = {}) => {
      if (!encodes) return Promise.reject(new TypeError("Cannot encode prompts without a text encoder"));
      encoded.push(prompts);
      for (const i of prompts.keys()) {
        signal?.throwIfAborted();
        onProgress?.(i + 1, prompts.length);
      }
      const features = new Map(prompts.map((prompt) => [prompt, featuresOf(prompt)]));
      return Promise.resolve(new TextFeatures(2, features, { encoder: FINGERPRINT }));
    };
    model.start = async ({ textFeatures, labels, ...options }) => {
      const prompts = model.textsOf!(labels, model.schedule());
      const features = textFeatures ?? await model.encodeText!(prompts);
      const seen = labels.map((label) => {
        return label.prompt === undefined ? label : {
          ...label,
          prompt: features.require(label.prompt).values.join(),
        };
      });
      return start.call(model, { ...options, labels: seen });
    };
    return model;
  },
});
// The command line makes its options of the families that are registered when it is loaded.
const { filesIn, run, succeed, testInFolder } = await import("../run.ts");

const net = await checkpoint("colors.weight", [3, BITS], 12.9898);
const text = await checkpoint("letters.weight", [128, BITS], 78.233);

async function model(folder: string): Promise<string[]> {
  await Deno.writeFile(`${folder}/net.safetensors`, net);
  await Deno.writeFile(`${folder}/text.safetensors`, text);
  encoded.length = 0;
  return [
    ...["--net-ckpt", `${folder}/net.safetensors`, "--text-ckpt", `${folder}/text.safetensors`],
    ...["--device", "cpu"],
  ];
}

/** The tokens of a generation's images. */
async function tokens(folder: string): Promise<unknown[]> {
  return JSON.parse(await Deno.readTextFile(`${folder}/run.json`)).images
    .map(({ tokens }: { tokens: unknown }) => tokens);
}

testInFolder(
  "varscale encode-text: features are kept once for each prompt, and read back",
  async (folder) => {
    const args = ["encode-text", `${folder}/prompts.txt`, ...await model(folder)];
    await Deno.writeTextFile(`${folder}/prompts.txt`, "a cat\nドーナツ\na cat\n");
    const { out, err } = await succeed(...args, "-o", `${folder}/new/features.safetensors`);
    assertMatch(out, /features\.safetensors: 2 prompts, 2 channels in f32, \d+ bytes\n$/);
    assertStringIncludes(err, "1 of 2 prompts");
    assertEquals(encoded, [["a cat", "ドーナツ"]]);
    assertEquals(filesIn(`${folder}/new`), ["features.safetensors"]);
    const features = await readTextFeatures(`${folder}/new/features.safetensors`);
    assertEquals([features.channels, features.encoder, features.prompts], [2, FINGERPRINT, encoded[0]]);
    assertEquals(features.require("a cat").values, featuresOf("a cat"));

    const half = await succeed(...args, "-o", `${folder}/half.safetensors`, "--dtype", "f16", "--quiet");
    assertEquals([half.out, half.err], ["", ""]);
    const halves = (await readTextFeatures(`${folder}/half.safetensors`)).require("a cat").values;
    assertEquals(halves, featuresOf("a cat").map((value) => Math.f16round(value)));
    assertNotEquals(halves, featuresOf("a cat"));
  },
);

testInFolder(
  "varscale encode-text: what cannot be is refused, and nothing is left behind",
  async (folder) => {
    const small = await model(folder);
    await Deno.writeTextFile(`${folder}/prompts.txt`, "a cat\n");
    await Deno.writeTextFile(`${folder}/large.jsonl`, JSON.stringify({ prompt: "x".repeat(300_000) }));
    await Deno.writeTextFile(`${folder}/there`, "mine");
    const before = filesIn(folder);
    const output = ["-o", `${folder}/a/features.safetensors`];
    const prompts = `${folder}/prompts.txt`;
    for (
      const [args, message] of [
        [small, "PROMPTS is needed"],
        [[prompts, ...small], "Option --output is needed"],
        [[prompts, prompts, ...small, ...output], "Unexpected argument"],
        [
          [prompts, ...small, "-o", `${folder}/there`],
          "there: it exists; choose another --output, or --overwrite",
        ],
        [[prompts, ...small, "-o", `${folder}/there/b`], "it is a file and no folder"],
        [[`${folder}/none`, ...small, ...output], `Cannot read ${folder}/none: no such file`],
        [[prompts, "--model", "demo", ...output], 'Cannot encode prompts as the model "demo" takes classes'],
        [[`${folder}/large.jsonl`, ...small, ...output, "--dtype", "f16"], "whose numbers end at 65504"],
        [[prompts, ...small, ...output, "--dtype", "q8"], "Option --dtype must be f32 or f16"],
      ] as const
    ) {
      const { code, err } = await run(["encode-text", ...args]);
      assertEquals(code, 2, err);
      assertStringIncludes(err, message);
      assertEquals(filesIn(folder), before);
    }
    encodes = false;
    const { code, err } = await run(["encode-text", prompts, ...small, ...output]);
    encodes = true;
    assertEquals([code, filesIn(folder)], [2, before]);
    assertStringIncludes(err, "Cannot encode prompts without a text encoder");
    const controller = new AbortController();
    controller.abort();
    const ended = await run(["encode-text", prompts, ...small, ...output], { signal: controller.signal });
    assertEquals([ended.code, filesIn(folder)], [130, before]);
    await succeed("encode-text", prompts, ...small, "-o", `${folder}/there`, "--overwrite");
    assertEquals((await readTextFeatures(`${folder}/there`)).prompts, ["a cat"]);
  },
);

testInFolder(
  "varscale generate: kept features take the place of the text encoder, and are recorded",
  async (folder) => {
    const small = await model(folder);
    await Deno.writeTextFile(`${folder}/prompts.jsonl`, '{"prompt": ""}\n{"prompt": "a cat"}\n');
    const file = `${folder}/features.safetensors`;
    await succeed("encode-text", `${folder}/prompts.jsonl`, ...small, "-o", file);
    const args = ["generate", "--prompts", `${folder}/prompts.jsonl`, ...small];
    await succeed(...args, "-o", `${folder}/encoder`);
    encodes = false;
    try {
      await succeed(...args, "--text-features", file, "-o", `${folder}/kept`);
      assertEquals(await tokens(`${folder}/kept`), await tokens(`${folder}/encoder`));
      const { request } = JSON.parse(await Deno.readTextFile(`${folder}/kept/run.json`));
      assertEquals(request.textFeatures, file);
      const repeat = ["generate", "--repeat", `${folder}/kept/run.json`, "--device", "cpu", "-q", "--json"];
      const again = await succeed(...repeat, "-o", `${folder}/again`);
      assertEquals(JSON.parse(again.out).repeat, { images: 2, sameTokens: 2, sameFiles: 2 });
      // They may lie elsewhere by now.
      await Deno.rename(file, `${folder}/moved`);
      const missing = await run([...repeat, "-o", `${folder}/lost`]);
      assertEquals(missing.code, 2);
      assertStringIncludes(missing.err, file);
      await succeed(...repeat, "--text-features", `${folder}/moved`, "-o", `${folder}/found`);
      assertEquals(await tokens(`${folder}/found`), await tokens(`${folder}/encoder`));
    } finally {
      encodes = true;
    }

    const foreign = new TextFeatures(3, new Map([["a cat", new Float32Array(3)]]));
    await Deno.writeFile(`${folder}/foreign`, await encodeTextFeatures(foreign));
    for (
      const [command, features, code, message] of [
        [args, `${folder}/foreign`, 2, "Cannot use features of 3 channels"],
        [args, `${folder}/none`, 2, `${folder}/none`],
        [args, `${folder}/net.safetensors`, 1, "Cannot read text features"],
        [["generate", "7", "--device", "cpu"], `${folder}/moved`, 2, "takes no texts: leave them out"],
      ] as const
    ) {
      const refused = await run([...command, "--text-features", features, "-o", `${folder}/refused`]);
      assertEquals(refused.code, code, refused.err);
      assertStringIncludes(refused.err, message);
      assert(!filesIn(folder).includes("refused"));
    }
  },
);

testInFolder(
  "varscale run: prompts are encoded once before the first picture, or read from a file",
  async (folder) => {
    const small = await model(folder);
    const prompts = `${folder}/prompts.txt`;
    await Deno.writeTextFile(prompts, "a cat\nships\na cat\n");
    const args = [
      ...["run", ...small, "--prompts", prompts, "--no-scaling", "-n", "2", "--batch", "1"],
      "--no-recipe", // which tells that features were given
    ];
    const output = `${folder}/out`;
    await succeed(...args, "-o", output);
    assertEquals(encoded, [["a cat", "ships"]]);
    // Of what is there nothing is encoded.
    await Deno.remove(`${output}/00001/samples/00000.png`);
    await succeed(...args, "-o", output);
    await succeed(...args, "-o", output);
    assertEquals(encoded, [["a cat", "ships"], ["ships"]]);

    const png = (folder: string): Promise<Uint8Array> => Deno.readFile(`${folder}/00001/samples/00000.png`);
    const [file, half] = [`${folder}/features`, `${folder}/half`];
    await succeed("encode-text", prompts, ...small, "-o", file);
    await succeed("encode-text", prompts, ...small, "-o", half, "--dtype", "f16");
    encodes = false;
    try {
      const kept = `${folder}/kept`;
      await succeed(...args, "--text-features", file, "-o", kept, "--shard", "2/2");
      await succeed(...args, "--text-features", file, "-o", kept, "--shard", "1/2");
      assertEquals(await png(kept), await png(output));
      // Features of other numbers would mix pictures of two kinds.
      for (const more of [[], ["--text-features", half]]) {
        const { code, err } = await run([...args, ...more, "-o", kept]);
        assertEquals(code, 2, err);
        assertStringIncludes(err, "textFeatures is ");
      }
      await Deno.writeTextFile(prompts, "a cat\nships\na cat\na dog\n");
      const { code, err } = await run([...args, "--text-features", file, "-o", kept]);
      assertEquals(code, 2);
      assertStringIncludes(err, 'it lacks 1 of 1 texts, "a dog" among them; encode all of them');
    } finally {
      encodes = true;
    }
    await succeed("encode-text", prompts, ...small, "-o", file, "--overwrite");
    await succeed(...args, "--text-features", file, "-o", `${folder}/kept`);
  },
);
