/**
 * Any ONNX network as a verifier or a feature extractor, by the description beside it. It runs where the
 * model runs, on the same GPU device, and what it says stays there.
 *
 * @module
 */

import { requireInteger, shown } from "../../kernels/arguments.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { describeGraph, type GraphDescription } from "../graphs/graph_file.ts";
import { createGraphSession } from "../graphs/create_session.ts";
import type { GraphSession, GraphTensor } from "../graphs/graph_session.ts";
import { Work } from "../graphs/work.ts";
import { sha256 } from "../checkpoint/source.ts";
import type { ResolvedLabel } from "../label.ts";
import { ModelFileError } from "../model_file_error.ts";
import { openTokenizer, type TextIds, type WordTokenizer } from "../text/word_tokenizer.ts";
import { classHead, rowsHead } from "./heads.ts";
import { type DescribedFeatures, type NetworkDescription, parseDescription } from "./network_description.ts";
import type { Network, OpenNetworkOptions } from "./network_kind.ts";
import { preprocess } from "./preprocessing.ts";
import { sessionOptions } from "./picture_session.ts";
import { requireLabels, textOfLabel } from "./prompt.ts";
import { type Features, featuresOf, type JudgeOptions, type Pictures } from "./verifier.ts";

/** Where a description and the files that it names lie. */
export interface DescribedFiles {
  /** Path or URL of a file, for messages. */
  place(name: string): string;
  /**
   * Reads a file.
   *
   * @throws {ModelFileError} If it cannot be read.
   */
  read(name: string): Promise<Uint8Array<ArrayBuffer>>;
}

/**
 * Opens a network by its description.
 *
 * @param device Where it runs, which stays the caller's.
 * @param files Where the description and its files lie.
 * @param description Name of the description.
 * @returns A verifier, a feature extractor, or both, as the description says.
 * @throws {ModelFileError} If the description is none, or the network is not as it says.
 */
export async function openOnnxNetwork(
  device: Device,
  files: DescribedFiles,
  description: string,
  options: OpenNetworkOptions = {},
): Promise<Network> {
  return (await openDescribedNetwork(device, files, description, options)).face();
}

/**
 * Opens a network by its description, to be asked for several outputs in one run.
 *
 * @param device Where it runs, which stays the caller's.
 * @param files Where the description and its files lie.
 * @param description Name of the description.
 * @throws {ModelFileError} If the description is none, or the network is not as it says.
 */
export async function openDescribedNetwork(
  device: Device,
  files: DescribedFiles,
  description: string,
  options: OpenNetworkOptions = {},
): Promise<DescribedNetwork> {
  const { signal, template } = options;
  const read: Uint8Array<ArrayBuffer>[] = [];
  const get = async (name: string): Promise<Uint8Array<ArrayBuffer>> => {
    signal?.throwIfAborted();
    read.push(await files.read(name));
    return read.at(-1)!;
  };
  const found = parseDescription(await get(description), files.place(description));
  const described = template === undefined ? found : { ...found, template };
  const { network, text, classes, features } = described;
  const file = files.place(network);
  const tokenizer = text === undefined
    ? undefined
    : await openTokenizer(await get(text.tokenizer), files.place(text.tokenizer), text);
  const bytes = await get(network);
  const outline = outlineOf(bytes, file);
  const limit = requireInputs(described, outline, file);
  const channels = requireOutputs(described, outline, file);
  await using stack = new AsyncDisposableStack();
  const session = async (graph: Uint8Array, place?: string): Promise<GraphSession> => {
    signal?.throwIfAborted();
    return stack.use(
      await createGraphSession(device, graph, {
        ...sessionOptions(options),
        mixed: true,
        ...(place === undefined ? {} : { file: place }),
      }),
    );
  };
  const hashes = await Promise.all(read.map(sha256));
  return new DescribedNetwork({
    device,
    description: described,
    file,
    fingerprint: await sha256(new TextEncoder().encode(hashes.join("\n"))),
    batch: Math.min(limit, described.batch),
    channels,
    tokenizer,
    session: await session(bytes, file),
    head: classes === undefined ? undefined : await session(classHead(classes.values)),
    rows: features?.layout === "planes" ? await session(rowsHead()) : undefined,
    owned: stack.move(),
  });
}

/**
 * The inputs and outputs of a network.
 *
 * @throws {ModelFileError} If it is no ONNX model.
 */
export function outlineOf(bytes: Uint8Array, file: string): GraphDescription {
  try {
    return describeGraph(bytes);
  } catch (cause) {
    throw new ModelFileError("Cannot use the network", { file, expected: "an ONNX model", cause });
  }
}

/**
 * Checks that a graph takes what it is said to take.
 *
 * @returns Pictures that it takes at once.
 * @throws {ModelFileError} If it does not.
 */
export function requireInputs(
  { image, text }: Pick<NetworkDescription, "image" | "text">,
  { inputs }: GraphDescription,
  file: string,
): number {
  const refuse = (expected: string, found: string): never => {
    throw new ModelFileError("Cannot use the network as its description does not fit it", {
      file,
      expected,
      found,
    });
  };
  const size = [3, image.size.height, image.size.width];
  const wanted = [
    { name: image.input, type: "float32", shape: size },
    ...text === undefined ? [] : [text.input, ...text.mask === undefined ? [] : [text.mask]].map((name) => {
      return { name, type: "int64", shape: [text.length] };
    }),
  ];
  const names = inputs.map(({ name }) => `"${name}"`).join(", ");
  for (const { name, type, shape } of wanted) {
    const input = inputs.find((candidate) => candidate.name === name) ?? refuse(`an input "${name}"`, names);
    const fits = input.type === type && input.shape.length === shape.length + 1 &&
      shape.every((side, i) => typeof input.shape[i + 1] !== "number" || input.shape[i + 1] === side);
    if (!fits) {
      refuse(
        `${type} [pictures, ${shape.join(", ")}] as "${name}"`,
        `${input.type} [${input.shape.join(", ")}]`,
      );
    }
    const [batch] = input.shape;
    if (typeof batch === "number" && batch !== 1) {
      refuse("an input for one or any number of pictures", `${batch}`);
    }
  }
  const odd = inputs.find(({ name }) => wanted.every((known) => known.name !== name));
  if (odd !== undefined) {
    refuse(wanted.map(({ name }) => `"${name}"`).join(", "), `an input "${odd.name}", too`);
  }
  return inputs.some(({ shape }) => shape[0] === 1) ? 1 : Infinity;
}

/**
 * Checks that a graph has the outputs that it is said to have.
 *
 * @returns Channels of its features; 0 where there are none, or one row has them all.
 * @throws {ModelFileError} If it does not.
 */
function requireOutputs(
  { score, classes, features }: NetworkDescription,
  { outputs }: GraphDescription,
  file: string,
): number {
  const shapeOf = (name: string): GraphDescription["outputs"][number]["shape"] => {
    const output = outputs.find((candidate) => candidate.name === name);
    if (output?.type === "float32") return output.shape;
    throw new ModelFileError("Cannot use the network as its description does not fit it", {
      file,
      expected: `a float32 output "${name}"`,
      found: output?.type ?? outputs.map((known) => `"${known.name}"`).join(", "),
    });
  };
  for (const name of [score, classes?.output]) if (name !== undefined) shapeOf(name);
  if (features === undefined) return 0;
  const { output, layout, channels } = features;
  const shape = shapeOf(output);
  if (layout === "vector") return 0;
  const side = layout === "planes" ? shape[1] : shape.at(-1);
  if (typeof side !== "number" && channels === undefined) {
    throw new ModelFileError("Cannot tell the channels of the network's features", {
      file,
      expected: `a number in the shape of "${output}", or "features.channels" in the description`,
      found: `[${shape.join(", ")}]`,
    });
  }
  if (typeof side === "number" && channels !== undefined && side !== channels) {
    throw new ModelFileError("Cannot use the network as its description does not fit it", {
      file,
      expected: `${channels} channels of "${output}"`,
      found: `${side}`,
    });
  }
  return channels ?? side as number;
}

/** What a loaded network consists of. */
interface Parts {
  readonly device: Device;
  readonly description: NetworkDescription;
  readonly file: string;
  readonly fingerprint: string;
  readonly batch: number;
  readonly channels: number;
  readonly tokenizer: WordTokenizer | undefined;
  readonly session: GraphSession;
  readonly head: GraphSession | undefined;
  readonly rows: GraphSession | undefined;
  readonly owned: AsyncDisposableStack;
}

/** What can be made of an output that has a row for each picture, or several. */
interface Described extends Pick<DescribedFeatures, "output" | "layout" | "skip"> {
  /** Numbers of a row; 0 where it has all of a picture's. */
  readonly channels: number;
}

/** An ONNX network that is loaded by its description. Disposing it unloads it. */
export class DescribedNetwork implements AsyncDisposable {
  /** What is said of it. */
  readonly description: NetworkDescription;
  /** A SHA-256 of its files. */
  readonly fingerprint: string;
  readonly #parts: Parts;
  readonly #work: Work;

  /** Takes over what it consists of. */
  constructor(parts: Parts) {
    this.description = parts.description;
    this.fingerprint = parts.fingerprint;
    this.#parts = parts;
    this.#work = new Work(parts.description.name);
  }

  /** The network as what it is described as. */
  face(): Network {
    const { name, smallestEdge, flops, text, score, classes, features } = this.description;
    return {
      name,
      fingerprint: this.fingerprint,
      ...smallestEdge === undefined ? {} : { smallestEdge },
      ...flops === undefined ? {} : { flops },
      ...score === undefined && classes === undefined ? {} : {
        needsPrompt: text !== undefined,
        score: (pictures: Pictures, labels: readonly ResolvedLabel[], options: JudgeOptions = {}) => {
          return this.#work.run("judge pictures", () => this.#score(pictures, labels, options));
        },
      },
      ...features === undefined ? {} : {
        features: (pictures: Pictures, options: JudgeOptions = {}) => {
          return this.look(pictures, ["features"], options).then(([found]) => found!);
        },
      },
      [Symbol.asyncDispose]: () => this[Symbol.asyncDispose](),
    } as Network;
  }

  /**
   * Looks at pictures once, for what a classifier says of each class, [count, 1, classes], for features, or
   * for both. It must be described to have what is wanted.
   *
   * @returns What was wanted, in that order.
   */
  async look(
    pictures: Pictures,
    wanted: readonly ("features" | "classes")[],
    options: JudgeOptions = {},
  ): Promise<Features[]> {
    const { features, classes } = this.description;
    const described = wanted.map((what): Described => {
      return what === "features"
        ? { ...features!, channels: this.#parts.channels }
        : { output: classes!.output, layout: "vector", skip: 0, channels: 0 };
    });
    return await this.#work.run("describe pictures", () => this.#describe(pictures, described, options));
  }

  /** Unloads the network, when it is done with what it is at. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work.end();
    await this.#parts.owned[Symbol.asyncDispose]();
  }

  async #score(
    pictures: Pictures,
    labels: readonly ResolvedLabel[],
    options: JudgeOptions,
  ): Promise<DeviceArray> {
    const { device, description: { name, score, classes, template }, tokenizer, head } = this.#parts;
    requireLabels(labels, pictures.count);
    // What is wrong with a label is found out before anything is computed.
    const texts = tokenizer === undefined
      ? []
      : labels.map((label) => tokenizer.encode(textOfLabel(label, { verifier: name, template })));
    const scores = device.allocate(pictures.count, "scores");
    try {
      await this.#run(pictures, [score ?? classes!.output], {
        ...options,
        texts,
        take: async (outputs, first, count) => {
          const output = outputs[0]!;
          if (head === undefined || classes === undefined) {
            this.#require(output, count, "one score for each picture");
            device.copy(output, scores, { targetOffset: first });
            return;
          }
          const width = this.#width(output, count);
          const chosen = chosenClasses(labels.slice(first, first + count), {
            verifier: name,
            width,
            ...classes,
          });
          using choice = device.upload(chosen, "classes of labels");
          const { score } = await head.run({
            values: { array: output, shape: [count, width] },
            chosen: { array: choice, shape: [count, width] },
          });
          using result = score!;
          device.copy(result, scores, { targetOffset: first });
        },
      });
      return scores;
    } catch (error) {
      scores[Symbol.dispose]();
      throw error;
    }
  }

  async #describe(
    pictures: Pictures,
    described: readonly Described[],
    options: JudgeOptions,
  ): Promise<Features[]> {
    await using stack = new AsyncDisposableStack();
    const collected: (Features | undefined)[] = [];
    await this.#run(pictures, described.map(({ output }) => output), {
      ...options,
      texts: [],
      take: async (outputs, first, count) => {
        for (const [i, output] of outputs.entries()) {
          const { width, tokens, channels } = this.#rowsOf(output, count, described[i]!);
          const found = collected[i] ??= stack.use(featuresOf(
            this.#parts.device.allocate(pictures.count * tokens * channels, "features"),
            { tokens, channels },
          ));
          await this.#keep(output, found, { ...described[i]!, width, first, count });
        }
      },
    });
    stack.move();
    return collected.map((found) => found!);
  }

  /** What rows an output of `count` pictures has, those that are skipped left out. */
  #rowsOf(
    output: DeviceArray,
    count: number,
    { layout, skip, channels: known }: Described,
  ): { readonly width: number; readonly tokens: number; readonly channels: number } {
    const width = this.#width(output, count);
    const channels = layout === "vector" ? width : known;
    const tokens = width / channels - skip;
    if (!Number.isInteger(tokens) || tokens < 1) {
      this.#require(output, count * channels * (skip + 1), `rows of ${channels} numbers, more than ${skip}`);
    }
    return { width, tokens, channels };
  }

  /** Copies the rows of an output to where they are collected. */
  async #keep(
    output: DeviceArray,
    { array, tokens, channels }: Features,
    { layout, skip, width, first, count }: Described & Readonly<Record<"width" | "first" | "count", number>>,
  ): Promise<void> {
    const { device, rows } = this.#parts;
    using turned = layout === "planes"
      ? (await rows!.run({ planes: { array: output, shape: [count, channels, width / channels] } })).rows!
      : undefined;
    for (let i = 0; i < (skip === 0 ? 1 : count); i++) {
      device.copy(turned ?? output, array, {
        sourceOffset: i * width + skip * channels,
        targetOffset: (first + i) * tokens * channels,
        length: (skip === 0 ? count : 1) * tokens * channels,
      });
    }
  }

  /** Runs the network on a few pictures at a time, and hands over what it says of them. */
  async #run(
    { array, count, width, height }: Pictures,
    wanted: readonly string[],
    { texts, take, signal }: JudgeOptions & {
      readonly texts: readonly TextIds[];
      readonly take: (outputs: readonly DeviceArray[], first: number, count: number) => Promise<void>;
    },
  ): Promise<void> {
    const { device, description: { image, text }, batch, session } = this.#parts;
    requireInteger(count, "the number of pictures", "look at pictures", { min: 1 });
    for (let first = 0; first < count; first += batch) {
      signal?.throwIfAborted();
      const some = Math.min(batch, count - first);
      const area = width * height;
      using part = device.view(array, first * area, some * area);
      using input = preprocess(device, { array: part, count: some, width, height }, image);
      const inputs: Record<string, GraphTensor> = {
        [image.input]: { array: input, shape: [some, 3, image.size.height, image.size.width] },
      };
      if (text !== undefined) {
        const { length, pad, mask } = text;
        // Where only pictures are described, the network is fed texts of nothing, which it does not look at.
        const nothing = { ids: new Array<number>(length).fill(pad), count: length };
        const those = Array.from({ length: some }, (_, i) => texts[first + i] ?? nothing);
        inputs[text.input] = { array: those.flatMap(({ ids }) => ids), shape: [some, length] };
        if (mask !== undefined) {
          const kept = those.flatMap(({ ids, count }) => ids.map((_, i) => i < count ? 1 : 0));
          inputs[mask] = { array: kept, shape: [some, length] };
        }
      }
      const outputs = await session.run(inputs, [...new Set(wanted)]);
      using stack = new DisposableStack();
      for (const output of Object.values(outputs)) stack.use(output);
      await take(wanted.map((name) => outputs[name]!), first, some);
    }
  }

  #width(output: DeviceArray, count: number): number {
    const width = output.length / count;
    if (!Number.isInteger(width) || width === 0) this.#require(output, count, "as many rows as pictures");
    return width;
  }

  #require(output: DeviceArray, length: number, wanted: string): void {
    if (output.length === length) return;
    throw new ModelFileError("Cannot use what the network says", {
      file: this.#parts.file,
      expected: wanted,
      found: `${output.length} numbers as "${output.label}"`,
    });
  }
}

/**
 * A one for the class of each label, f32 [labels, classes].
 *
 * @throws {RangeError} If a label is none of the classes.
 */
function chosenClasses(
  labels: readonly ResolvedLabel[],
  { verifier, width, names }: { verifier: string; width: number; names?: readonly string[] | undefined },
): Float32Array<ArrayBuffer> {
  const chosen = new Float32Array(labels.length * width);
  for (const [i, label] of labels.entries()) {
    const at = names?.findIndex((name) => name.toLowerCase() === label.name.toLowerCase()) ?? label.id ?? -1;
    if (at < 0 || at >= width) {
      const wanted = names === undefined
        ? `a class from 0 to ${width - 1}`
        : `one of the ${names.length} classes`;
      throw new RangeError(
        `Cannot judge pictures of ${
          shown(label.name)
        } as the verifier "${verifier}" knows ${wanted} only: give labels that are such classes, or take another verifier`,
      );
    }
    chosen[i * width + at] = 1;
  }
  return chosen;
}
