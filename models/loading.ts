/**
 * What loading a model of any family begins with: the folder is checked against its description, the type of
 * the weights is chosen by the room that there is, and graphs are made to sessions. What a family loads of
 * it, and in which order, is its own matter.
 *
 * @module
 */

import type { Device } from "../kernels/device/device.ts";
import type { Autoencoder } from "./autoencoder/config.ts";
import { fastConvolutions, savesProducts } from "./autoencoder/convolutions.ts";
import { decoderGraph } from "./autoencoder/graph.ts";
import { decodesByStrips } from "./autoencoder/decoder_stages.ts";
import { AutoencoderNetworks } from "./autoencoder/networks.ts";
import { TiledDecoder } from "./autoencoder/tiled_decoder.ts";
import type { Family, LoadFamilyOptions } from "./family.ts";
import { MANIFEST, type ModelFolder } from "./folder/model_folder.ts";
import { requireModelSize } from "./folder/sizes.ts";
import { openFolderAs, requireOwnSizes } from "./folder_conversion.ts";
import { type CacheDtype, newNames } from "./graphs/cache_values.ts";
import { createGraphSession, prepareRuntime } from "./graphs/create_session.ts";
import { type BytesNeeded, resolveDtype } from "./graphs/fit.ts";
import { describeGraph, keepHalves } from "./graphs/graph_file.ts";
import { type GraphSession, type GraphSessionOptions, refuseGraph } from "./graphs/graph_session.ts";
import { requireFastIntegers } from "./graphs/integer_speed.ts";
import { type Provider, type Room, roomOn } from "./graphs/room.ts";
import type { MapSize } from "./schedule.ts";
import type { Dtype, KeptDtype } from "./weights/dtype.ts";
import type { ModelTensor } from "./weights/model_tensor.ts";
import type { WeightFiles } from "./weights/weight_files.ts";
import { WeightSet } from "./weights/weight_set.ts";

/** What a model of given sizes takes where it runs; estimates of the peak. */
export interface ModelCosts {
  /** Whether its halves are widened everywhere: casts in each run would cost more than memory does. */
  readonly small: boolean;
  /** Bytes of its transformer's weights in f32, whether or not they are in memory together. */
  readonly transformer: number;
  /** Bytes that its weights take as a type, as long as it is loaded. */
  weights(dtype: KeptDtype, provider: Provider): number;
  /** Bytes that each image of a guided batch takes; token maps of the usual schedule by default. */
  image(dtype: KeptDtype, provider: Provider, maps?: readonly MapSize[]): number;
  /** Bytes that are needed beside the weights for a while before there are images, such as for texts. */
  transient?(dtype: KeptDtype, provider: Provider): number;
  /** Bytes of the largest array that one image needs, weights among them. */
  largestArray(dtype: KeptDtype, maps?: readonly MapSize[]): number;
  /** Bytes of the largest array of a batch for each of its images. */
  largestActivation(maps?: readonly MapSize[]): number;
}

/** Bytes of the weights together with one guided image, by the type of the large weights. */
export function neededBytes(
  costs: ModelCosts,
  provider: Provider,
  maps?: readonly MapSize[],
): BytesNeeded {
  return (dtype) => {
    const before = costs.transient?.(dtype, provider) ?? 0;
    return costs.weights(dtype, provider) + Math.max(before, costs.image(dtype, provider, maps));
  };
}

/** A model on its way from its folder to a device. */
export interface Loading<Config> {
  /** The folder, whose large weights have the type with which the model runs, or will be widened to it. */
  readonly folder: ModelFolder;
  /** Name of the model. */
  readonly name: string;
  /** Its sizes. */
  readonly config: Config;
  /** What it takes. */
  readonly costs: ModelCosts;
  /** Type of the large weights. */
  readonly dtype: KeptDtype;
  /** Type that they have in the folder that was loaded. */
  readonly stored: Dtype;
  /** Where it runs, and with how many bytes. */
  readonly room: Room;
  /** How graphs are run. */
  readonly sessionOptions: GraphSessionOptions;
  /** What is unloaded with the model; the folder is part of it. */
  readonly owned: AsyncDisposableStack;
  /** Reads a graph of the folder. */
  graph(name: string): Promise<GraphFile>;
  /** Makes a session of a graph and its weights, with options unless they are settled for the whole model. */
  session(
    graph: GraphFile,
    weights: WeightFiles,
    options?: Pick<GraphSessionOptions, "optimize">,
  ): Promise<GraphSession>;
}

/** A graph of a folder. */
export interface GraphFile {
  /** Path or URL, for messages. */
  readonly file: string;
  /** Content. */
  readonly bytes: Uint8Array;
}

/** Options of {@linkcode beginLoading}. */
export interface BeginLoadingOptions<Config> extends LoadFamilyOptions {
  /** The model's family. */
  readonly family: Family<Config>;
  /** What a model of given sizes takes. */
  readonly costsOf: (config: Config) => ModelCosts;
}

/**
 * Checks a folder, which is the model's from then on, and chooses the type of the weights.
 *
 * @returns What is to be loaded. Whoever loads it disposes `owned` if that fails.
 * @throws {ModelFileError} If the files are no model of the family, or weights are quantized and another type
 * was asked for.
 * @throws {RangeError} If the model is of another size, or does not fit where it is to run.
 */
export async function beginLoading<Config>(
  folder: ModelFolder,
  device: Device,
  options: BeginLoadingOptions<Config>,
): Promise<Loading<Config>> {
  const { family, costsOf, threads, cpuProvider, memory, size } = options;
  const { dtype: asked = "auto", compute = "f32", offload = "none", ownsDevice = false } = options;
  await using stack = new AsyncDisposableStack();
  const owned = stack.use(new AsyncDisposableStack());
  if (ownsDevice) owned.use(device);
  owned.use(folder);
  const { dtype: stored, name } = folder.manifest;
  // What is read again and again is best read as it is.
  const own = asked === "auto" && offload === "blocks" ? stored : asked;
  const choice = compute === "int8" ? compute : own;
  const config = family.requireConfig(folder.manifest.config, `${folder.location}/${MANIFEST}`);
  requireModelSize({ name, size: family.size(config) }, size, "load");
  await requireOwnSizes(family, folder, config);
  const costs = costsOf(config);
  const { small } = costs;
  const room = await roomOn(device, { cpuProvider, memory });
  if (compute === "int8") await requireFastIntegers(room);
  const dtype = resolveDtype(neededBytes(costs, room.provider), room, {
    choice,
    stored,
    small,
    largestArray: (dtype) => costs.largestArray(dtype),
  });
  // Nothing speaks against the model any more.
  prepareRuntime(device, { threads, cpuProvider, bytes: costs.transformer });
  // The runtime widens what is small enough; a conversion would take longer to set up.
  const widened = dtype === "f32" && stored === "f16" && small;
  const source = dtype === stored || widened
    ? folder
    : owned.use(await openFolderAs(family, folder, { dtype }));
  const sessionOptions: GraphSessionOptions = {
    ...(threads === undefined ? {} : { threads }),
    ...(cpuProvider === undefined ? {} : { cpuProvider }),
    ...(isQuick(costs, room.provider) ? { optimize: false } : {}),
  };
  // From here on everything is whose who loads it.
  stack.move();
  return {
    folder: source,
    name,
    config,
    costs,
    dtype,
    stored,
    room,
    sessionOptions,
    owned,
    graph: async (name) => ({ file: `${source.location}/${name}`, bytes: await source.read(name) }),
    session: ({ file, bytes }, { files }, options = {}) => {
      return createGraphSession(device, bytes, { ...options, ...sessionOptions, file, externalFiles: files });
    },
  };
}

/** Bytes of weights that are loaded in less time than the runtime takes to make a graph better. */
const QUICK_BYTES = 64 * 2 ** 20;

/**
 * Whether a model starts sooner with its graphs as they are. Native code makes them better in no time, and
 * runs convolutions faster for it. Blocks that are read when their turn comes give the same bits as a whole
 * model, so it does not depend on them.
 */
function isQuick(costs: ModelCosts, provider: Provider): boolean {
  return provider === "wasm" && costs.transformer <= QUICK_BYTES;
}

/**
 * A graph as its weights are kept: where they are halves that are not small, they stay halves where it runs.
 *
 * @throws {ModelFileError} If it is no graph.
 */
export function asKept<Config>({ dtype }: Loading<Config>, graph: GraphFile): GraphFile {
  if (dtype !== "f16") return graph;
  try {
    return { file: graph.file, bytes: keepHalves(graph.bytes) };
  } catch (error) {
    return refuseGraph(error, "load", graph.file);
  }
}

/** A transformer graph that can be built where it is not stored. */
export interface BuiltTransformer {
  /** Type in which keys and values are kept. */
  readonly cacheDtype: CacheDtype;
  /** Its weights, which are blamed for what is built of them. */
  readonly weights: WeightFiles;
  /** Builds it. */
  readonly build: () => Uint8Array;
  /** An input that it must have. */
  readonly takes?: string;
}

/**
 * The graph of a transformer with caches: the one that is stored, if it keeps them so, or else one that is
 * built. Those that earlier versions stored give all keys and values with each scale, or lack an input.
 *
 * @throws {ModelFileError} If what is stored is no graph.
 */
export async function cachingTransformer<Config>(
  loading: Loading<Config>,
  { cacheDtype, weights: { file }, build, takes }: BuiltTransformer,
): Promise<GraphFile> {
  const stored = await loading.graph("transformer.onnx");
  const graph = cacheDtype === "f32" && isCurrent(stored, takes) ? stored : { file, bytes: build() };
  return asKept(loading, graph);
}

function isCurrent({ file, bytes }: GraphFile, takes: string | undefined): boolean {
  try {
    const [key] = newNames(0);
    const { inputs, outputs } = describeGraph(bytes);
    const has = (values: readonly { readonly name: string }[], wanted: string): boolean => {
      return values.some(({ name }) => name === wanted);
    };
    return has(outputs, key) && (takes === undefined || has(inputs, takes));
  } catch (error) {
    return refuseGraph(error, "load", file);
  }
}

/**
 * The tensors of a part with the shapes of a checkpoint, which those of integers in blocks do not tell, for
 * graphs that are built when a model is loaded.
 */
export function listedWeights(tensors: readonly ModelTensor[], { file }: WeightFiles): WeightSet {
  return new WeightSet(file, new Map(tensors.map(({ name, shape }) => [name, { shape, dtype: "F32" }])));
}

/**
 * Loads the networks between pictures and codes: the decoder, and the encoder when it is first needed. The
 * decoder's graph is built here, as who computes decides how its convolutions are computed.
 *
 * @param loading The model.
 * @param weights Their weights, which stay the caller's, and the name of those in the folder for what is
 * loaded later.
 * @param autoencoder Their sizes and layout. Maps that are too large for the device or the memory are decoded
 * strip by strip, where nothing but convolutions of 3 by 3 lies between codes and pixels.
 */
export async function loadNetworks<Config>(
  { name, folder, graph, session, room, costs, dtype, sessionOptions }: Loading<Config>,
  { part, weights }: { readonly part: string; readonly weights: WeightFiles },
  autoencoder: Autoencoder,
): Promise<AutoencoderNetworks> {
  const { device, provider, most } = room;
  const memory = most === undefined ? {} : { memory: Math.max(0, most - costs.weights(dtype, provider)) };
  const { threads, cpuProvider } = sessionOptions;
  const loadDecoder = async (): Promise<GraphSession> => {
    const { file, tensors, places } = weights;
    const set = new WeightSet(file, tensors);
    const convolutions = fastConvolutions(provider);
    const bytes = decoderGraph(autoencoder, set, places, { convolutions, sizes: true });
    return await session({ file, bytes }, weights, {
      optimize: savesProducts(autoencoder, convolutions) ? "basic" : true,
    });
  };
  return new AutoencoderNetworks({
    model: name,
    config: autoencoder,
    tiled: decodesByStrips(autoencoder)
      ? new TiledDecoder({
        device,
        autoencoder,
        openWeights: () => folder.weights(part),
        session: { ...(threads && { threads }), ...(cpuProvider && { cpuProvider }) },
        ...memory,
      })
      : undefined,
    decoder: autoencoder.decoder === null ? undefined : await loadDecoder(),
    loadEncoder: async () => {
      using weights = await folder.weights(part);
      return await session(await graph("encoder.onnx"), weights);
    },
  });
}
