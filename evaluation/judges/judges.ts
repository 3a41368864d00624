/**
 * What judges the pictures of the bundled models where methods are compared: networks in `judges/` that no
 * search has ever seen, and the rules by which what they see is right or wrong. How sure the averages are is
 * left to `intervals.ts`.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import { readFloats } from "../../kernels/device/device.ts";
import { createGraphSession } from "../../models/graphs/create_session.ts";
import type { CpuProvider, GraphSession } from "../../models/graphs/graph_session.ts";

/** Pixels of a picture, as an `RgbaImage` holds them. */
export interface Pixels {
  /** Width. */
  readonly width: number;
  /** Height. */
  readonly height: number;
  /** Red, green, blue and alpha of each pixel, row by row. */
  readonly data: ArrayLike<number>;
}

/** Side of the pictures that the oracles know. */
export const ORACLE_SIDE = 64;

/** Pictures that run together. */
const BATCH = 64;

/**
 * One of the networks in `judges/`, which see pictures and nothing of how they came about. They run on the
 * CPU, so that a verdict does not depend on the device that painted.
 */
class Oracle implements AsyncDisposable {
  readonly #device: CpuDevice;
  readonly #session: GraphSession;
  readonly #output: string;

  private constructor(device: CpuDevice, session: GraphSession, output: string) {
    this.#device = device;
    this.#session = session;
    this.#output = output;
  }

  static async open(file: string, output: string, options: OracleOptions): Promise<Oracle> {
    const place = new URL(`./${file}`, import.meta.url);
    const device = new CpuDevice();
    const session = await createGraphSession(device, await Deno.readFile(place), {
      ...options,
      file: place.href,
    });
    return new Oracle(device, session, output);
  }

  /** What the network says, row by row for each picture. */
  async look(pictures: readonly Pixels[]): Promise<Float32Array[]> {
    const said: Float32Array[] = [];
    for (let start = 0; start < pictures.length; start += BATCH) {
      const batch = pictures.slice(start, start + BATCH);
      using array = this.#device.upload(planes(batch), "pictures to judge");
      const shape = [batch.length, 3, ORACLE_SIDE, ORACLE_SIDE];
      const outputs = await this.#session.run({ image: { array, shape } }, [this.#output]);
      using output = outputs[this.#output]!;
      const values = await readFloats(output);
      const row = values.length / batch.length;
      said.push(...batch.map((_, i) => values.slice(i * row, (i + 1) * row)));
    }
    return said;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
    this.#device[Symbol.dispose]();
  }
}

/** Red, green and blue in planes, from 0 to 1. */
function planes(pictures: readonly Pixels[]): Float32Array<ArrayBuffer> {
  const area = ORACLE_SIDE ** 2;
  const values = new Float32Array(pictures.length * 3 * area);
  for (const [i, { width, height, data }] of pictures.entries()) {
    if (width !== ORACLE_SIDE || height !== ORACLE_SIDE) {
      const wanted = `${ORACLE_SIDE} by ${ORACLE_SIDE}`;
      throw new RangeError(mustBe(wanted, `${width} by ${height}`, "each picture", "judge pictures"));
    }
    for (let channel = 0; channel < 3; channel++) {
      for (let p = 0; p < area; p++) values[(3 * i + channel) * area + p] = data[4 * p + channel]! / 255;
    }
  }
  return values;
}

function requireAsMany(pictures: readonly unknown[], others: readonly unknown[], name: string): void {
  if (others.length === pictures.length) return;
  throw new RangeError(mustBe(`one for each of ${pictures.length}`, others.length, name, "judge pictures"));
}

/** Options of opening an oracle. */
export interface OracleOptions {
  /** Who computes on the CPU; `"wasm"` by default. */
  readonly cpuProvider?: CpuProvider;
}

/** What the oracle of classes says about a picture. */
export interface ClassVerdict {
  /** The class that it sees, of 64. */
  readonly label: number;
  /** Natural logarithm of the probability that it gives the wanted class. */
  readonly logProbability: number;
  /** Whether it sees the wanted class. */
  readonly right: boolean;
}

/**
 * The judge of the class-conditional demo.
 *
 * @example
 * ```ts
 * import { ClassOracle } from "./judges.ts";
 * import { RgbaImage } from "../../sampler/pictures/image.ts";
 * import { assert } from "@std/assert";
 *
 * await using oracle = await ClassOracle.open();
 * const [verdict] = await oracle.judge([new RgbaImage(64, 64)], [13]);
 * assert(verdict!.logProbability < 0);
 * ```
 */
export class ClassOracle implements AsyncDisposable {
  readonly #oracle: Oracle;

  private constructor(oracle: Oracle) {
    this.#oracle = oracle;
  }

  /** Loads it. */
  static async open(options: OracleOptions = {}): Promise<ClassOracle> {
    return new ClassOracle(await Oracle.open("demo_oracle.onnx", "logits", options));
  }

  /**
   * Judges pictures by the classes that they should be of.
   *
   * @throws {RangeError} If a picture has another size, or there are not as many labels or no such class.
   */
  async judge(pictures: readonly Pixels[], labels: readonly number[]): Promise<ClassVerdict[]> {
    requireAsMany(pictures, labels, "labels");
    const said = await this.#oracle.look(pictures);
    return said.map((logits, i) => {
      const wanted = logits[labels[i]!];
      if (wanted === undefined) {
        const range = `an integer from 0 to ${logits.length - 1}`;
        throw new RangeError(mustBe(range, labels[i], "each label", "judge pictures"));
      }
      const most = Math.max(...logits);
      const total = logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
      const label = logits.indexOf(most);
      return { label, logProbability: wanted - most - Math.log(total), right: label === labels[i] };
    });
  }

  /** Unloads it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#oracle[Symbol.asyncDispose]();
  }
}

/** Shapes that the detector tells, in the order of its output. */
export const SHAPES = ["sphere", "cube", "cylinder", "cone", "torus", "cross"] as const;
/** Colours that the detector tells, in the order of its output. */
export const COLORS = ["red", "orange", "yellow", "green", "cyan", "blue", "purple", "gray"] as const;

/** What GenEval's captions are about, in the order of its table. */
export const TAGS = [
  "single_object",
  "two_object",
  "counting",
  "colors",
  "position",
  "color_attr",
] as const;
/** One of {@linkcode TAGS}. */
export type Tag = typeof TAGS[number];

/** Where one object is of another. */
export type Relation = "left of" | "right of" | "above" | "below";

/** Solids that a picture must show, or must not show so many of. */
export interface Requirement {
  /** Shape. */
  readonly class: string;
  /** How many. */
  readonly count: number;
  /** Colour of all of them; any without. */
  readonly color?: string;
  /** Where they are of those of an earlier requirement, which is told by its index. */
  readonly position?: readonly [Relation, number];
}

/** A caption with what makes a picture of it right, as GenEval writes it. */
export interface Caption {
  /** Its kind. */
  readonly tag: Tag;
  /** What the picture must show. */
  readonly include: readonly Requirement[];
  /** What it must not show so many of. */
  readonly exclude?: readonly Requirement[];
  /** The words. */
  readonly prompt: string;
}

/** A solid that the detector has found. */
export interface DetectedObject {
  /** How sure it is, from 0 to 1. */
  readonly score: number;
  /** One of {@linkcode SHAPES}. */
  readonly shape: string;
  /** One of {@linkcode COLORS}. */
  readonly color: string;
  /** Horizontal middle of its box; the picture's width is 1. */
  readonly x: number;
  /** Vertical middle, from the top; the picture's height is 1. */
  readonly y: number;
  /** Width of the box. */
  readonly width: number;
  /** Height of the box. */
  readonly height: number;
}

/** What the detector says about a picture. */
export interface CaptionVerdict {
  /** What it has found, the surest first. */
  readonly objects: readonly DetectedObject[];
  /** Whether that is what the caption says. */
  readonly right: boolean;
}

/** Numbers that the detector gives for an object: score, box, shapes, colours. */
const FIELDS = 5 + SHAPES.length + COLORS.length;
/** Objects below this score are none. */
const LEAST_SCORE = 0.5;

/** The judge of the text-to-image demo: a detector whose objects are held against captions. */
export class CaptionOracle implements AsyncDisposable {
  readonly #oracle: Oracle;

  private constructor(oracle: Oracle) {
    this.#oracle = oracle;
  }

  /** Loads it. */
  static async open(options: OracleOptions = {}): Promise<CaptionOracle> {
    return new CaptionOracle(await Oracle.open("demo_t2i_oracle.onnx", "objects", options));
  }

  /**
   * Judges pictures by the captions that they were painted from.
   *
   * @throws {RangeError} If a picture has another size, or there are not as many captions.
   */
  async judge(pictures: readonly Pixels[], captions: readonly Caption[]): Promise<CaptionVerdict[]> {
    requireAsMany(pictures, captions, "captions");
    const said = await this.#oracle.look(pictures);
    return said.map((values, i) => {
      const objects = objectsOf(values);
      return { objects, right: fulfills(objects, captions[i]!) };
    });
  }

  /** Unloads it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#oracle[Symbol.asyncDispose]();
  }
}

/** The objects in the detector's output for one picture, the surest first. */
export function objectsOf(values: Float32Array): DetectedObject[] {
  return Array.from({ length: values.length / FIELDS }, (_, i) => {
    const [score, x, y, width, height, ...kinds] = values.subarray(i * FIELDS, (i + 1) * FIELDS);
    const shape = SHAPES[indexOfMost(kinds.slice(0, SHAPES.length))]!;
    const color = COLORS[indexOfMost(kinds.slice(SHAPES.length))]!;
    return { score: score!, shape, color, x: x!, y: y!, width: width!, height: height! };
  }).filter(({ score }) => score > LEAST_SCORE);
}

function indexOfMost(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}

/**
 * Whether objects are what a caption says, by GenEval's rules: each requirement takes the surest that fit it,
 * all of these stand where it says of all that the other one took, and nothing is there too often. One thing
 * is kinder than in GenEval, which looks at colours only after the surest have been taken.
 *
 * @param objects What was found, the surest first.
 *
 * @example
 * ```ts
 * import { type Caption, fulfills } from "./judges.ts";
 * import { assert } from "@std/assert";
 *
 * const caption: Caption = {
 *   tag: "counting",
 *   include: [{ class: "cone", count: 1 }],
 *   exclude: [{ class: "cone", count: 2 }],
 *   prompt: "one cone",
 * };
 * const cone = { score: 0.9, shape: "cone", color: "red", x: 0.5, y: 0.5, width: 0.2, height: 0.3 };
 * assert(fulfills([cone], caption));
 * assert(!fulfills([cone, { ...cone, x: 0.2 }], caption));
 * ```
 */
export function fulfills(objects: readonly DetectedObject[], { include, exclude = [] }: Caption): boolean {
  const taken: DetectedObject[][] = [];
  for (const { class: shape, count, color, position } of include) {
    const fitting = objects.filter((it) => it.shape === shape && (color === undefined || it.color === color));
    if (fitting.length < count) return false;
    const group = fitting.slice(0, count);
    if (position !== undefined) {
      const [relation, other] = position;
      if (!group.every((it) => taken[other]!.every((base) => stands(it, base, relation)))) return false;
    }
    taken.push(group);
  }
  return exclude.every(({ class: shape, count }) => {
    return objects.filter((it) => it.shape === shape).length < count;
  });
}

/** Share of the boxes' sizes by which two may be apart and still count as in one place. */
const PLACE_TOLERANCE = 0.1;

/** GenEval's rule of boxes: what is left of the distance points within 60° of the direction. */
function stands(it: DetectedObject, base: DetectedObject, relation: Relation): boolean {
  const x = beyond(it.x - base.x, it.width + base.width);
  const y = beyond(it.y - base.y, it.height + base.height);
  if (Math.abs(x) < 1e-3 && Math.abs(y) < 1e-3) return false;
  const length = Math.hypot(x, y);
  switch (relation) {
    case "left of":
      return x / length < -0.5;
    case "right of":
      return x / length > 0.5;
    case "above":
      return y / length < -0.5;
    case "below":
      return y / length > 0.5;
  }
}

function beyond(offset: number, sizes: number): number {
  return Math.sign(offset) * Math.max(Math.abs(offset) - PLACE_TOLERANCE * sizes, 0);
}

/** Captions as they are recorded: one line of JSON each. */
export function parseCaptions(lines: string): Caption[] {
  return lines.trim().split("\n").map((line) => JSON.parse(line));
}

/**
 * Scores, one for each caption, in a group for each tag: as `bootstrapInterval` of `intervals.ts` takes them,
 * whose mean is then GenEval's overall score, in which every tag has the same weight.
 *
 * @param scores 1 for a right picture and 0 for a wrong one, or the share of a caption's pictures that are
 * right.
 * @returns The groups in the order of {@linkcode TAGS}, without tags that no caption has.
 *
 * @example
 * ```ts
 * import { type Caption, groupByTag } from "./judges.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const [one, two] = ["colors", "counting"] as const;
 * const captions = [one, two, one].map((tag): Caption => ({ tag, include: [], prompt: "" }));
 * assertEquals([...groupByTag(captions, [1, 0, 0.5])], [["counting", [0]], ["colors", [1, 0.5]]]);
 * ```
 */
export function groupByTag(captions: readonly Caption[], scores: readonly number[]): Map<Tag, number[]> {
  requireAsMany(captions, scores, "scores");
  const groups = TAGS.map((tag): [Tag, number[]] => [tag, scores.filter((_, i) => captions[i]!.tag === tag)]);
  return new Map(groups.filter(([, group]) => group.length > 0));
}
