/**
 * What a JSON file says of an ONNX network that judges or describes pictures: what goes in, how pictures and
 * texts become that, and which output is what. Every field is checked here; whether it is true of the
 * network, `onnx_network.ts` finds out.
 *
 * @module
 */

import { asFound, ModelFileError } from "../model_file_error.ts";
import type { Preprocessing } from "./preprocessing.ts";

/** How pictures are fed. */
export interface DescribedImage extends Preprocessing {
  /** Name of the input, f32 [pictures, 3, height, width]. */
  readonly input: string;
}

/** How texts are fed. */
export interface DescribedText {
  /** Name of the input, int64 [pictures, length]. */
  readonly input: string;
  /** Name of a `tokenizer.json` beside the description. */
  readonly tokenizer: string;
  /** Ids of a text at most, special ones among them. */
  readonly length: number;
  /** Id that fills shorter texts up; 0 by default. */
  readonly pad: number;
  /** Name of an input that is 1 for ids of the text and 0 for those that fill it up. */
  readonly mask?: string;
}

/** What is made of the numbers that a classifier has for each class. */
export interface DescribedClasses {
  /** Name of the output, f32 [pictures, classes]. */
  readonly output: string;
  /** What they are; the score is the logarithm of the probability that the label's class has. */
  readonly values: "logits" | "probabilities" | "logProbabilities";
  /** Names of the classes in order, by which labels are found; without them, a label's number counts. */
  readonly names?: readonly string[];
}

/** Which output describes pictures. */
export interface DescribedFeatures {
  /** Name of the output. */
  readonly output: string;
  /** `"tokens"`: [pictures, tokens, channels]; `"planes"`: [pictures, channels, …]; `"vector"`: one row. */
  readonly layout: "tokens" | "planes" | "vector";
  /** Numbers of a row, where the network's file does not tell. */
  readonly channels?: number;
  /** Rows at the beginning that are no patches, such as a class token; 0 by default. */
  readonly skip: number;
}

/** Content of a description. */
export interface NetworkDescription {
  /** Name for records and errors; by default that of the network's file. */
  readonly name: string;
  /** Name of the ONNX file beside the description. */
  readonly network: string;
  /** How pictures are fed. */
  readonly image: DescribedImage;
  /** How texts are fed, where the network takes any. */
  readonly text?: DescribedText;
  /** The text for a class, in which `{label}` stands for its name. */
  readonly template?: string;
  /** Name of the output that is the score, f32 [pictures] or [pictures, 1]: the higher, the better. */
  readonly score?: string;
  /** For a classifier instead: its output. */
  readonly classes?: DescribedClasses;
  /** Which output describes pictures. */
  readonly features?: DescribedFeatures;
  /** Pictures that are fed at once at most; 8 by default. */
  readonly batch: number;
  /** The shorter edge from which on a larger picture tells the network nothing more. */
  readonly smallestEdge?: number;
  /** Floating-point operations for one picture. */
  readonly flops?: number;
}

const BATCH = 8;

/**
 * Reads a description.
 *
 * @param bytes Content of the file.
 * @param file Its path or URL, for messages.
 * @throws {ModelFileError} If a field is missing, unknown or not what it should be.
 *
 * @example
 * ```ts
 * import { parseDescription } from "./network_description.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const text = `{ "network": "taste.onnx", "image": { "input": "x", "size": 224 }, "score": "y" }`;
 * const description = parseDescription(new TextEncoder().encode(text), "taste.json");
 * assertEquals(description.name, "taste");
 * assertEquals(description.image.resize, "bicubic");
 * ```
 */
export function parseDescription(bytes: Uint8Array, file: string): NetworkDescription {
  const fields = fieldsIn(bytes, file);
  const network = fields.file("network", ".onnx");
  const image = imageIn(fields.object("image"));
  const text = fields.has("text") ? textIn(fields.object("text")) : undefined;
  const classes = fields.has("classes") ? classesIn(fields.object("classes")) : undefined;
  const features = fields.has("features") ? featuresIn(fields.object("features")) : undefined;
  const score = fields.optional("score", (name) => fields.text(name));
  const template = fields.optional("template", (name) => fields.text(name));
  const description: NetworkDescription = {
    name: fields.optional("name", (name) => fields.text(name)) ?? network.slice(0, -".onnx".length),
    network,
    image,
    ...given({ text, template, score, classes, features }),
    batch: fields.optional("batch", (name) => fields.integer(name)) ?? BATCH,
    ...given({
      smallestEdge: fields.optional("smallestEdge", (name) => fields.integer(name)),
      flops: fields.optional("flops", (name) => fields.number(name)),
    }),
  };
  fields.end();
  if (score === undefined && classes === undefined && features === undefined) {
    throw refusal(file, '"score", "classes" or "features"', "none of them");
  }
  if (score !== undefined && classes !== undefined) {
    throw refusal(file, 'either "score" or "classes"', "both");
  }
  if (text !== undefined && score === undefined) {
    throw refusal(file, '"score" where there is "text", as features are of pictures alone', "none");
  }
  if (template !== undefined && text === undefined) throw refusal(file, '"text" for the "template"', "none");
  if (template?.includes("{label}") === false) throw refusal(file, '"{label}" in "template"', template);
  return description;
}

/**
 * The fields of a description.
 *
 * @throws {ModelFileError} If it is no JSON of an object.
 */
export function fieldsIn(bytes: Uint8Array, file: string): Fields {
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw refusal(file, "JSON", (error as Error).message);
  }
  return new Fields(content, "", file);
}

/**
 * Names of the files that a description names.
 *
 * @throws {ModelFileError} If it is not what it should be.
 */
export function describedFiles(bytes: Uint8Array, file: string): readonly string[] {
  const { network, text } = parseDescription(bytes, file);
  return [network, ...text === undefined ? [] : [text.tokenizer]];
}

/** How pictures are fed, of which these are the fields. */
export function imageIn(fields: Fields): DescribedImage {
  const [width, height] = fields.size("size");
  const colours = (name: string, usual: number) => {
    return fields.optional(name, () => fields.colours(name)) ?? [usual, usual, usual] as const;
  };
  const image: DescribedImage = {
    input: fields.text("input"),
    size: { width, height },
    resize: fields.optional("resize", (name) => {
      return fields.choice(name, ["bilinear", "bicubic", "lanczos", "none"]);
    }) ?? "bicubic",
    fit: fields.optional("fit", (name) => fields.choice(name, ["squash", "crop"])) ?? "crop",
    mean: colours("mean", 0),
    std: colours("std", 1),
  };
  fields.end();
  if (image.std.some((value) => value === 0)) fields.refuse("std", "numbers other than 0");
  return image;
}

function textIn(fields: Fields): DescribedText {
  const text: DescribedText = {
    input: fields.text("input"),
    tokenizer: fields.file("tokenizer", ".json"),
    length: fields.integer("length"),
    pad: fields.optional("pad", (name) => fields.integer(name, 0)) ?? 0,
    ...given({ mask: fields.optional("mask", (name) => fields.text(name)) }),
  };
  fields.end();
  return text;
}

function classesIn(fields: Fields): DescribedClasses {
  const classes: DescribedClasses = {
    output: fields.text("output"),
    values: fields.optional("values", (name) => {
      return fields.choice(name, ["logits", "probabilities", "logProbabilities"]);
    }) ?? "logits",
    ...given({ names: fields.optional("names", (name) => fields.texts(name)) }),
  };
  fields.end();
  return classes;
}

function featuresIn(fields: Fields): DescribedFeatures {
  const features: DescribedFeatures = {
    output: fields.text("output"),
    layout: fields.choice("layout", ["tokens", "planes", "vector"]),
    ...given({ channels: fields.optional("channels", (name) => fields.integer(name)) }),
    skip: fields.optional("skip", (name) => fields.integer(name, 0)) ?? 0,
  };
  fields.end();
  if (features.skip > 0 && features.layout !== "tokens") {
    fields.refuse("skip", '0 unless the layout is "tokens"');
  }
  return features;
}

/** Of some fields those that are there. */
function given<Some extends object>(
  fields: Some,
): { [Name in keyof Some]?: Exclude<Some[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

function refusal(file: string, expected: string, found: unknown): ModelFileError {
  return new ModelFileError("Cannot read the description of a network", {
    file,
    expected,
    found: asFound(found),
  });
}

/** The fields of an object, each looked at once; what is left at the end nobody knows. */
export class Fields {
  readonly #content: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #file: string;
  readonly #known = new Set<string>();

  constructor(content: unknown, path: string, file: string) {
    this.#path = path;
    this.#file = file;
    if (typeof content !== "object" || content === null || Array.isArray(content)) {
      throw refusal(file, path === "" ? "an object" : `an object "${path.slice(0, -1)}"`, content);
    }
    this.#content = content as Readonly<Record<string, unknown>>;
  }

  has(name: string): boolean {
    this.#known.add(name);
    return Object.hasOwn(this.#content, name);
  }

  optional<Value>(name: string, read: (name: string) => Value): Value | undefined {
    return this.has(name) ? read(name) : undefined;
  }

  object(name: string): Fields {
    return new Fields(this.#value(name), `${this.#path}${name}.`, this.#file);
  }

  text(name: string): string {
    const value = this.#value(name);
    return typeof value === "string" && value !== "" ? value : this.refuse(name, "a text");
  }

  texts(name: string): readonly string[] {
    const value = this.#value(name);
    const are = Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string");
    return are ? value : this.refuse(name, "a list of texts");
  }

  textOrTexts(name: string): string | readonly string[] {
    return Array.isArray(this.#value(name)) ? this.texts(name) : this.text(name);
  }

  /** Name of a file that lies beside: one that leads nowhere else. */
  file(name: string, ending: string): string {
    const value = this.text(name);
    return /^\w[\w.-]*$/.test(value) && value.endsWith(ending)
      ? value
      : this.refuse(name, `the plain name of a ${ending} file`);
  }

  integer(name: string, min: number = 1): number {
    const value = this.#value(name);
    return Number.isSafeInteger(value) && (value as number) >= min
      ? value as number
      : this.refuse(name, `an integer >= ${min}`);
  }

  number(name: string): number {
    const value = this.#value(name);
    return typeof value === "number" && value >= 0 ? value : this.refuse(name, "a number >= 0");
  }

  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice {
    const value = this.#value(name) as Choice;
    return choices.includes(value)
      ? value
      : this.refuse(name, choices.map((choice) => `"${choice}"`).join(" or "));
  }

  /** Width and height, or the edge of a square. */
  size(name: string): readonly [width: number, height: number] {
    const value = this.#value(name);
    const [width, height, ...others] = Array.isArray(value) ? value : [value, value];
    const are = [width, height].every((edge) => Number.isSafeInteger(edge) && edge >= 1 && edge <= MAX_EDGE);
    return are && others.length === 0
      ? [width, height]
      : this.refuse(name, `an edge or [width, height], integers from 1 to ${MAX_EDGE}`);
  }

  /** A number for each colour. */
  colours(name: string): readonly [red: number, green: number, blue: number] {
    const value = this.#value(name);
    const are = Array.isArray(value) && value.length === 3 && value.every(Number.isFinite);
    return are ? value as [number, number, number] : this.refuse(name, "three numbers");
  }

  refuse(name: string, wanted: string): never {
    throw refusal(this.#file, `${wanted} as "${this.#path}${name}"`, this.#content[name]);
  }

  end(): void {
    const odd = Object.keys(this.#content).find((name) => !this.#known.has(name));
    if (odd === undefined) return;
    const known = [...this.#known].map((name) => `"${this.#path}${name}"`).join(", ");
    throw refusal(this.#file, `no other fields than ${known}`, `"${this.#path}${odd}"`);
  }

  #value(name: string): unknown {
    this.#known.add(name);
    return this.#content[name];
  }
}

/** Pixels that an edge of a network's input may have. */
const MAX_EDGE = 4096;
