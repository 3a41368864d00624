/**
 * Who tells the colours of objects for GenEval: CLIP, asked which of ten it is. Where objects are, a detector
 * says before; which colours decide, `rules.ts`.
 *
 * @module
 */

import { requireOptions } from "../../kernels/arguments.ts";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import { type Device, readFloats } from "../../kernels/device/device.ts";
import { Clip } from "../../models/vision/clip.ts";
import { loadFeatures, type LoadNetworkOptions } from "../../models/vision/load.ts";
import { roundHalfEven } from "../../models/vision/preprocessing.ts";
import { packPixels, type Pixels } from "../networks/picture_graph.ts";
import type { Detection } from "./rules.ts";

/** Colours that GenEval's prompts name, in the order in which ties are broken. */
export const GENEVAL_COLORS = [
  "red",
  "orange",
  "yellow",
  "green",
  "blue",
  "purple",
  "pink",
  "brown",
  "black",
  "white",
] as const;

/** What tells the colours of objects. Disposing it unloads it. */
export interface ColorClassifier extends AsyncDisposable {
  /** Name in records. */
  readonly name: string;
  /** What tells it from any other. */
  readonly fingerprint: string;
  /** Colours that it tells apart. */
  readonly colors: readonly string[];
  /**
   * Tells the colour of each object in a picture.
   *
   * @param picture The picture.
   * @param objects Some of its objects.
   * @returns One of its colours for each of them.
   */
  colorsOf(
    picture: Pixels,
    objects: readonly Detection[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<string[]>;
}

/** Options of {@linkcode loadColors}. */
export type LoadColorsOptions = Omit<LoadNetworkOptions, "model" | "template">;

/** Names of all options, to tell a misspelt one. */
const OPTIONS = [
  "device",
  "threads",
  "cpuProvider",
  "hub",
  "onProgress",
  "signal",
] as const satisfies (keyof LoadColorsOptions)[];

/**
 * Loads a CLIP that tells colours as GenEval's does: it compares what lies in the box with the mean of three
 * texts for each colour. GenEval's detector gives masks, too, by which it hides what is behind an object; of
 * detectors of boxes all that is in the box is seen, as there.
 *
 * @param place `"clip"` for OpenAI's ViT-L/14, which GenEval takes, or `"clip:"` and a place, as for
 * `loadFeatures()`.
 * @throws {TypeError} If an option is unknown or the place names no CLIP.
 * @throws {ModelFileError} If a file is not there or not what it should be.
 *
 * @example
 * ```ts
 * import { loadColors } from "./colors.ts";
 * import { assertRejects } from "@std/assert";
 *
 * // await using colors = await loadColors("clip", { cpuProvider: "native" });
 * await assertRejects(() => loadColors("dinov2"), TypeError, '"clip" or "clip:" and a place');
 * ```
 */
export async function loadColors(
  place: string = "clip",
  options: LoadColorsOptions = {},
): Promise<ColorClassifier> {
  requireOptions(options, OPTIONS, "load the colours");
  if (!/^clip(:|$)/.test(place)) {
    throw new TypeError(
      `Cannot load the colours as their place must be "clip" or "clip:" and a place: current value is "${place}"`,
    );
  }
  await using owned = new AsyncDisposableStack();
  const device = options.device ?? owned.use(new CpuDevice());
  const network = owned.use(await loadFeatures(place, { ...options, device }));
  if (!(network instanceof Clip)) throw new TypeError(`Cannot load the colours as ${place} is no CLIP`);
  return new ClipColors(device, network, owned.move());
}

/** A CLIP as a {@linkcode ColorClassifier}. */
export class ClipColors implements ColorClassifier {
  readonly name: string;
  readonly fingerprint: string;
  readonly colors: readonly string[] = GENEVAL_COLORS;
  readonly #device: Device;
  readonly #clip: Clip;
  readonly #owned: AsyncDisposable;
  readonly #classes = new Map<string, Promise<readonly Float32Array[]>>();

  /**
   * @param device Where the network runs.
   * @param clip The network.
   * @param owned What is disposed with this; nothing by default.
   */
  constructor(device: Device, clip: Clip, owned: AsyncDisposable = new AsyncDisposableStack()) {
    this.name = clip.name;
    this.fingerprint = clip.fingerprint ?? "";
    this.#device = device;
    this.#clip = clip;
    this.#owned = owned;
  }

  async colorsOf(
    picture: Pixels,
    objects: readonly Detection[],
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<string[]> {
    const found: string[] = [];
    for (const { label, box } of objects) {
      const texts = await this.#textsOf(label);
      const crop = cropTo(picture, box);
      using array = this.#device.upload(packPixels([crop]), "an object");
      const { width, height } = crop;
      using features = await this.#clip.features({ array, count: 1, width, height }, options);
      const vector = await readFloats(features.array);
      const cosines = texts.map((text) => dot(vector, text));
      found.push(this.colors[cosines.indexOf(Math.max(...cosines))]!);
    }
    return found;
  }

  /** A vector for each colour of a class. */
  #textsOf(label: string): Promise<readonly Float32Array[]> {
    const known = this.#classes.get(label);
    if (known !== undefined) return known;
    const vectors = Promise.all(this.colors.map(async (color) => {
      const texts = [`a photo of a ${color} ${label}`, `a photo of a ${color}-colored ${label}`];
      texts.push(`a photo of a ${color} object`);
      const rows = await Promise.all(texts.map((text) => this.#clip.text(text)));
      const mean = rows[0]!.map((_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length);
      const length = Math.sqrt(dot(mean, mean));
      return mean.map((value) => value / length);
    }));
    vectors.catch(() => this.#classes.delete(label));
    this.#classes.set(label, vectors);
    return vectors;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned[Symbol.asyncDispose]();
  }
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

/**
 * What lies in a box, whose edges are rounded as Pillow rounds them; at least a pixel of the picture.
 *
 * @example
 * ```ts
 * import { cropTo } from "./colors.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const picture = { width: 2, height: 1, data: [1, 2, 3, 255, 4, 5, 6, 255] };
 * assertEquals([...cropTo(picture, [0.6, 0, 9, 1]).data], [4, 5, 6, 255]);
 * ```
 */
export function cropTo(
  { width, height, data }: Pixels,
  [x, y, across, down]: Detection["box"],
): Pixels & { readonly data: Uint8Array } {
  const within = (value: number, least: number, most: number): number => {
    return Math.min(Math.max(roundHalfEven(value), least), most);
  };
  const [left, top] = [within(x, 0, width - 1), within(y, 0, height - 1)];
  const size = {
    width: within(x + across, left + 1, width) - left,
    height: within(y + down, top + 1, height) - top,
  };
  const pixels = new Uint8Array(4 * size.width * size.height);
  for (let row = 0; row < size.height; row++) {
    for (let i = 0; i < 4 * size.width; i++) {
      pixels[4 * row * size.width + i] = data[4 * ((top + row) * width + left) + i]!;
    }
  }
  return { ...size, data: pixels };
}
