/**
 * Features of prompts that are kept: made once by a text encoder, which then need not be in memory beside the
 * model, and read from a safetensors file later. What a model makes of them is left to it.
 *
 * The file has a tensor `features.N` of [tokens, channels] for each prompt, F32 or F16, and in its metadata
 * `format`, `version`, the `prompts` as a JSON list and, where it is known, the `encoder` as a JSON object of
 * SHA-256s.
 *
 * @module
 */

import {
  mustBe,
  quoted,
  requireChoice,
  requireInteger,
  requireList,
  requireOptions,
  requireText,
} from "../../kernels/arguments.ts";
import {
  type Checkpoint,
  encodeFloat16,
  openCheckpoint,
  type SafetensorsEntry,
  writeSafetensors,
} from "../checkpoint/mod.ts";
import { asFound, ModelFileError } from "../model_file_error.ts";
import { PROMPT_TOKENS } from "./tokenizer.ts";

/** Marks a file as ours. */
const FORMAT = "varscale-text-features";
/** Version of the layout; a file of another version is refused. */
const VERSION = "1";
/** Bytes of features that are read into memory at most: 13 000 prompts of 20 tokens for flan-t5-xl. */
const MAX_BYTES = 2 ** 31;
/** The largest number that a half holds. */
const MAX_HALF = 65504;

/** What a constructor cannot do with features that are none. */
const KEEP = "keep text features";

/** Features of one prompt. */
export interface PromptFeatures {
  /** Tokens, the end among them. */
  readonly length: number;
  /** The features, [length, channels]. */
  readonly values: Float32Array<ArrayBuffer>;
}

/** What tells a text encoder from others: SHA-256s by file, or by part and type. */
export type EncoderFingerprints = Readonly<Record<string, string>>;

/** What {@linkcode TextFeatures} are made of. */
export interface TextFeaturesOptions {
  /** What tells the encoder from others, or finds it out when somebody asks; unknown by default. */
  readonly encoder?: EncoderFingerprints | (() => EncoderFingerprints) | undefined;
  /** Path or URL of the file that they are from, for messages. */
  readonly file?: string;
}

/**
 * Features of prompts, all of one encoder.
 *
 * @example
 * ```ts
 * import { encodeTextFeatures, readTextFeatures, TextFeatures } from "./text_features.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const features = new TextFeatures(2, new Map([["a red cube", new Float32Array([1, 2, 3, 4])]]));
 * const read = await readTextFeatures(await encodeTextFeatures(features));
 * assertEquals(read.prompts, ["a red cube"]);
 * assertEquals(read.get("a red cube")?.length, 2);
 * assertEquals(read.get("a blue cube"), undefined);
 * ```
 */
export class TextFeatures {
  /** Width of a token's features. */
  readonly channels: number;
  /** Path or URL of the file that they are from, for messages. */
  readonly file: string;
  readonly #features: ReadonlyMap<string, PromptFeatures>;
  #encoder: TextFeaturesOptions["encoder"];

  /**
   * Takes features over.
   *
   * @param channels Width of a token's features.
   * @param features The features of each prompt, [tokens, channels].
   * @throws {TypeError} If they are not numbers by prompt.
   * @throws {RangeError} If there is no prompt, or no channel.
   * @throws {ModelFileError} If there are not as many as tokens of this width have, more than 512 tokens, or
   * numbers that are not finite.
   */
  constructor(
    channels: number,
    features: ReadonlyMap<string, Float32Array<ArrayBuffer>>,
    options: TextFeaturesOptions = {},
  ) {
    const { encoder, file = "features in memory" } = options;
    requireInteger(channels, "channels", KEEP, { min: 1 });
    requireInstance(features, Map, "they", KEEP);
    if (features.size === 0) {
      throw new RangeError(`Cannot ${KEEP} as there must be a prompt: none`);
    }
    this.channels = channels;
    this.#encoder = encoder;
    this.file = file;
    this.#features = new Map([...features].map(([prompt, values]) => {
      requireText(prompt, "each prompt", KEEP);
      requireInstance(values, Float32Array, `those of ${quoted(prompt)}`, KEEP);
      const length = values.length / channels;
      const refuse = (expected: string, found: string): never => {
        throw new ModelFileError(`Cannot use the features of the prompt ${quoted(prompt)}`, {
          file,
          expected,
          found,
        });
      };
      if (!Number.isInteger(length) || length < 1 || length > PROMPT_TOKENS) {
        refuse(`1 to ${PROMPT_TOKENS} tokens of ${channels} channels`, `${values.length} numbers`);
      }
      const place = values.findIndex((value) => !Number.isFinite(value));
      if (place >= 0) {
        refuse("finite numbers", `${values[place]} for token ${Math.floor(place / channels)}`);
      }
      return [prompt, { length, values }];
    }));
  }

  /** What tells the encoder from others, where it is known. */
  get encoder(): EncoderFingerprints | undefined {
    const encoder = this.#encoder;
    const known = this.#encoder = typeof encoder === "function" ? encoder() : encoder;
    return known !== undefined && Object.keys(known).length > 0 ? known : undefined;
  }

  /** The prompts, in the order in which they were encoded. */
  get prompts(): readonly string[] {
    return [...this.#features.keys()];
  }

  /** Features of a prompt, if there are any. */
  get(prompt: string): PromptFeatures | undefined {
    return this.#features.get(prompt);
  }

  /**
   * These and further ones, made by the same encoder; of a prompt that both have, these.
   *
   * @throws {TypeError} If they are no features.
   * @throws {RangeError} If they are of another encoder.
   */
  and(further: TextFeatures): TextFeatures {
    requireFeaturesFor(requireTextFeatures(further, "the further ones", "join text features"), this);
    const values = [...further.#features, ...this.#features].map(([prompt, { values }]) =>
      [prompt, values] as const
    );
    return new TextFeatures(this.channels, new Map(values), {
      encoder: () => this.encoder ?? further.encoder ?? {},
      file: this.file,
    });
  }

  /**
   * Features of a prompt.
   *
   * @throws {TypeError} If it is no text.
   * @throws {RangeError} If there are none, with some that there are.
   */
  require(prompt: string): PromptFeatures {
    const features = this.get(requireText(prompt, "the prompt", "look up text features"));
    if (features !== undefined) return features;
    const { prompts } = this;
    const some = prompts.slice(0, 3).map(quoted).join(", ");
    const there = prompts.length === 0
      ? "none"
      : `those of ${some}${prompts.length > 3 ? " and others" : ""}`;
    throw new RangeError(
      `Cannot find features of the prompt ${quoted(prompt)}: ${this.file} has ${there}; encode it, too`,
    );
  }
}

/** What encodes prompts, one at a time. */
export interface TextEncoding {
  /** Width of a token's features. */
  readonly channels: number;
  /** What tells the encoder from others. */
  readonly fingerprints: EncoderFingerprints;
  /** The features of a prompt, [tokens, channels]. */
  encode(prompt: string): Promise<Float32Array<ArrayBuffer>>;
}

/** Options of {@linkcode encodePrompts}. */
export interface EncodePromptsOptions {
  /** Called after each prompt with how many are done, and how many there are. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the encoding before the next prompt. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Encodes prompts one after the other, equal ones once.
 *
 * @param encoder The encoder, which stays the caller's.
 * @param prompts The prompts.
 * @throws {TypeError} If they are no list, or one is no text.
 */
export async function encodePrompts(
  encoder: TextEncoding,
  prompts: readonly string[],
  options: EncodePromptsOptions = {},
): Promise<TextFeatures> {
  const action = "encode prompts";
  requireList(prompts, "they", action, "a list of texts");
  requireOptions(options, ["onProgress", "signal"], action);
  const { onProgress, signal } = options;
  const features = new Map<string, Float32Array<ArrayBuffer>>();
  for (const [i, prompt] of prompts.entries()) {
    signal?.throwIfAborted();
    if (!features.has(prompt)) features.set(prompt, await encoder.encode(prompt));
    onProgress?.(i + 1, prompts.length);
  }
  return new TextFeatures(encoder.channels, features, { encoder: () => encoder.fingerprints });
}

/**
 * Checks that features are of the text encoder that a model was trained with, as far as that is known.
 *
 * @param model Width of the features that it takes, and what tells its encoder from others.
 * @param features The features.
 * @throws {RangeError} If they have another width, or are known to be of another encoder.
 *
 * @example
 * ```ts
 * import { requireFeaturesFor, TextFeatures } from "./text_features.ts";
 * import { assertThrows } from "@std/assert";
 *
 * const features = new TextFeatures(2, new Map([["a red cube", new Float32Array([1, 2])]]));
 * requireFeaturesFor({ channels: 2 }, features);
 * assertThrows(() => requireFeaturesFor({ channels: 2048 }, features), RangeError, "2048 channels");
 * ```
 */
export function requireFeaturesFor(
  model: { readonly channels: number; readonly encoder?: EncoderFingerprints | undefined },
  features: TextFeatures,
): void {
  const action = `Cannot use the text features of ${features.file} as they are of another text encoder`;
  const cure = "encode the prompts with the model's own";
  if (features.channels !== model.channels) {
    throw new RangeError(
      `${action}: the model's has ${model.channels} channels, theirs ${features.channels}; ${cure}`,
    );
  }
  const own = Object.values(model.encoder ?? {});
  const theirs = Object.values(features.encoder ?? {});
  // The same checkpoint in another type is the same encoder; it has the same checksum under another name.
  if (own.length === 0 || theirs.length === 0 || own.some((sha256) => theirs.includes(sha256))) return;
  throw new RangeError(`${action}: the model's has SHA-256 ${own[0]}, theirs ${theirs[0]}; ${cure}`);
}

/**
 * Checks that a value is features of prompts.
 *
 * @returns The features.
 * @throws {TypeError} If it is none.
 */
export function requireTextFeatures(features: TextFeatures, name: string, action: string): TextFeatures {
  if (features instanceof TextFeatures) return features;
  throw new TypeError(mustBe("what readTextFeatures() resolves to", features, name, action));
}

/** Options of {@linkcode writeTextFeatures} and {@linkcode encodeTextFeatures}. */
export interface WriteTextFeaturesOptions {
  /** Type of the numbers; `"f32"` by default. */
  readonly dtype?: "f32" | "f16";
  /** Ends the writing; nothing is left behind. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes features to a file, or to a stream, which is closed.
 *
 * @throws {TypeError} If they are none, or an option is unknown.
 * @throws {RangeError} If a number is too large for halves.
 *
 * @example
 * ```ts
 * import { readTextFeatures, TextFeatures, writeTextFeatures } from "./text_features.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const file = await Deno.makeTempFile();
 * await writeTextFeatures(file, new TextFeatures(1, new Map([["a red cube", new Float32Array(3)]])));
 * assertEquals((await readTextFeatures(file)).prompts, ["a red cube"]);
 * await Deno.remove(file);
 * ```
 */
export async function writeTextFeatures(
  target: string | URL | WritableStream<Uint8Array>,
  features: TextFeatures,
  options: WriteTextFeaturesOptions = {},
): Promise<void> {
  const action = "write text features";
  requireTextFeatures(features, "they", action);
  requireOptions(options, ["dtype", "signal"], action);
  const { dtype = "f32", signal } = options;
  requireChoice(dtype, ["f32", "f16"], "dtype", action);
  const { channels, encoder, prompts } = features;
  const entries = prompts.map((prompt, i): SafetensorsEntry => {
    const { length, values } = features.require(prompt);
    const large = dtype === "f16" ? values.find((value) => Math.abs(value) > MAX_HALF) : undefined;
    if (large !== undefined) {
      throw new RangeError(
        `Cannot write text features as f16, whose numbers end at ${MAX_HALF}: the prompt ${
          quoted(prompt)
        } has ${large}; write f32`,
      );
    }
    const bytes = (): Uint8Array => dtype === "f16" ? encodeFloat16(values) : bytesOf(values);
    return { name: tensorName(i), dtype: dtype === "f16" ? "F16" : "F32", shape: [length, channels], bytes };
  });
  const metadata = {
    format: FORMAT,
    version: VERSION,
    prompts: JSON.stringify(prompts),
    ...(encoder === undefined ? {} : { encoder: JSON.stringify(encoder) }),
  };
  await writeSafetensors(target, entries, { metadata, signal });
}

/**
 * The bytes of a file with features.
 *
 * @throws {TypeError} If they are none, or an option is unknown.
 * @throws {RangeError} If a number is too large for halves.
 *
 * @example
 * ```ts
 * import { encodeTextFeatures, readTextFeatures, TextFeatures } from "./text_features.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const features = new TextFeatures(1, new Map([["a red cube", new Float32Array([0.5, 0.25])]]));
 * const bytes = await encodeTextFeatures(features, { dtype: "f16" });
 * assertEquals((await readTextFeatures(bytes)).require("a red cube").values, new Float32Array([0.5, 0.25]));
 * ```
 */
export async function encodeTextFeatures(
  features: TextFeatures,
  options: WriteTextFeaturesOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const [bytes] = await Promise.all([
    new Response(readable).bytes(),
    writeTextFeatures(writable, features, options),
  ]);
  return bytes;
}

/**
 * Reads a file with features.
 *
 * @param place Its path, URL or bytes.
 * @throws {TypeError} If it is none of these.
 * @throws {ModelFileError} If it is no such file, or its tensors are not what its metadata say.
 *
 * @example
 * ```ts
 * import { encodeTextFeatures, readTextFeatures, TextFeatures } from "./text_features.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const kept = await encodeTextFeatures(new TextFeatures(1, new Map([["a red cube", new Float32Array(3)]])));
 * const { prompts, channels } = await readTextFeatures(kept);
 * assertEquals([prompts, channels], [["a red cube"], 1]);
 * ```
 */
export async function readTextFeatures(place: string | URL | Uint8Array): Promise<TextFeatures> {
  using checkpoint = await openCheckpoint(place);
  const { file, metadata, tensors } = checkpoint;
  const refuse = (expected: string, found: unknown, tensor?: string): never => {
    const where = tensor === undefined ? { file } : { file, tensor };
    throw new ModelFileError("Cannot read text features", { ...where, expected, found: asFound(found) });
  };
  if (metadata.format !== FORMAT) {
    refuse(`metadata with "format": "${FORMAT}", as encode-text writes them`, metadata.format);
  }
  if (metadata.version !== VERSION) refuse(`version ${VERSION}`, metadata.version);
  const prompts = readPrompts(checkpoint, refuse);
  const encoder = readEncoder(checkpoint, refuse);
  const channels = tensors.get(tensorName(0))?.shape[1] ?? 1;
  if (prompts.length === 0) refuse("at least one prompt", "none");
  if (tensors.size !== prompts.length) refuse(`${prompts.length} tensors, one a prompt`, `${tensors.size}`);
  let bytes = 0;
  for (const i of prompts.keys()) {
    const name = tensorName(i);
    const tensor = tensors.get(name);
    if (tensor === undefined) return refuse("a tensor of the features of each prompt", "none", name);
    const { dtype, shape } = tensor;
    const [length = 0, width = 0] = shape;
    if (dtype !== "F32" && dtype !== "F16") refuse("F32 or F16", dtype, name);
    const fits = shape.length === 2 && length >= 1 && length <= PROMPT_TOKENS && width >= 1 &&
      width === channels;
    if (!fits) refuse(`[1 to ${PROMPT_TOKENS}, ${channels}]`, `[${shape.join(", ")}]`, name);
    bytes += 4 * length * width;
  }
  if (bytes > MAX_BYTES) refuse(`at most ${MAX_BYTES} bytes of features`, `${bytes}`);
  const features = new Map<string, Float32Array<ArrayBuffer>>();
  for (const [i, prompt] of prompts.entries()) {
    features.set(prompt, await checkpoint.readFloat32(tensorName(i)));
  }
  return new TextFeatures(channels, features, { encoder, file });
}

function requireInstance(
  value: object,
  type: MapConstructor | Float32ArrayConstructor,
  name: string,
  action: string,
): void {
  if (!(value instanceof type)) throw new TypeError(mustBe(`a ${type.name}`, value, name, action));
}

type Refuse = (expected: string, found: unknown) => never;

function readPrompts({ metadata }: Checkpoint, refuse: Refuse): string[] {
  const prompts = parsed(metadata.prompts);
  if (!Array.isArray(prompts) || prompts.some((prompt) => typeof prompt !== "string")) {
    return refuse('metadata with a JSON list of texts, "prompts"', prompts);
  }
  const known = new Set<string>();
  for (const prompt of prompts) {
    if (known.has(prompt)) refuse("each prompt once", `${quoted(prompt)} twice`);
    known.add(prompt);
  }
  return prompts;
}

function readEncoder({ metadata }: Checkpoint, refuse: Refuse): EncoderFingerprints | undefined {
  if (metadata.encoder === undefined) return undefined;
  const encoder = parsed(metadata.encoder);
  const isRecord = typeof encoder === "object" && encoder !== null && !Array.isArray(encoder);
  if (isRecord && Object.values(encoder).every((hash) => /^[0-9a-f]{64}$/.test(String(hash)))) {
    return encoder as EncoderFingerprints;
  }
  return refuse('metadata with a JSON object of SHA-256s, "encoder"', encoder);
}

/** JSON, or `undefined` for what is none. */
function parsed(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    return undefined;
  }
}

function tensorName(index: number): string {
  return `features.${index}`;
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
