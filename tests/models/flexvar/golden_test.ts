/**
 * FlexVAR against numbers recorded from the released code: the whole way from checkpoints to logits, tokens
 * and pixels. The weights follow formulas; see the fixture's README.
 *
 * @module
 */

import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import { guidance } from "../../../kernels/sampling/guidance.ts";
import { nearestCodes } from "../../../kernels/codebook/nearest.ts";
import { createResampleTable, resample, resampleWeights } from "../../../kernels/maps/resample.ts";
import { unitRows } from "../../../kernels/codebook/unit_rows.ts";
import { type FlexVarConfig, flexVarSizes } from "../../../models/flexvar/config.ts";
import { loadModel } from "../../../models/load.ts";
import type { GuidanceFormula } from "../../../models/schedule.ts";
import { testOnDevices } from "../../devices.ts";
import expected from "../../fixtures/golden/flexvar/expected.json" with { type: "json" };
import { maxDifference } from "../../fixtures/golden/golden.ts";
import { type FilledTensor, flexVarCheckpoints, safetensors, SMALL_FLEXVAR } from "./checkpoints.ts";

/** Logits of up to 65; an implementation in NumPy came within 8e-5 of the smaller ones. */
const LOGIT_TOLERANCE = 1e-4;
/** Pixels from -1 to 1. */
const PIXEL_TOLERANCE = 2e-3;

const LABELS = [3, 7];
const SIDES = [1, 2, 3, 4];

const TRANSFORMER: FlexVarConfig = {
  depth: 2,
  width: 128,
  heads: 2,
  classes: 10,
  sharedAdaptiveNorm: false,
  normalizedAttention: true,
  positionSide: 32,
  tokenizer: { vocabulary: 64, channels: 8, latentChannels: 8, decoder: null, encoder: null },
};

/** The formula of the recorded weights: tensor `t` in the order of their names. */
function sine(length: number, t: number, amplitude: number, offset = 0): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, (_, j) => {
    const value = Math.fround(amplitude * Math.sin((j + 1) * 12.9898 + (t + 1) * 78.233));
    return value + offset;
  });
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Sines of the row in even channels, cosines of the column in odd ones. */
function positionTable(channels: number, side: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: channels * side * side }, (_, i) => {
    const channel = Math.floor(i / side ** 2);
    const [y, x] = [Math.floor(i / side) % side, i % side];
    const frequency = 10000 ** (-2 * (channel >> 1) / channels);
    return channel % 2 === 0 ? Math.sin(y * frequency) : Math.cos(x * frequency);
  });
}

function codebookValues(): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: 64 * 8 }, (_, i) => Math.sin((i + 1) * 4.1414));
}

function transformerTensors(): FilledTensor[] {
  const amplitudes = new Map(expected.transformer.amplitudes as [string, number][]);
  const order = [...amplitudes.keys()];
  const { width, positionSide } = TRANSFORMER;
  return flexVarSizes(TRANSFORMER).tensors.transformer.map(({ name, shape }) => {
    const amplitude = amplitudes.get(name);
    if (amplitude === undefined) {
      assertEquals(name, "pos_1LC");
      return { name, shape, values: positionTable(width, positionSide) };
    }
    return { name, shape, values: sine(sizeOf(shape), order.indexOf(name), amplitude) };
  });
}

async function recordedModel(): Promise<{ var: Uint8Array; vae: Uint8Array }> {
  return {
    var: await safetensors(transformerTensors()),
    vae: await safetensors([
      { name: "quantize.embedding.weight", shape: [64, 8], values: codebookValues() },
    ]),
  };
}

interface RecordedScale {
  readonly first: readonly number[];
  readonly sum: number;
  readonly absolute: number;
  readonly tokens: readonly (readonly number[])[];
  readonly gap: number;
}

/** Index of the largest of each row. */
function largest(logits: Float32Array, vocabulary: number): number[] {
  return Array.from({ length: logits.length / vocabulary }, (_, row) => {
    const values = logits.subarray(row * vocabulary, (row + 1) * vocabulary);
    return values.indexOf(Math.max(...values));
  });
}

async function replay(device: Device, formula: GuidanceFormula): Promise<void> {
  await using model = await loadModel(await recordedModel(), { device });
  assertEquals([model.family, model.decodes, model.encodes], ["flexvar", false, false]);
  const { cfg, scales: recorded } = expected.runs[formula] as {
    readonly cfg: number;
    readonly scales: readonly RecordedScale[];
  };
  const schedule = model.schedule({ patchNumbers: SIDES, cfg, guidance: formula, published: true });
  const labels = LABELS.map((label) => model.resolveLabel(label));
  using generation = await model.start({ labels, guided: true, schedule });
  const images = LABELS.length;
  for (const [k, { width, height, sampling: { guidanceWeight: weight } }] of schedule.scales.entries()) {
    const positions = width * height;
    using logits = await generation.logits();
    using guided = device.allocate(images * positions * 64);
    device.run(guidance, { logits, guided, images, positions, vocabulary: 64, weight });
    const values = await readFloats(guided);
    const { first, sum, absolute, tokens, gap } = recorded[k]!;
    const difference = maxDifference(values.subarray(0, 8), first);
    assert(difference <= LOGIT_TOLERANCE, `${difference} at scale ${k}`);
    const found = values.reduce((total, value) => total + value, 0);
    assertAlmostEquals(found, sum, values.length * LOGIT_TOLERANCE / 4);
    const size = values.reduce((total, value) => total + Math.abs(value), 0);
    assertAlmostEquals(size, absolute, values.length * LOGIT_TOLERANCE / 4);
    // Where the recorded gap is smaller than the tolerance, nothing could be said of the tokens.
    assert(gap > 2 * LOGIT_TOLERANCE);
    const chosen = largest(values, 64);
    assertEquals(chosen, tokens.flat(), `tokens of scale ${k}`);
    using accepted = device.upload(Uint32Array.from(chosen));
    generation.accept(accepted);
  }
}

testOnDevices(
  "published: logits and tokens of all scales are the recorded ones, with guidance that grows",
  async (device) => {
    await replay(device, "ramp");
  },
);

testOnDevices(
  "published: logits and tokens of all scales are the recorded ones, with constant guidance",
  async (device) => {
    await replay(device, "constant");
  },
);

testOnDevices("published: the map of positions is resized to the recorded ones", async (device) => {
  const table = positionTable(128, 32);
  for (const [channel, y, x, value] of expected.positions.table as number[][]) {
    assertAlmostEquals(table[(channel! * 32 + y!) * 32 + x!]!, value!, 1e-6);
  }
  using input = device.upload(table);
  for (const [text, { samples, sum, absolute }] of Object.entries(expected.positions.area)) {
    const side = Number(text);
    using resizing = createResampleTable(device, "area", 32, side);
    using output = device.allocate(128 * side ** 2);
    device.run(resample, { input, output, table: resizing, images: 1, channels: 128, layout: "rows" });
    const rows = await readFloats(output);
    for (const [channel, y, x, value] of samples as number[][]) {
      assertAlmostEquals(rows[(y! * side + x!) * 128 + channel!]!, value!, 1e-6);
    }
    const total = rows.reduce((all, value) => all + value, 0);
    assertAlmostEquals(total, sum, 1e-6 * rows.length);
    assertAlmostEquals(rows.reduce((all, value) => all + Math.abs(value), 0), absolute, 1e-6 * rows.length);
  }
});

Deno.test("published: bicubic steps from each scale to the next have the recorded weights", () => {
  for (const [step, recorded] of Object.entries(expected.bicubic)) {
    const [from, to] = step.split("->").map(Number) as [number, number];
    const { first, count, taps, weights } = resampleWeights("bicubic", from, to);
    const matrix = Array.from({ length: to }, (_, i) => {
      const row = new Float64Array(from);
      row.set(weights.subarray(i * taps, i * taps + count[i]!), first[i]);
      return row;
    });
    const checksum = matrix.reduce((total, row, i) => {
      return total + row.reduce((sum, weight, j) => sum + weight * (i + 1) * (j + 2), 0);
    }, 0);
    assertAlmostEquals(checksum, recorded.checksum, 1e-9 * to * to * from);
    const { row0, rowlast } = recorded;
    assert(maxDifference(matrix[0]!, row0) < 1e-8);
    assert(maxDifference(matrix.at(-1)!, rowlast) < 1e-8);
    for (const [i, row] of ("matrix" in recorded ? recorded.matrix as number[][] : []).entries()) {
      assert(maxDifference(matrix[i]!, row) < 1e-8);
    }
  }
});

testOnDevices("published: features get the recorded codes", async (device) => {
  // The recorded features are [2, 8, 3, 3]; codes are found for rows.
  const rows = Float32Array.from({ length: 2 * 9 * 8 }, (_, i) => {
    const [image, position, channel] = [Math.floor(i / 72), Math.floor(i / 8) % 9, i % 8];
    return Math.sin(((image * 8 + channel) * 9 + position) * 0.913 + 0.2);
  });
  using input = device.upload(rows);
  using features = device.allocate(rows.length);
  device.run(unitRows, { input, output: features, count: 18, channels: 8 });
  using published = device.upload(codebookValues());
  using codebook = device.allocate(64 * 8);
  device.run(unitRows, { input: published, output: codebook, count: 64, channels: 8 });
  using tokens = device.allocate(18);
  device.run(nearestCodes, { features, codebook, tokens, count: 18, vocabulary: 64, channels: 8 });
  assertEquals([...await readWords(tokens)], expected.quantizer.tokens);
});

/**
 * The recorded decoder has an input of 16 channels and 3×2 positions. Here each position has a token of its
 * own, whose code is a unit vector, which the convolution before the decoder turns into what was recorded
 * there.
 */
const DECODER: FlexVarConfig = {
  ...SMALL_FLEXVAR,
  tokenizer: {
    vocabulary: 6,
    channels: 6,
    latentChannels: 16,
    decoder: [32, 32, 64, 64, 128].map((channels, i) => ({ channels, blocks: 3, attention: i === 4 })),
    encoder: null,
  },
};

function decoderTensors(): FilledTensor[] {
  const { tokenizer } = flexVarSizes(DECODER).tensors;
  const inside = tokenizer.filter(({ name }) => name.startsWith("decoder."));
  const order = inside.map(({ name }) => name).sort();
  const decoder = inside.map(({ name, shape }) => {
    const isNorm = /norm/.test(name);
    const isBias = name.endsWith(".bias");
    const values = sine(
      sizeOf(shape),
      order.indexOf(name),
      isNorm || isBias ? 0.1 : 0.05,
      isNorm && !isBias ? 1 : 0,
    );
    return { name, shape, values };
  });
  const identity = Float32Array.from({ length: 36 }, (_, i) => i % 7 === 0 ? 2 : 0);
  // Channels of the recorded input are rows of the convolution, positions its columns.
  const recorded = Float32Array.from({ length: 96 }, (_, i) => Math.sin(i * 0.77 + 0.1));
  return [
    ...decoder,
    { name: "quantize.embedding.weight", shape: [6, 6], values: identity },
    { name: "post_quant_conv.weight", shape: [16, 6, 1, 1], values: recorded },
    { name: "post_quant_conv.bias", shape: [16], values: new Float32Array(16) },
  ];
}

testOnDevices("published: a decoded map that is not square has the recorded pixels", async (device) => {
  const checkpoints = {
    var: (await flexVarCheckpoints(DECODER)).var,
    vae: await safetensors(decoderTensors()),
  };
  await using model = await loadModel(checkpoints, { device });
  const schedule = model.schedule({ size: { width: 32, height: 48 } });
  const labels = [model.resolveLabel(0)];
  using generation = await model.start({ labels, guided: false, schedule });
  for (const { width, height } of schedule.scales) {
    using _logits = await generation.logits();
    using tokens = device.upload(Uint32Array.from({ length: width * height }, (_, i) => i));
    generation.accept(tokens);
  }
  using pictures = await generation.decode();
  const { shape, sum, absolute, first, center, last } = expected.decoder;
  assertEquals([1, 3, pictures.height, pictures.width], shape);
  const pixels = await readFloats(pictures.array);
  assertEquals(pixels.length, sizeOf(shape));
  assert(maxDifference(pixels.subarray(0, 8), first) < PIXEL_TOLERANCE);
  const at = (y: number, x: number): number[] => [0, 1, 2].map((plane) => pixels[(plane * 48 + y) * 32 + x]!);
  assert(maxDifference(at(24, 16), center) < PIXEL_TOLERANCE);
  assert(maxDifference(at(47, 31), last) < PIXEL_TOLERANCE);
  assertAlmostEquals(
    pixels.reduce((total, value) => total + value, 0),
    sum,
    pixels.length * PIXEL_TOLERANCE / 100,
  );
  const size = pixels.reduce((total, value) => total + Math.abs(value), 0);
  assertAlmostEquals(size, absolute, pixels.length * PIXEL_TOLERANCE / 100);
});
