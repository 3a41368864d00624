/**
 * The whole model against numbers recorded from an implementation in PyTorch that shares nothing with this
 * one; see the fixture's README. Tokens are forced, so every scale is compared on its own.
 *
 * The aims are 1e-4 on logits and features and 2e-3 on pixels, absolute, for float32, as for VAR; guided
 * logits may be off by the sum of what they are made of.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Device, DeviceArray } from "../../../kernels/device/device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { guidance } from "../../../kernels/sampling/guidance.ts";
import { type Checkpoint, openCheckpoint, writeSafetensors } from "../../../models/checkpoint/mod.ts";
import { loadModel, type ModelSource } from "../../../models/load.ts";
import type { EncodeOptions, Generation, Model } from "../../../models/model.ts";
import type { PictureSize, Scale, Schedule, ScheduleRequest } from "../../../models/schedule.ts";
import { testOnDevices } from "../../devices.ts";
import { differenceOf, maxDifference, recordedTokens } from "../../fixtures/golden/golden.ts";

/** Logits and feature maps. */
const FEATURE_TOLERANCE = 1e-4;
/** Pixels from 0 to 1; those here are recorded from -1 to 1. */
const PIXEL_TOLERANCE = 2 * 2e-3;

const GRID = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16];
const LONG = [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 18];
const ENCODED = [1, 2, 3, 4, 6, 8];
/** By the paper's formula for pictures twice as wide as high. */
const WIDE: readonly (readonly [number, number])[] = [
  [1, 1],
  [1, 2],
  [1, 3],
  [2, 4],
  [2, 5],
  [3, 6],
  [4, 8],
  [5, 10],
  [6, 13],
  [8, 16],
];

const folder = new URL("../../fixtures/flexvar/", import.meta.url);
const trained = new URL("ar-ckpt.pth", folder);

function openRecorded(): Promise<Checkpoint> {
  return openCheckpoint(new URL("expected.safetensors", folder));
}

async function loaded(device: Device, source: ModelSource = { var: trained, vae: trained }): Promise<Model> {
  const model = await loadModel(source, { device });
  assertEquals(model.family, "flexvar");
  assertEquals(model.labels, { kind: "classes", count: 10, names: [] });
  return model;
}

/** Greatest differences by what was compared. */
class Differences {
  readonly #most = new Map<string, number>();

  add(what: string, difference: number): void {
    this.#most.set(what, Math.max(this.#most.get(what) ?? 0, difference));
  }

  /** Checks that just this was compared, and that nothing differs by more than its bound. */
  require(bounds: Readonly<Record<string, number>>): void {
    assertEquals([...this.#most.keys()].sort(), Object.keys(bounds).sort());
    for (const [what, most] of this.#most) {
      assert(most <= bounds[what]!, `${what}: ${most} > ${bounds[what]}`);
    }
  }
}

/** What a run was recorded with, beside its tokens. */
interface Run {
  /** Name in the fixture. */
  readonly name: string;
  /** The schedule, and for each way of guiding the one that makes its weights. */
  readonly request: ScheduleRequest;
  readonly guided: Readonly<Record<string, ScheduleRequest>>;
  /** Scales whose pictures were recorded whole. */
  readonly pictures?: readonly number[];
}

/** Generates with the recorded tokens and compares everything that was recorded. */
async function replay(model: Model, recorded: Checkpoint, run: Run): Promise<Differences> {
  const { name, request, guided, pictures = [] } = run;
  const found = new Differences();
  const labels = [...await recorded.readFloat32("labels")].map((label) => model.resolveLabel(label));
  const schedule = model.schedule(request);
  using generation = await model.start({ labels, guided: true, schedule });
  for (const [k, scale] of schedule.scales.entries()) {
    const positions = scale.width * scale.height;
    using logits = await generation.logits();
    const all = await readFloats(logits);
    assertEquals(all.length, 2 * labels.length * positions * model.tokens.logits);
    const spots = [Math.floor(positions / 2), positions - 1];
    const own = [0, labels.length].flatMap((row) => spots.map((spot) => row * positions + spot));
    found.add(
      "logits",
      maxDifference(rowsOf(all, model, own), await recorded.readFloat32(`${name}.logits.${k}`)),
    );
    found.add(
      "mean logits",
      maxDifference(meansOf(all, model, positions), await recorded.readFloat32(`${name}.mean.${k}`)),
    );
    for (const [form, weights] of Object.entries(guided)) {
      const { sampling } = model.schedule({ ...request, ...weights }).scales[k]!;
      const mixed = await guide(model, logits, {
        images: labels.length,
        positions,
        weight: sampling.guidanceWeight,
      });
      const spot = labels.map((_, row) => row * positions + spots[0]!);
      found.add(
        form,
        maxDifference(rowsOf(mixed, model, spot), await recorded.readFloat32(`${name}.${form}.${k}`)),
      );
    }
    using tokens = await recordedTokens(model.device, recorded, `${name}.tokens.${k}`);
    generation.accept(tokens);
    if (recorded.tensors.has(`${name}.input.${k}`)) {
      const planes = await recorded.readFloat32(`${name}.input.${k}`);
      const rows = toRows(planes, model.tokens.channels, schedule.scales[k + 1]!);
      found.add("next input", await differenceOf(generation.features, Float32Array.of(...rows, ...rows)));
    }
    if (pictures.includes(k)) {
      found.add(
        "picture",
        await pictureDifference(generation, recorded, { name: `${name}.picture.${k}`, scale }),
      );
    }
    if (recorded.tensors.has(`${name}.picture.${k}.first`)) {
      found.add("corners", await cornerDifference(generation, recorded, `${name}.picture.${k}`));
    }
  }
  return found;
}

/** Rows of V logits. */
function rowsOf(
  logits: Float32Array,
  { tokens: { logits: width } }: Model,
  rows: readonly number[],
): number[] {
  return rows.flatMap((row) => [...logits.subarray(row * width, (row + 1) * width)]);
}

/** The mean logits of all positions of each image. */
function meansOf(
  logits: Float32Array,
  { tokens: { logits: width } }: Model,
  positions: number,
): Float64Array {
  const means = new Float64Array(logits.length / positions);
  for (const [i, value] of logits.entries()) {
    means[Math.floor(i / (positions * width)) * width + i % width]! += value / positions;
  }
  return means;
}

async function guide(
  { device, tokens: { logits: vocabulary } }: Model,
  logits: DeviceArray,
  sizes: { readonly images: number; readonly positions: number; readonly weight: number },
): Promise<Float32Array> {
  using guided = device.allocate(sizes.images * sizes.positions * vocabulary);
  device.run(guidance, { logits, guided, vocabulary, ...sizes });
  return await readFloats(guided);
}

/** Planes [B, C, l] as rows [B, l, C]. */
function toRows(planes: Float32Array, channels: number, { width, height }: Scale): Float32Array {
  const positions = width * height;
  return planes.map((_, i) => {
    const image = Math.floor(i / channels / positions);
    const position = Math.floor(i / channels) % positions;
    return planes[(image * channels + i % channels) * positions + position]!;
  });
}

/** Of the first image's picture, the only one recorded. */
async function pictureDifference(
  generation: Pick<Generation, "decode">,
  recorded: Checkpoint,
  { name, scale }: { readonly name: string; readonly scale: Scale },
): Promise<number> {
  using decoded = await generation.decode();
  assertEquals({ width: decoded.width, height: decoded.height }, scale.picture);
  const wanted = await recorded.readFloat32(name);
  return maxDifference((await readFloats(decoded.array)).subarray(0, wanted.length), wanted);
}

/** The first and the last 24×24 pixels. */
async function cornerDifference(generation: Generation, recorded: Checkpoint, name: string): Promise<number> {
  using decoded = await generation.decode();
  const { width, height } = decoded;
  const pixels = await readFloats(decoded.array);
  const corner = (top: number, left: number): number[] => {
    return Array.from({ length: 3 * 24 * 24 }, (_, i) => {
      const [channel, y, x] = [Math.floor(i / 576), Math.floor(i / 24) % 24, i % 24];
      return pixels[(channel * height + top + y) * width + left + x]!;
    });
  };
  return Math.max(
    maxDifference(corner(0, 0), await recorded.readFloat32(`${name}.first`)),
    maxDifference(corner(height - 24, width - 24), await recorded.readFloat32(`${name}.last`)),
  );
}

testOnDevices(
  "published: the usual maps give the reference's logits, inputs and pictures",
  async (device) => {
    await using model = await loaded(device);
    using recorded = await openRecorded();
    assertEquals(model.patchNumbers, GRID);
    const found = await replay(model, recorded, {
      name: "grid",
      request: {},
      guided: { ramp: { cfg: 2.5 }, constant: { cfg: 4, guidance: "constant" } },
      pictures: [0, 2, 3],
    });
    found.require({
      "logits": FEATURE_TOLERANCE,
      "mean logits": FEATURE_TOLERANCE,
      "ramp": (1 + 2 * 2.5) * FEATURE_TOLERANCE,
      "constant": (1 + 2 * 3) * FEATURE_TOLERANCE,
      "next input": FEATURE_TOLERANCE,
      "picture": PIXEL_TOLERANCE,
      "corners": PIXEL_TOLERANCE,
    });
  },
);

testOnDevices(
  "published: maps off the grid give the reference's logits, guided by default and as published",
  async (device) => {
    await using model = await loaded(device);
    using recorded = await openRecorded();
    const found = await replay(model, recorded, {
      name: "long",
      request: { patchNumbers: LONG },
      guided: { default: { cfg: 2.5 }, published: { cfg: 2.5, published: true } },
    });
    found.require({
      "logits": FEATURE_TOLERANCE,
      "mean logits": FEATURE_TOLERANCE,
      "default": (1 + 2 * 2.5) * FEATURE_TOLERANCE,
      "published": (1 + 2 * 2.5 * 10 / 9) * FEATURE_TOLERANCE,
    });
  },
);

testOnDevices(
  "published: maps that are not square give the reference's logits, inputs and pictures",
  async (device) => {
    await using model = await loaded(device);
    using recorded = await openRecorded();
    const request = { size: { width: 128, height: 64 } };
    assertEquals(shapes(model.schedule(request)), WIDE);
    const found = await replay(model, recorded, {
      name: "wide",
      request,
      guided: { ramp: { cfg: 2.5 } },
      pictures: [1, 3],
    });
    found.require({
      "logits": FEATURE_TOLERANCE,
      "mean logits": FEATURE_TOLERANCE,
      "ramp": (1 + 2 * 2.5) * FEATURE_TOLERANCE,
      "next input": FEATURE_TOLERANCE,
      "picture": PIXEL_TOLERANCE,
    });
  },
);

function shapes({ scales }: Schedule): [number, number][] {
  return scales.map(({ width, height }) => [height, width]);
}

/** A picture of integer arithmetic, [3, height, width] from -1 to 1; the README has the formula. */
function photo({ width, height }: PictureSize, n: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: 3 * height * width }, (_, i) => {
    const [c, y, x] = [Math.floor(i / (width * height)), Math.floor(i / width) % height, i % width];
    const sum = x * x * (3 + c) + y * y * (5 - c) + 2 * x * y * (c + 1) + 97 * n;
    return Math.floor(sum / Math.floor((width + height) / 4)) % 256 / 127.5 - 1;
  });
}

/**
 * Encodes a picture of the fixture and compares features, the tokens of all scales, and the recorded
 * pictures.
 */
async function compareEncoding(
  model: Model,
  recorded: Checkpoint,
  { name, size, n, schedule, pictures }: {
    readonly name: string;
    readonly size: PictureSize;
    readonly n: number;
    readonly pictures: readonly number[];
  } & Required<Pick<EncodeOptions, "schedule">>,
): Promise<void> {
  const { device } = model;
  using array = device.upload(photo(size, n));
  using encoding = await model.encode({ array, ...size }, 1, { schedule });
  const features = await differenceOf(encoding.features, await recorded.readFloat32(`${name}.features`));
  assert(features <= FEATURE_TOLERANCE, `features: ${features}`);
  const tokens = await device.read(encoding.tokens);
  assertEquals(tokens.length, schedule.scales.length);
  for (const [k, map] of tokens.entries()) {
    assertEquals([...map], [...await recorded.readFloat32(`${name}.tokens.${k}`)], `scale ${k}`);
  }
  for (const k of pictures) {
    const scale = schedule.scales[k]!;
    const picture = { decode: () => encoding.decode(k) };
    const difference = await pictureDifference(picture, recorded, { name: `${name}.picture.${k}`, scale });
    assert(difference <= PIXEL_TOLERANCE, `picture ${k}: ${difference}`);
  }
}

testOnDevices(
  "published: an encoded picture has the reference's features, tokens and pictures",
  async (device) => {
    await using model = await loaded(device);
    using recorded = await openRecorded();
    const square = model.schedule({ patchNumbers: ENCODED });
    assertEquals(square.picture, { width: 64, height: 64 });
    await compareEncoding(model, recorded, {
      ...{ name: "encode", size: square.picture, n: 8 },
      ...{ schedule: square, pictures: [1, 3] },
    });
    await compareEncoding(model, recorded, {
      ...{ name: "twice", size: { width: 128, height: 128 }, n: 37 },
      ...{ schedule: square, pictures: [] },
    });
    const wide = model.schedule({ size: { width: 128, height: 64 } });
    await compareEncoding(model, recorded, {
      ...{ name: "encode_wide", size: wide.picture, n: 33 },
      ...{ schedule: wide, pictures: [4] },
    });
  },
);

/** Tensors of a checkpoint under other names, as a safetensors file. */
async function repacked(source: Checkpoint, from: string, to: string): Promise<Uint8Array<ArrayBuffer>> {
  const entries = [...source.tensors.values()].filter(({ name }) => name.startsWith(from)).map((info) => ({
    ...info,
    name: to + info.name.slice(from.length),
    bytes: () => source.read(info.name),
  }));
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const [file] = await Promise.all([new Response(readable).bytes(), writeSafetensors(writable, entries)]);
  return file;
}

testOnDevices("published: flat, wrapped and trainer's checkpoints are one model", async (device) => {
  using source = await openCheckpoint(trained);
  const transformer = await repacked(source, "trainer.var_wo_ddp.", "");
  const tokenizers = [
    await repacked(source, "trainer.vae_local.", "model."),
    await repacked(source, "trainer.vae_local.", ""),
  ];
  await using original = await loaded(device);
  const wanted = await firstMaps(original);
  for (const tokenizer of tokenizers) {
    await using model = await loaded(device, { var: transformer, vae: tokenizer });
    assertEquals(await firstMaps(model), wanted);
  }
});

/** Logits and picture of two maps. */
async function firstMaps(model: Model): Promise<Float32Array[]> {
  const schedule = model.schedule({ patchNumbers: [1, 3] });
  using generation = await model.start({ labels: [model.resolveLabel(3)], guided: true, schedule });
  const found: Float32Array[] = [];
  for (const { width, height } of schedule.scales) {
    using logits = await generation.logits();
    found.push(await readFloats(logits));
    using tokens = model.device.upload(Uint32Array.from({ length: width * height }, (_, i) => 7 * i + 5));
    generation.accept(tokens);
  }
  using decoded = await generation.decode();
  found.push(await readFloats(decoded.array));
  return found;
}
