/**
 * From token ids to the codebook's vectors, as the feature map of a scale. What happens to the map next is up to `resample.ts` and
 * `residual.ts`.
 *
 * @module
 */

import { words } from "./cpu_device.ts";
import {
  type DeviceArray,
  type Kernel,
  requireChoice,
  requireInteger,
  requireLength,
  spread,
} from "./device.ts";
import wgsl from "./lookup.wgsl" with { type: "text" };

/**
 * How a feature map lies in memory: position after position, `rows` [images, positions, channels], or channel after channel, `planes`
 * [images, channels, side, side].
 */
export type FeatureLayout = "rows" | "planes";

/** Arguments of {@linkcode codebookLookup}. */
export interface CodebookLookupArguments {
  /** Token ids, u32 [images, positions]. */
  tokens: DeviceArray;
  /** The codebook, f32 [vocabulary, channels]. */
  codebook: DeviceArray;
  /** Where the vectors go, f32 [images, positions, channels] or [images, channels, positions]. */
  output: DeviceArray;
  /** Number of token maps. */
  images: number;
  /** Tokens of one map. */
  positions: number;
  /** Number of codebook vectors. */
  vocabulary: number;
  /** Words of one codebook vector. */
  channels: number;
  /** Layout of `output`. */
  layout: FeatureLayout;
}

const ACTION = "look up codebook vectors";

/**
 * Writes the codebook vector of every token. A token that is no index into the codebook, `NO_TOKEN` included, gives a vector of zeros.
 * Words are copied, so the result is exact.
 *
 * @throws {RangeError} From `plan`, if a count is no integer >= 0 or an array is too short.
 * @throws {TypeError} From `plan`, if the layout is unknown.
 *
 * @example
 * ```ts
 * import { codebookLookup } from "./lookup.ts";
 * import { CpuDevice } from "./cpu_device.ts";
 * import { readFloats } from "./device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using tokens = device.upload(new Uint32Array([1, 0, 9]));
 * using codebook = device.upload(new Float32Array([0.5, 1.5, 2.5, 3.5]));
 * using output = device.allocate(6);
 * const shape = { images: 1, positions: 3, vocabulary: 2, channels: 2 };
 * device.run(codebookLookup, { tokens, codebook, output, ...shape, layout: "planes" });
 * assertEquals([...await readFloats(output)], [2.5, 0.5, 0, 3.5, 1.5, 0]);
 * ```
 */
export const codebookLookup: Kernel<CodebookLookupArguments> = {
  name: "lookup",
  wgsl,
  plan({ tokens, codebook, output, images, positions, vocabulary, channels, layout }) {
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(positions, "positions", ACTION, { min: 0 });
    requireInteger(vocabulary, "vocabulary", ACTION, { min: 1 });
    requireInteger(channels, "channels", ACTION, { min: 1 });
    requireChoice(layout, ["rows", "planes"], "layout", ACTION);
    const total = images * positions * channels;
    requireLength(tokens, images * positions, ACTION);
    requireLength(codebook, vocabulary * channels, ACTION);
    requireLength(output, total, ACTION);
    return {
      arrays: [tokens, codebook, output],
      parameters: [
        ["u32", total],
        ["u32", positions],
        ["u32", vocabulary],
        ["u32", channels],
        ["u32", layout === "planes" ? 1 : 0],
      ],
      workgroups: spread(Math.ceil(total / 64)),
    };
  },
  twin({ tokens, codebook, output, images, positions, vocabulary, channels, layout }) {
    const ids = words(tokens);
    const vectors = words(codebook);
    const out = words(output);
    const [step, stride] = layout === "planes" ? [positions, 1] : [1, channels];
    for (let image = 0; image < images; image++) {
      for (let position = 0; position < positions; position++) {
        const token = ids[image * positions + position]!;
        const target = image * positions * channels + position * stride;
        const known = token < vocabulary;
        const source = known ? token * channels : 0;
        for (let c = 0; c < channels; c++) out[target + c * step] = known ? vectors[source + c]! : 0;
      }
    }
  },
};
