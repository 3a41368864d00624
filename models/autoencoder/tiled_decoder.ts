/**
 * A decoder for maps that are too large for one array, or for the memory: every map between two of its norms
 * is held as strips of rows, and each stage is run strip by strip. The norms know the whole map all the same,
 * so the picture is that of the decoder in one piece, up to the order of sums.
 *
 * @module
 */

import { HostArray } from "../../kernels/device/cpu_device.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { arrayLimitOn } from "../graphs/fit.ts";
import { createGraphSession } from "../graphs/create_session.ts";
import type { GraphSession, GraphSessionOptions, GraphTensor } from "../graphs/graph_session.ts";
import type { MapSize } from "../schedule.ts";
import type { ExternalWeight } from "../weights/weight_places.ts";
import type { WeightFiles } from "../weights/weight_files.ts";
import { WeightSet } from "../weights/weight_set.ts";
import { type Autoencoder, pixelsPerToken } from "./config.ts";
import {
  type DecoderStage,
  decoderStages,
  divideRows,
  requireStripBytes,
  rowsWithin,
  STRIP_BYTES,
  type TiledMemory,
  tiledMemory,
} from "./decoder_stages.ts";
import { GROUPS } from "./graph.ts";
import { largestMapWords, liveDecoderBytes } from "./memory.ts";
import { stageGraph } from "./stage_graph.ts";

/** What a {@linkcode TiledDecoder} is made of. */
export interface TiledDecoderOptions {
  /** Where it runs. */
  readonly device: Device;
  /** Sizes and layout of the networks. */
  readonly autoencoder: Autoencoder;
  /** Opens the tokenizer's weights, which are read when something is first decoded. */
  readonly openWeights: () => Promise<WeightFiles>;
  /** Who computes on the CPU, with how many threads. */
  readonly session?: Pick<GraphSessionOptions, "threads" | "cpuProvider">;
  /** Bytes that activations may take, beyond which a map is decoded by strips; any by default. */
  readonly memory?: number;
  /**
   * Bytes that an array of a strip may have; by default {@linkcode STRIP_BYTES}, or what the device admits if
   * that is less. One row with its neighbours is the least that there is.
   */
  readonly stripBytes?: number;
  /** Whether every map is decoded by strips, large or not; false by default. */
  readonly always?: boolean;
}

/** Rows of a map. */
interface Strip {
  readonly rows: number;
  readonly values: DeviceArray;
  /** The first and the last of them again, which the neighbours see when the strip itself is gone. */
  readonly first: DeviceArray;
  readonly last: DeviceArray;
}

/** A map of an image in strips from top to bottom. */
interface StripMap {
  readonly width: number;
  readonly channels: number;
  readonly strips: readonly Strip[];
  /** Moments of the strips and their shares in the rows, where a norm follows. */
  readonly measured: { readonly moments: DeviceArray; readonly shares: DeviceArray } | undefined;
}

/** Decodes strip by strip. Its graphs are loaded when something is first decoded, and stay. */
export class TiledDecoder implements AsyncDisposable {
  readonly #options: TiledDecoderOptions;
  readonly #stages: readonly DecoderStage[];
  readonly #stripBytes: number;
  readonly #loaded = new AsyncDisposableStack();
  #sessions: Promise<readonly GraphSession[]> | undefined;

  /**
   * Loads nothing yet.
   *
   * @throws {TypeError} If the network has no decoder, or one that attends to all positions.
   * @throws {RangeError} If the bytes of a strip are no positive number.
   */
  constructor(options: TiledDecoderOptions) {
    this.#options = options;
    this.#stages = decoderStages(options.autoencoder);
    const { stripBytes = stripBytesOn(options.device) } = options;
    requireStripBytes(stripBytes);
    this.#stripBytes = stripBytes;
  }

  /**
   * Whether maps are to be decoded by strips: always if that was asked for, else if the decoder in one piece
   * needs an array that the device does not admit, or more memory than there is.
   */
  takes({ width, height, images }: MapSize & { readonly images: number }): boolean {
    const { device, autoencoder: { decoder }, memory = Infinity, always = false } = this.#options;
    if (always) return true;
    const largest = images * 4 * largestMapWords(decoder, { width, height });
    return largest > (arrayLimitOn(device) ?? Infinity) ||
      images * liveDecoderBytes(decoder, { width, height }) > memory;
  }

  /** What an image takes. */
  memory(map: MapSize): TiledMemory {
    return tiledMemory(this.#options.autoencoder, map, this.#stripBytes);
  }

  /**
   * Decodes the features of images, one after the other.
   *
   * @param features f32 [images, channels, height, width].
   * @returns Pixels, f32 [images, 3, height, width], which belong to the caller.
   */
  async decode(
    features: DeviceArray,
    { width, height, images }: MapSize & { readonly images: number },
  ): Promise<DeviceArray> {
    const { device, autoencoder } = this.#options;
    const factor = pixelsPerToken(autoencoder);
    const sessions = await (this.#sessions ??= this.#load());
    const words = autoencoder.channels * width * height;
    const picture = { words: 3 * width * height * factor ** 2, plane: width * height * factor ** 2 };
    using stack = new DisposableStack();
    const pixels = stack.use(device.allocate(images * picture.words, "pixels"));
    for (let image = 0; image < images; image++) {
      using run = new ImageRun(device, this.#stripBytes);
      const values = run.own(device.allocate(words, "features of an image"));
      device.copy(features, values, { sourceOffset: image * words, length: words });
      // Nothing is beside the only strip, so that any values serve for its neighbours.
      const strip = { rows: height, values, first: values, last: values };
      let map: StripMap = { width, channels: autoencoder.channels, strips: [strip], measured: undefined };
      for (const [i, stage] of this.#stages.entries()) map = await run.pass(sessions[i]!, stage, map);
      let begin = image * picture.words;
      for (const { rows, values } of map.strips) {
        const length = rows * map.width;
        for (const plane of [0, 1, 2]) {
          device.copy(values, pixels, {
            sourceOffset: plane * length,
            targetOffset: begin + plane * picture.plane,
            length,
          });
        }
        begin += length;
      }
    }
    stack.move();
    return pixels;
  }

  async #load(): Promise<readonly GraphSession[]> {
    const { device, openWeights, session } = this.#options;
    await using stack = new AsyncDisposableStack();
    try {
      using weights = await openWeights();
      const sessions: GraphSession[] = [];
      for (const stage of this.#stages) {
        const { graph, data } = await stageWithWeights(stage, weights);
        const options = { ...session, lean: true, externalFiles: [{ path: STAGE_FILE, data }] };
        sessions.push(stack.use(await createGraphSession(device, graph, options)));
      }
      this.#loaded.use(stack.move());
      return sessions;
    } catch (error) {
      // Somebody may mend the cause, a file that is missing say, and try again.
      this.#sessions = undefined;
      throw error;
    }
  }

  /** Unloads the graphs. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loaded.disposeAsync();
  }
}

/** Name under which a stage's graph refers to its weights. */
const STAGE_FILE = "weights";

/**
 * The graph of a stage, and the few weights that it reads; a runtime that is given a file may read all of it
 * for each graph.
 */
async function stageWithWeights(
  stage: DecoderStage,
  weights: WeightFiles,
): Promise<{ graph: Uint8Array<ArrayBuffer>; data: Uint8Array<ArrayBuffer> }> {
  const places = new Map<string, ExternalWeight>();
  let size = 0;
  const graph = stageGraph(stage, new WeightSet(weights.file, weights.tensors), (name) => {
    const place = { ...weights.places(name), file: STAGE_FILE, offset: size };
    size += Math.ceil(place.length / ALIGNMENT) * ALIGNMENT;
    places.set(name, place);
    return place;
  });
  const data = new Uint8Array(size);
  for (const [name, { offset }] of places) data.set(await weights.read(name), offset);
  return { graph, data };
}

/** Bytes of which each weight begins at a multiple. */
const ALIGNMENT = 16;

/** Bytes of a strip on a device. */
export function stripBytesOn(device: Device): number {
  return Math.min(STRIP_BYTES, arrayLimitOn(device) ?? Infinity);
}

/** An image on its way through the stages. What is alive of it ends with it. */
class ImageRun implements Disposable {
  readonly #device: Device;
  readonly #stripBytes: number;
  readonly #alive = new Set<DeviceArray>();
  readonly #flags: readonly [none: DeviceArray, one: DeviceArray];
  /** Strips that are to be added. */
  #kept: DeviceArray[] = [];

  constructor(device: Device, stripBytes: number) {
    this.#device = device;
    this.#stripBytes = stripBytes;
    this.#flags = [0, 1].map((flag) => this.own(device.upload(Float32Array.of(flag), "flag"))) as [
      DeviceArray,
      DeviceArray,
    ];
  }

  /** Takes over an array. */
  own(array: DeviceArray): DeviceArray {
    this.#alive.add(array);
    return array;
  }

  /** Runs a stage over all strips of a map, which it gives up one by one. */
  async pass(session: GraphSession, stage: DecoderStage, map: StripMap): Promise<StripMap> {
    const { inputs, outputs, enlarges, keeps, measures } = stage;
    const factor = enlarges ? 2 : 1;
    const width = factor * map.width;
    const most = rowsWithin(stage, width, this.#stripBytes) / factor;
    const strips: Strip[] = [];
    const moments: DeviceArray[] = [];
    const kept: DeviceArray[] = [];
    for (const [i, strip] of map.strips.entries()) {
      const { rows, values } = strip;
      const neighbours = this.#neighbours(map, i);
      // A map is divided further where its rows become longer, and nowhere else, as strips are added.
      const stretches = stage.norm === undefined ? divideRows(rows, most) : [[0, rows]] as const;
      for (const [begin, end] of stretches) {
        const found = await session.run({
          rows: { array: values, shape: [1, inputs, rows, map.width] },
          ...neighbours,
          ...this.#norm(map),
          ...(stage.adds ? { kept: { array: this.#kept[i]!, shape: [1, outputs, rows, width] } } : {}),
          ...(stage.norm === undefined ? { begin: place(begin), end: place(end + 2) } : {}),
        });
        for (const array of Object.values(found)) this.own(array);
        const { result, first, last, result_moments, shortcut } = found;
        strips.push({ rows: factor * (end - begin), values: result!, first: first!, last: last! });
        if (result_moments !== undefined) moments.push(result_moments);
        if (shortcut !== undefined) kept.push(shortcut);
      }
      if (stage.adds) this.#free(this.#kept[i]!);
      if (keeps === true) kept.push(values);
      else this.#free(values);
    }
    this.#kept = kept;
    for (const { first, last } of map.strips) for (const row of [first, last]) this.#free(row);
    for (const array of Object.values(map.measured ?? {})) this.#free(array);
    return {
      width,
      channels: outputs,
      strips,
      measured: measures ? this.#measured(strips, moments) : undefined,
    };
  }

  /** The rows above and below a strip. */
  #neighbours({ strips, channels, width }: StripMap, i: number): Record<string, GraphTensor> {
    const feeds: Record<string, GraphTensor> = {};
    const own = strips[i]!;
    const [none, one] = this.#flags;
    for (
      const [name, row] of [["above", strips[i - 1]?.last], ["below", strips[i + 1]?.first]] as const
    ) {
      feeds[name] = { array: row ?? own.first, shape: [1, channels, 1, width] };
      feeds[`has_${name}`] = { array: row === undefined ? none : one, shape: [1] };
    }
    return feeds;
  }

  /** What a norm has to know. */
  #norm({ strips: { length }, measured }: StripMap): Record<string, GraphTensor> {
    if (measured === undefined) return {};
    return {
      moments: { array: measured.moments, shape: [length, 2 * GROUPS] },
      shares: { array: measured.shares, shape: [1, length] },
    };
  }

  #measured(strips: readonly Strip[], moments: readonly DeviceArray[]): StripMap["measured"] {
    const all = this.own(this.#device.allocate(strips.length * 2 * GROUPS, "moments"));
    for (const [i, array] of moments.entries()) {
      this.#device.copy(array, all, { targetOffset: i * 2 * GROUPS });
      this.#free(array);
    }
    const height = strips.reduce((sum, { rows }) => sum + rows, 0);
    const shares = Float32Array.from(strips, ({ rows }) => rows / height);
    return { moments: all, shares: this.own(this.#device.upload(shares, "shares")) };
  }

  /** Frees an array, if it has not been. */
  #free(array: DeviceArray): void {
    if (this.#alive.delete(array)) release(array);
  }

  [Symbol.dispose](): void {
    for (const array of this.#alive) release(array);
    this.#alive.clear();
  }
}

/**
 * Disposes an array, whose memory on the host goes at once: gigabytes would wait for the garbage collector.
 */
function release(array: DeviceArray): void {
  array[Symbol.dispose]();
  if (array instanceof HostArray) array.f32.buffer.transfer(0);
}

function place(value: number): GraphTensor {
  return { array: [value], shape: [1] };
}
