/**
 * Small networks in the layouts of published files, with weights and pictures drawn as
 * `fixtures/vision/make_transformers.py` drew them, and what published implementations made of them.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Device, DeviceArray } from "../../../kernels/device/device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { openCheckpoint, type SafetensorsEntry, writeSafetensors } from "../../../models/checkpoint/mod.ts";
import type { Pictures } from "../../../models/vision/verifier.ts";
import { maxDifference } from "../../fixtures/golden/golden.ts";
import { testRandom } from "../../devices.ts";

const FOLDER = new URL("../../fixtures/vision/", import.meta.url);

/** What is recorded beside the numbers. */
interface Published {
  readonly files: Readonly<
    Record<string, { readonly seed: number; readonly shapes: Readonly<Record<string, readonly number[]>> }>
  >;
  readonly prompts: readonly { readonly prompt: string; readonly ids: readonly number[] }[];
}

/** Names and shapes of the files, prompts with their ids. */
export const PUBLISHED: Published = JSON.parse(
  await Deno.readTextFile(new URL("transformers.json", FOLDER)),
);

/** Path of the tokenizer that the prompts' ids are from. */
export const CLIP_TOKENIZER: URL = new URL("clip_tokenizer.json", FOLDER);

/**
 * What f32 may be off, in units of the largest value. Two layers have five products each in a row, of at most
 * 257 terms, whose roundings of 2^-24 add up like their root: 16 roundings ten times are 1e-5.
 */
export const TOLERANCE = 1e-5;

/** How a file differs from the published one. */
export interface FileChanges {
  /** Another name for a tensor, or none. */
  readonly rename?: (name: string) => string | undefined;
  /** Values as they are stored: f32 by default. */
  readonly dtype?: "F32" | "F16" | "BF16";
  /** Changes the values. */
  readonly change?: (values: Float32Array<ArrayBuffer>) => Float32Array<ArrayBuffer>;
  /** Other shapes by name. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
}

/** A network's file as safetensors. */
export async function publishedFile(network: string, changes: FileChanges = {}): Promise<Uint8Array> {
  const { rename = (name) => name, dtype = "F32", change = (values) => values, shapes: other = {} } = changes;
  const { seed, shapes } = PUBLISHED.files[network]!;
  const entries = Object.entries(shapes).flatMap(([name, published], number): SafetensorsEntry[] => {
    const renamed = rename(name);
    if (renamed === undefined) return [];
    const shape = other[name] ?? published;
    const values = change(drawn(seed * 1000 + number, name, shape));
    return [{ name: renamed, dtype, shape, bytes: () => stored(values, dtype) }];
  });
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const bytes = new Response(readable).bytes();
  await writeSafetensors(writable, entries);
  return await bytes;
}

/** Matrices that keep the variance, gains about 1, small biases. */
function drawn(seed: number, name: string, shape: readonly number[]): Float32Array<ArrayBuffer> {
  const random = testRandom(seed);
  const length = shape.reduce((product, side) => product * side, 1);
  const gain = /(weight|gamma)$/.test(name) ? 1 : 0;
  const scale = shape.length < 2 ? 0.25 : Math.sqrt(3 / (length / shape[0]!));
  return Float32Array.from({ length }, () => {
    const unit = 2 * random() - 1;
    return shape.length < 2 ? gain + 0.25 * unit : unit * scale;
  });
}

function stored(values: Float32Array<ArrayBuffer>, dtype: "F32" | "F16" | "BF16"): Uint8Array {
  if (dtype === "F16") return new Uint8Array(new Float16Array(values).buffer);
  if (dtype === "F32") return new Uint8Array(values.buffer);
  return new Uint8Array(Uint16Array.from(new Uint32Array(values.buffer), (word) => word >>> 16).buffer);
}

/** Pictures of random pixels, which {@linkcode Pictures.array} of the result frees. */
export function randomPictures(
  device: Device,
  { seed, count, edge }: { readonly seed: number; readonly count: number; readonly edge: number },
): Pictures {
  const random = testRandom(seed);
  const level = (): number => Math.floor(256 * random());
  const array = device.upload(Uint32Array.from({ length: count * edge * edge }, () => {
    return (level() | level() << 8 | level() << 16 | 255 << 24) >>> 0;
  }));
  return { array, count, width: edge, height: edge };
}

/** What a published implementation made of it. */
export async function recorded(name: string): Promise<Float32Array> {
  using expected = await openCheckpoint(new URL("transformers.safetensors", FOLDER));
  return await expected.readFloat32(name);
}

/** Checks values against recorded ones; all of them are within {@linkcode TOLERANCE} of the largest. */
export function requireClose(found: ArrayLike<number>, wanted: ArrayLike<number>, what: string): void {
  assertEquals(found.length, wanted.length, what);
  const scale = Array.from(wanted).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const difference = maxDifference(found, wanted) / scale;
  assert(difference <= TOLERANCE, `${what}: ${difference} of the largest value`);
}

/** The values of an array, which is freed. */
export async function valuesOf(array: DeviceArray): Promise<Float32Array> {
  using owned = array;
  return await readFloats(owned);
}
