/**
 * The Inception-v3 by which FID, Inception Score, KID, sFID and precision are measured, from the file that
 * pytorch-fid publishes: TensorFlow's network of 2015 with 1008 classes, whose pools are its own. Three ways
 * of preparing pictures are in use, and none of them gives the numbers of another.
 *
 * @module
 */

import { requireChoice } from "../../kernels/arguments.ts";
import { type Device, readFloats } from "../../kernels/device/device.ts";
import { openCheckpoint } from "../../models/checkpoint/mod.ts";
import { addressOf, isOnWeb, openSource, sha256 } from "../../models/checkpoint/source.ts";
import { ModelFileError } from "../../models/model_file_error.ts";
import { fingerprintOf } from "../../models/vision/fingerprint.ts";
import {
  FID_CLASSES,
  fidInceptionGraph,
  foldedConvolutions,
  inceptionConvolutions,
  inceptionCost,
  SPATIAL_CHANNELS,
} from "../../models/vision/inception_graph.ts";
import type { NetworkKind, OpenNetworkOptions } from "../../models/vision/network_kind.ts";
import { findNetwork, openWeightEntries, type TensorLayout } from "../../models/vision/network_weights.ts";
import { PictureSession } from "../../models/vision/picture_session.ts";
import type { FloatPreprocessing } from "../../models/vision/preprocessing.ts";
import { WeightSet } from "../../models/weights/weight_set.ts";
import type { MetricNetwork } from "./metric_network.ts";
import { columnsOf, metricNetworkOf } from "./own_network.ts";

/**
 * How pictures become 299 pixels high and wide, and values around 0; floats throughout, never rounded.
 *
 * - `"tensorflow"` (default): as TensorFlow's graph does it itself, bilinear with pixels at k·from/299, then
 *   (x - 128) / 128: guided-diffusion's evaluator and torch-fidelity, whose numbers papers quote.
 * - `"pytorch"`: bilinear with half-pixel centres and no antialiasing, then 2x / 255 - 1: pytorch-fid.
 * - `"clean"`: Pillow's antialiased bicubic, cut off at 0 and 255, then (x - 128) / 128: clean-fid.
 */
export type InceptionResize = "tensorflow" | "pytorch" | "clean";

/** All of {@linkcode InceptionResize}, the default first. */
export const INCEPTION_RESIZES: readonly InceptionResize[] = ["tensorflow", "pytorch", "clean"];

/** Options of {@linkcode openInceptionFid}. */
export interface OpenInceptionFidOptions extends OpenNetworkOptions {
  /** How pictures are prepared; `"tensorflow"` by default. */
  readonly resize?: InceptionResize;
}

const NAME = "inception-fid";
/** Name of the published file. */
const FILE = "pt_inception-2015-12-05-6726825d.pth";

/** The files, as kinds of networks state theirs. */
export const INCEPTION_FID: Pick<NetworkKind, "title" | "files" | "place"> = {
  title: "the Inception-v3 of FID",
  files: [{ role: "weights", names: [FILE, "weights-inception-2015-12-05-6726825d.pth"] }],
  place: `https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/${FILE}`,
};

const UNUSED = /\.num_batches_tracked$/;

const LAYOUT: TensorLayout = {
  title: "pytorch-fid's file",
  landmark: "Conv2d_1a_3x3.conv.weight",
  names: [],
  unused: UNUSED,
};

/** Classes of torchvision's network, which has the same tensors and another purpose. */
const TORCHVISION_CLASSES = 1000;

/** Edge of a picture. */
const EDGE = 299;
/** Numbers of a picture's largest activation: 64 channels with half its edge. */
const WIDEST = 64 * (EDGE >> 1) ** 2;

const size = { width: EDGE, height: EDGE };
const { fround } = Math;

/** TensorFlow's levels, which are exact in f32. */
const centred = (level: number): number => (level - 128) / 128;

const PREPROCESSING: Readonly<Record<InceptionResize, FloatPreprocessing>> = {
  tensorflow: { size, method: "asymmetric", level: centred },
  pytorch: { size, method: "bilinear", level: (level) => fround(2 * fround(level / 255)) - 1 },
  clean: { size, method: "antialiased", level: centred },
};

/**
 * Loads the network. It says `features` [2048], the mean of its last map; `logits` [1008], products of these
 * with the weights of its last layer, without the biases, as all evaluators take Inception Scores; `spatial`
 * [17 · 17 · 7], place by place the first seven channels of the 1×1 convolution of `Mixed_6d`, TensorFlow's
 * `mixed_6/conv`.
 *
 * @param device Where it runs, which stays the caller's.
 * @param file Path, URL or content of the file. One on a web server is read into memory.
 * @throws {TypeError} If pictures cannot be prepared so.
 * @throws {ModelFileError} If it is another one, such as torchvision's.
 */
export async function openInceptionFid(
  device: Device,
  file: string | URL | Uint8Array,
  options: OpenInceptionFidOptions = {},
): Promise<MetricNetwork> {
  const { resize = "tensorflow", signal } = options;
  requireChoice(resize, INCEPTION_RESIZES, "resize", "load the Inception-v3 of FID");
  const content = await nearby(file, signal);
  using checkpoint = await openCheckpoint(content, { signal });
  const { set, tensors } = findNetwork(INCEPTION_FID.title, checkpoint, [LAYOUT]);
  const shape = tensors.get("fc.weight")?.shape;
  if (shape?.[0] === TORCHVISION_CLASSES) {
    throw new ModelFileError("Cannot measure by torchvision's Inception-v3", {
      file: checkpoint.file,
      tensor: "fc.weight",
      expected: `${FID_CLASSES} classes, as in ${FILE}`,
      found: `${shape[0]}`,
    });
  }
  const convolutions = inceptionConvolutions(set);
  const { flops, channels, places } = inceptionCost(convolutions, EDGE);
  set.take("fc.weight", [FID_CLASSES, channels]);
  set.take("fc.bias", [FID_CLASSES]);
  set.requireAllTaken(UNUSED);
  const readFloat32 = async (name: string) => await checkpoint.readFloat32(tensors.get(name)!.name);
  using weights = await openWeightEntries(checkpoint.file, [
    ...foldedConvolutions(convolutions, { file: checkpoint.file, readFloat32 }),
    {
      ...{ name: "fc.weight", dtype: "F32", shape: [FID_CLASSES, channels] },
      bytes: async () => new Uint8Array((await readFloat32("fc.weight")).buffer),
    },
  ]);
  const set32 = new WeightSet(weights.file, weights.tensors);
  const range = resize === "clean" ? [centred(0), centred(255)] as const : undefined;
  const parts = { features: channels, logits: FID_CLASSES, spatial: places * SPATIAL_CHANNELS };
  const width = parts.features + parts.logits + parts.spatial;
  const files = await fingerprintOf([content], { signal });
  const session = await PictureSession.create(device, {
    name: NAME,
    graph: fidInceptionGraph(set32, weights.places, range),
    weights,
    preprocessing: PREPROCESSING[resize],
    results: width,
    widest: WIDEST,
  }, options);
  const firsts = { features: 0, logits: parts.features, spatial: parts.features + parts.logits };
  return metricNetworkOf({
    name: NAME,
    fingerprint: await sha256(new TextEncoder().encode(`${files}\n${NAME} ${resize}`)),
    outputs: ["features", "logits", "spatial"],
    flops: flops + 2 * channels * FID_CLASSES,
    device,
    async look(pictures, wanted, options) {
      using array = await session.run(pictures, options);
      const { count } = pictures;
      const values = await readFloats(array);
      return Object.fromEntries(wanted.map((output) => {
        return [
          output,
          columnsOf(values, { count, width, first: firsts[output], dimensions: parts[output] }),
        ];
      }));
    },
    dispose: () => session[Symbol.asyncDispose](),
  });
}

/** The file, or its content where it lies on a web server, from which it should come once. */
async function nearby(
  file: string | URL | Uint8Array,
  signal: AbortSignal | undefined,
): Promise<string | URL | Uint8Array> {
  const address = file instanceof Uint8Array ? undefined : addressOf(file);
  if (address === undefined || !isOnWeb(address)) return file;
  try {
    using source = await openSource(address, { signal });
    return await source.read(0, source.size);
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    throw new ModelFileError("Cannot download the Inception-v3 of FID", {
      file: error.file,
      expected: `the file there, or "${NAME}:PATH" of one that is here already`,
      found: error.found ?? error.message,
      cause: error,
    });
  }
}
