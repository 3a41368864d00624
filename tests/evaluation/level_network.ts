/**
 * A network that a test can write down, as `fixtures/evaluation/evaluate/make.py` does: of each channel the
 * mean and the mean square, and four classes that are sums of these.
 *
 * @module
 */

import { metricNetworkOf } from "../../evaluation/networks/own_network.ts";
import type { MetricNetwork, MetricOutput } from "../../evaluation/networks/metric_network.ts";
import type { TextNetwork } from "../../evaluation/networks/text_network.ts";
import type { Rows } from "../../evaluation/metrics/rows.ts";
import { CpuDevice, readWords } from "../../kernels/mod.ts";

const WEIGHTS = [[8, 0, 0, 1, 0, 0], [0, 8, 0, 0, 1, 0], [0, 0, 8, 0, 0, 1], [1, 1, 1, 4, 4, 4]];

/** A network whose pictures were looked at as often as `looks` says. */
export interface LevelNetwork extends MetricNetwork {
  readonly looks: { pictures: number };
}

/**
 * The same network, which knows a text for each channel, too.
 *
 * @param told Where the texts are noted that it was asked for.
 */
export function textLevelNetwork(told: string[]): TextNetwork {
  return {
    ...levelNetwork(),
    describeTexts(texts) {
      told.push(...texts);
      const values = new Float32Array(6 * texts.length);
      for (const [i, text] of texts.entries()) values[6 * i + ["red", "green", "blue"].indexOf(text)] = 1;
      return Promise.resolve({ values, count: texts.length, dimensions: 6 });
    },
  };
}

/** Makes it; `broken` makes a NaN of pictures whose first pixel is that red. */
export function levelNetwork(
  { name = "levels", broken = -1, outputs = ["features", "logits"] }: {
    readonly name?: string;
    readonly broken?: number;
    readonly outputs?: readonly MetricOutput[];
  } = {},
): LevelNetwork {
  const device = new CpuDevice();
  const looks = { pictures: 0 };
  const network = metricNetworkOf({
    name,
    fingerprint: `${name} 1`,
    outputs,
    ...(outputs.includes("logits") && { classes: ["red", "green", "blue", "bright"] }),
    device,
    async look({ array, count }, wanted) {
      looks.pictures += count;
      const words = await readWords(array);
      const pixels = words.length / count;
      const features = new Float32Array(6 * count);
      const logits = new Float32Array(4 * count);
      for (let i = 0; i < count; i++) {
        const own = words.subarray(i * pixels, (i + 1) * pixels);
        const row = [0, 8, 16].map((shift) => Float64Array.from(own, (word) => (word >>> shift & 255) / 255));
        const mean = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / pixels;
        features.set([...row.map(mean), ...row.map((levels) => mean(levels.map((x) => x * x)))], 6 * i);
        if ((own[0]! & 255) === broken) features[6 * i] = NaN;
        const said = features.subarray(6 * i, 6 * i + 6);
        logits.set(WEIGHTS.map((weights) => weights.reduce((sum, w, k) => sum + w * said[k]!, 0)), 4 * i);
      }
      const all: Record<string, Rows> = {
        features: { values: features, count, dimensions: 6 },
        logits: { values: logits, count, dimensions: 4 },
      };
      return Object.fromEntries(wanted.map((output) => [output, all[output]!]));
    },
    dispose: () => device[Symbol.dispose](),
  });
  return { ...network, looks };
}
