/**
 * The networks of searches as networks for metrics: CLIP, DINOv2 and torchvision's Inception-v3, a row for
 * each picture. How they are computed is left to `models/vision/`.
 *
 * @module
 */

import { mustBe, requireList, requireText } from "../../kernels/arguments.ts";
import { type Device, readFloats } from "../../kernels/device/device.ts";
import { sha256 } from "../../models/checkpoint/source.ts";
import type { FeatureExtractor } from "../../models/mod.ts";
import type { Clip } from "../../models/vision/clip.ts";
import { Dinov2 } from "../../models/vision/dinov2.ts";
import type { NetworkFiles, NetworkKind, OpenNetworkOptions } from "../../models/vision/network_kind.ts";
import { CLIP, DINOV2, INCEPTION } from "../../models/vision/networks.ts";
import type { Rows } from "../metrics/rows.ts";
import type { MetricNetwork } from "./metric_network.ts";
import { metricNetworkOf } from "./own_network.ts";
import type { TextNetwork } from "./text_network.ts";

/** What a kind of network is for metrics. */
export interface MetricNetworkKind {
  /** Its files, and where they are published. */
  readonly kind: Pick<NetworkKind, "title" | "files" | "place" | "others">;
  /** Loads it. */
  open(device: Device, files: NetworkFiles, options: OpenNetworkOptions): Promise<MetricNetwork>;
}

/**
 * CLIP: the vector of a picture, of length 1, and that of a text. CLIP score and FD by CLIP are taken of
 * these.
 */
export const CLIP_NETWORK: MetricNetworkKind = {
  kind: CLIP,
  async open(device, files, options): Promise<TextNetwork> {
    const clip = await CLIP.open(device, files, options) as Clip;
    const network = await networkOf(clip, { device, files, name: "clip" });
    return {
      ...network,
      async describeTexts(texts, { signal } = {}): Promise<Rows> {
        const action = "describe texts";
        requireList(texts, "the texts", action);
        for (const text of texts) requireText(text, "each text", action);
        if (texts.length === 0) throw new RangeError(mustBe("at least one", "none", "the texts", action));
        const rows: Float32Array[] = [];
        for (const text of texts) {
          signal?.throwIfAborted();
          rows.push(await clip.text(text));
        }
        const dimensions = rows[0]!.length;
        const values = new Float32Array(rows.length * dimensions);
        for (const [i, row] of rows.entries()) values.set(row, i * dimensions);
        return { values, count: rows.length, dimensions };
      },
    };
  },
};

/**
 * DINOv2: the class token after the last norm, of a picture squashed to 224 pixels by Pillow's bicubic. FD by
 * DINOv2 is published with ViT-L/14 without registers (arXiv 2306.04675), which is what the name stands for.
 */
export const DINOV2_NETWORK: MetricNetworkKind = {
  kind: { ...DINOV2, place: "hf:facebook/dinov2-large" },
  async open(device, files, options) {
    const network = await Dinov2.open(device, files.weights!, { ...options, tokens: "class" });
    return await networkOf(network, { device, files, name: "dinov2", convention: "class token" });
  },
};

/** Torchvision's Inception-v3: the mean of its last map. It is not the network of FID. */
export const INCEPTION_NETWORK: MetricNetworkKind = {
  kind: INCEPTION,
  async open(device, files, options) {
    const network = await INCEPTION.open(device, files, options) as FeatureExtractor & AsyncDisposable;
    return await networkOf(network, { device, files, name: "inception" });
  },
};

async function networkOf(
  extractor: FeatureExtractor & AsyncDisposable,
  { device, files, name, convention = "" }: {
    readonly device: Device;
    readonly files: NetworkFiles;
    readonly name: string;
    readonly convention?: string;
  },
): Promise<MetricNetwork> {
  // Files on a web server are told by their addresses, or they would have to come once more.
  const origin = extractor.fingerprint ?? Object.values(files).join("\n");
  const { flops } = extractor;
  return metricNetworkOf({
    name,
    fingerprint: await sha256(new TextEncoder().encode(`${origin}\n${name} ${convention}`)),
    outputs: ["features"],
    ...flops === undefined ? {} : { flops },
    device,
    async look(pictures, _wanted, options) {
      using found = await extractor.features(pictures, options);
      const values = (await readFloats(found.array)).slice(0, pictures.count * found.channels);
      return { features: { values, count: pictures.count, dimensions: found.channels } };
    },
    dispose: () => extractor[Symbol.asyncDispose](),
  });
}
