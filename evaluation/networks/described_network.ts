/**
 * Any ONNX network by its description as a network for metrics: its features as one row for each picture, and
 * what it says of classes as logits. Descriptions are those of verifiers, `docs/verifiers.md`.
 *
 * @module
 */

import { type Device, readFloats } from "../../kernels/device/device.ts";
import { ModelFileError } from "../../models/model_file_error.ts";
import { DESCRIPTION, filesBeside } from "../../models/vision/described_network.ts";
import type { OpenNetworkOptions } from "../../models/vision/network_kind.ts";
import { type DescribedNetwork, openDescribedNetwork } from "../../models/vision/onnx_network.ts";
import type { Features } from "../../models/vision/verifier.ts";
import type { Rows } from "../metrics/rows.ts";
import type { MetricNetwork, MetricOutput } from "./metric_network.ts";
import { metricNetworkOf } from "./own_network.ts";

/**
 * Loads a network. `features` are its vector, or the mean over all tokens or places that are not skipped;
 * `logits` what it says of each class, probabilities as their logarithms.
 *
 * @param device Where it runs, which stays the caller's.
 * @param description Path or URL of its description.
 * @throws {ModelFileError} If the description is none, the network is not as it says, or only gives scores.
 */
export async function openDescribed(
  device: Device,
  description: string | URL,
  options: OpenNetworkOptions = {},
): Promise<MetricNetwork> {
  await using stack = new AsyncDisposableStack();
  const network = stack.use(
    await openDescribedNetwork(device, filesBeside(description, options), DESCRIPTION, options),
  );
  const { name, flops, features, classes } = network.description;
  const outputs: MetricOutput[] = [
    ...features === undefined ? [] : ["features"] as const,
    ...classes === undefined ? [] : ["logits"] as const,
  ];
  if (outputs.length === 0) {
    throw new ModelFileError("Cannot measure by a network that only gives scores", {
      file: String(description),
      expected: '"features" or "classes"',
      found: "none of them",
    });
  }
  const owned = stack.move();
  return metricNetworkOf({
    name,
    fingerprint: network.fingerprint,
    outputs,
    ...flops === undefined ? {} : { flops },
    ...classes?.names === undefined ? {} : { classes: classes.names },
    device,
    look: async (pictures, wanted, options) => {
      const kinds = wanted.map((output) => output === "logits" ? "classes" : "features");
      const found = await network.look(pictures, kinds, options);
      using stack = new DisposableStack();
      for (const one of found) stack.use(one);
      const rows = await Promise.all(found.map(async (one, i) => {
        return kinds[i] === "features"
          ? await meanOf(one, pictures.count)
          : await logitsOf(one, pictures.count, network);
      }));
      return Object.fromEntries(wanted.map((output, i) => [output, rows[i]!]));
    },
    dispose: () => owned.disposeAsync(),
  });
}

async function meanOf({ array, tokens, channels }: Features, count: number): Promise<Rows> {
  const all = await readFloats(array);
  if (tokens === 1) return { values: all.slice(0, count * channels), count, dimensions: channels };
  const values = new Float32Array(count * channels);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let t = 0; t < tokens; t++) sum += all[(i * tokens + t) * channels + c]!;
      values[i * channels + c] = sum / tokens;
    }
  }
  return { values, count, dimensions: channels };
}

/** Smallest number of f32, for which a softmax in f32 writes 0. */
const SMALLEST = 2 ** -149;

/** A probability that has become 0 is no reason to refuse a picture; what is none stays what it is, NaN. */
function logarithm(probability: number): number {
  return Math.log(probability === 0 ? SMALLEST : probability);
}

async function logitsOf(
  { array, channels }: Features,
  count: number,
  { description: { classes } }: DescribedNetwork,
): Promise<Rows> {
  const said = (await readFloats(array)).slice(0, count * channels);
  const values = classes!.values === "probabilities" ? said.map(logarithm) : said;
  return { values, count, dimensions: channels };
}
