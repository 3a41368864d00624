/**
 * Loading a network for metrics by whatever names it: a published one, one of the judges of the bundled
 * models, or any ONNX network by its description. It runs on the CPU unless somebody says otherwise, so that
 * numbers do not depend on a graphics card.
 *
 * @module
 */

import {
  mustBe,
  requireChoice,
  requireInteger,
  requireObject,
  requireOptions,
} from "../../kernels/arguments.ts";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import type { Device } from "../../kernels/device/device.ts";
import { isThere } from "../../models/checkpoint/source.ts";
import { resolveCpuProvider } from "../../models/graphs/cpu_provider.ts";
import type { LoadNetworkOptions } from "../../models/mod.ts";
import { ONNX } from "../../models/vision/described_network.ts";
import { networkFiles } from "../../models/vision/load.ts";
import { openDescribed } from "./described_network.ts";
import {
  CLIP_NETWORK,
  DINOV2_NETWORK,
  INCEPTION_NETWORK,
  type MetricNetworkKind,
} from "./extractor_network.ts";
import { INCEPTION_FID, type InceptionResize, openInceptionFid } from "./inception_fid.ts";
import type { MetricNetwork } from "./metric_network.ts";

/** Options of {@linkcode loadMetricNetwork}. */
export interface LoadMetricNetworkOptions
  extends Pick<LoadNetworkOptions, "threads" | "cpuProvider" | "hub" | "onProgress" | "signal"> {
  /** Where it runs, which stays the caller's; a CPU of its own by default. */
  readonly device?: Device;
  /** How `"inception-fid"` prepares pictures; `"tensorflow"` by default. Others have one way only. */
  readonly resize?: InceptionResize;
}

const OPTIONS = [
  "device",
  "threads",
  "cpuProvider",
  "resize",
  "hub",
  "onProgress",
  "signal",
] as const satisfies (keyof LoadMetricNetworkOptions)[];

const ACTION = "load the network for metrics";

/** The network that has several ways to prepare pictures. */
const FID = "inception-fid";

/** A network beside the judges. */
function judge(file: string): MetricNetworkKind {
  const place = String(new URL(`../judges/${file}`, import.meta.url));
  return { ...DESCRIBED, kind: { ...ONNX, place } };
}

const DESCRIBED: MetricNetworkKind = {
  kind: ONNX,
  open: async (device, { description }, options) => await openDescribed(device, description!, options),
};

const KINDS: Readonly<Record<string, MetricNetworkKind>> = {
  [FID]: {
    kind: INCEPTION_FID,
    open: async (device, { weights }, options) => await openInceptionFid(device, weights!, options),
  },
  inception: INCEPTION_NETWORK,
  clip: CLIP_NETWORK,
  dinov2: DINOV2_NETWORK,
  "demo-oracle": judge("demo_oracle.json"),
  "demo-t2i-oracle": judge("demo_t2i_oracle.json"),
};

/** Names that {@linkcode loadMetricNetwork} knows. */
export const METRIC_NETWORKS: readonly string[] = Object.keys(KINDS);

/**
 * Loads a network for metrics.
 *
 * @param place A name: `"inception-fid"`, `"inception"`, `"clip"`, `"dinov2"` for their published files, or
 * `NAME:PLACE` for such files elsewhere; `"demo-oracle"` and `"demo-t2i-oracle"` for the judges of the
 * bundled models; or the place of the description of an ONNX network.
 * @throws {TypeError} If the place names none, or an option is unknown or does not suit.
 * @throws {ModelFileError} If a file is not there or not what it should be.
 * @throws {HubError} If a file cannot be downloaded.
 *
 * @example
 * ```ts
 * import { loadMetricNetwork } from "./load.ts";
 * import { lookAtImages } from "./look_at_images.ts";
 * import { RgbaImage } from "../../sampler/pictures/image.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using network = await loadMetricNetwork("demo-oracle");
 * const { features, logits } = await lookAtImages(network, [new RgbaImage(64, 64)], ["features", "logits"]);
 * assertEquals([features!.dimensions, logits!.dimensions], [192, 64]);
 * ```
 */
export async function loadMetricNetwork(
  place: string | URL,
  options: LoadMetricNetworkOptions = {},
): Promise<MetricNetwork> {
  requireOptions(options, OPTIONS, ACTION);
  const { threads, cpuProvider, resize, signal } = options;
  if (threads !== undefined) requireInteger(threads, "threads", ACTION, { min: 1 });
  if (cpuProvider !== undefined) {
    requireChoice(cpuProvider, ["auto", "wasm", "native"], "cpuProvider", ACTION);
  }
  if (options.device !== undefined) requireObject(options.device, "device", ACTION, "a device");
  const { name, at, kind, open } = await kindAt(place);
  if (resize !== undefined && name !== FID) {
    throw new TypeError(mustBe(`absent, as only "${FID}" has several ways`, resize, "resize", ACTION));
  }
  using stack = new DisposableStack();
  const device = options.device ?? stack.use(new CpuDevice());
  const provider = device.kind === "cpu" ? await resolveCpuProvider(cpuProvider) : undefined;
  const files = await networkFiles(kind, at, options);
  const network = await open(device, files, {
    ...threads === undefined ? {} : { threads },
    ...provider === undefined ? {} : { cpuProvider: provider },
    ...resize === undefined ? {} : { resize },
    signal,
  });
  const owned = stack.move();
  return {
    ...network,
    async [Symbol.asyncDispose]() {
      await network[Symbol.asyncDispose]();
      owned.dispose();
    },
  };
}

/** The kind that a place names, and where its files lie. */
async function kindAt(
  place: string | URL,
): Promise<MetricNetworkKind & { readonly name?: string; readonly at: string | URL }> {
  const names = METRIC_NETWORKS.map((name) => `"${name}"`).join(", ");
  const wanted = `${names} or the place of a description`;
  if (!(place instanceof URL) && (typeof place !== "string" || place === "")) {
    throw new TypeError(mustBe(wanted, place, "its place", ACTION));
  }
  const [, name = "", rest] = /^([\w-]+)(?::(.*))?$/s.exec(String(place)) ?? [];
  const found = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (found !== undefined) return { ...found, name, at: rest || found.kind.place! };
  // What looks like a name is a misspelt one, unless a file or folder is called so.
  if (name === place && !await isThere(place)) {
    throw new TypeError(mustBe(wanted, place, "its place", ACTION));
  }
  return { ...DESCRIBED, at: place };
}
