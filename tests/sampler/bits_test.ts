/**
 * The sampler with tokens that are no indices: 40 bits in two words, on maps that are not square, from
 * prompts instead of classes.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { readFloats, readWords } from "../../kernels/device/device.ts";
import { writeSafetensors } from "../../models/checkpoint/mod.ts";
import { registerFamily } from "../../models/families.ts";
import { loadModel } from "../../models/load.ts";
import type { Model } from "../../models/model.ts";
import { generate } from "../../sampler/generate.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import { RgbaImage } from "../../sampler/pictures/image.ts";
import type { GenerateRequest } from "../../sampler/request.ts";
import { generateSeries } from "../../sampler/series.ts";
import { varScaling } from "../../sampler/methods/var_scaling.ts";
import { BITS, MOSAIC } from "../other_family/mosaic.ts";
import { tokensOf } from "./models.ts";

registerFamily(MOSAIC);

async function checkpoint(name: string, shape: readonly [number, number]): Promise<Uint8Array> {
  const values = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.sin((i + 1) * 12.9898));
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const file = new Response(readable).bytes();
  await writeSafetensors(writable, [{
    name,
    dtype: "F32",
    shape,
    bytes: () => new Uint8Array(values.buffer),
  }]);
  return await file;
}

async function withModel(test: (model: Model) => Promise<void>): Promise<void> {
  const net = await checkpoint("colors.weight", [3, BITS]);
  const text = await checkpoint("letters.weight", [128, BITS]);
  await using model = await loadModel({ net, text }, { device: "cpu" });
  const { liveArrays } = model.device.counters;
  await test(model);
  assertEquals(model.device.counters.liveArrays, liveArrays, "arrays left behind");
}

/** Its maps have 2×1, 4×2 and 8×4 tokens after the first. */
const REQUEST: GenerateRequest = {
  labels: ["a cat", "a dog"],
  size: { width: 16, height: 8 },
  seed: 3,
  cfg: 1,
  temperature: 0.3,
};
/** Its left half is white, all bits of whose tokens are set; those of black are not. */
const source = new RgbaImage(16, 8);
for (let i = 0; i < 128; i++) if (i % 16 < 8) source.data.fill(255, 4 * i, 4 * i + 3);
const WHITE = [0xffffffff, 0xff];

Deno.test("generate: an edit keeps whole tokens, in every candidate of a search, too", () =>
  withModel(async (model) => {
    const draws = 9;
    const seen: number[] = [];
    const inspect: ScaleHook = {
      name: "inspect",
      scales: [2, 3],
      choose: async (step) => {
        const { device, width, height, positions, lanes, model: { tokens: space } } = step;
        const candidates = step.draw(draws);
        const words = await readWords(candidates);
        assertEquals(words.length, lanes.length * draws * positions * 2);
        const compact: number[] = [];
        for (let at = 0; at < words.length / 2; at++) {
          const token = [words[2 * at]!, words[2 * at + 1]!];
          if (at % width < width / 2) assertEquals(token, WHITE);
          else compact.push(...token);
        }
        // Densities are those of what is generated.
        using few = device.upload(Uint32Array.from(compact));
        const scores = step.allocate(lanes.length * draws);
        space.density(device, {
          ...{ tokens: few, scores, images: lanes.length, draws, positions: width / 2 * height },
          ...{ distance: "euclidean", features: "position", bandwidth: "image", deviation: "population" },
        });
        assertEquals(await readFloats(step.density(candidates, draws)), await readFloats(scores));
        seen.push(new Set(await readFloats(scores)).size);
      },
    };
    const edit = { image: source, box: [0, 0, 1, 0.5], mode: "outpaint", fit: "exact" } as const;
    const { images } = await generate(model, {
      ...{ ...REQUEST, edit, hooks: [inspect, varScaling({ samples: draws })] },
    });
    assert(seen.length === 2 && seen.every((different) => different > 1), seen.join());
    for (const { tokens, decisions } of images) {
      assertEquals(decisions.map(({ scale }) => scale), [2]);
      for (const [scale, width] of [[2, 4], [3, 8]] as const) {
        const map = tokens[scale]!;
        for (let at = 0; at < map.length / 2; at++) {
          if (at % width < width / 2) assertEquals([map[2 * at], map[2 * at + 1]], WHITE);
        }
      }
    }
  }));

Deno.test("generate: bits without a logit that is a number are noticed, unless they were not drawn", () =>
  withModel(async (model) => {
    const spoiling = (choose?: ScaleHook["choose"]): ScaleHook => ({
      name: "spoil",
      scales: [2],
      // Both values of bit 7 at position 5 of the second lane, of 8 positions with 40 bits each.
      guide: (step) =>
        step.device.write(step.logits, new Float32Array([NaN, -Infinity]), 2 * ((8 + 5) * 40 + 7)),
      ...(choose && { choose }),
    });
    for (const hooks of [[spoiling()], [spoiling(), varScaling({ samples: 5 })]]) {
      await assertRejects(
        () => generate(model, { ...REQUEST, cfg: 3, hooks }),
        RangeError,
        "Cannot draw a token for image 1 at scale 2, position 5, as all its logits are NaN or -Infinity",
      );
    }
    const { images } = await generate(model, {
      ...{ ...REQUEST, cfg: 3, hooks: [spoiling((step) => step.choose(step.allocate(32)))] },
    });
    assertEquals([...images[1]!.tokens[2]!], new Array(16).fill(0));
  }));

Deno.test("generate: chosen tokens need all of their words", () =>
  withModel(async (model) => {
    const choosing = (length: number): ScaleHook => ({
      name: "mine",
      scales: [2],
      choose: (step) => {
        const tokens = step.allocate(length);
        step.device.write(tokens, Uint32Array.from({ length }, (_, i) => i % 2 === 0 ? i : i % 256));
        step.choose(tokens);
      },
    });
    // Two lanes of 4×2 tokens of two words.
    await assertRejects(
      () => generate(model, { ...REQUEST, hooks: [choosing(31)] }),
      RangeError,
      "Cannot choose tokens for scale 2 as 32 are needed: the array holds 31",
    );
    const { images } = await generate(model, { ...REQUEST, hooks: [choosing(32)] });
    assertEquals(images.map(({ tokens }) => [...tokens[2]!.subarray(0, 4)]), [[0, 1, 2, 3], [
      16,
      17,
      18,
      19,
    ]]);
  }));

Deno.test("generateSeries: a series goes on from prompt to prompt", () =>
  withModel(async (model) => {
    const request: GenerateRequest = { ...REQUEST, labels: ["a cat", null, "ships"], count: 2 };
    const wanted = await generate(model, request);
    const batches = await Array.fromAsync(generateSeries(model, { ...request, batch: 4 }));
    const images = batches.flatMap(({ images }) => images);
    assertEquals(tokensOf({ images }), tokensOf(wanted));
    assertEquals(images.map(({ caption }) => caption), wanted.images.map(({ caption }) => caption));
  }));
