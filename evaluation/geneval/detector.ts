/**
 * Who finds objects in pictures for GenEval. Its own detector, Mask2Former with Swin-S in mmdet, has no ONNX
 * file; any other one that has can be described by a JSON file, and what it comes to is GenEval-like and not
 * to be compared with GenEval. What the numbers of a network mean is left to `detector_outputs.ts`.
 *
 * @module
 */

import { requireOptions, shown } from "../../kernels/arguments.ts";
import { openSource, placeBeside, sha256 } from "../../models/checkpoint/source.ts";
import { withFloats } from "../../models/graphs/graph_file.ts";
import { ModelFileError } from "../../models/model_file_error.ts";
import { DESCRIPTION_BYTES } from "../../models/vision/described_network.ts";
import {
  type DescribedImage,
  type Fields,
  fieldsIn,
  imageIn,
} from "../../models/vision/network_description.ts";
import { outlineOf, requireInputs } from "../../models/vision/onnx_network.ts";
import { PictureGraph, type PictureGraphOptions, type Pixels } from "../networks/picture_graph.ts";
import { CLASS_LISTS, genEvalNames } from "./class_names.ts";
import { type DetectorOutput, objectsIn, outputIn, outputNames } from "./detector_outputs.ts";
import { type Detection, GENEVAL_RULES, type GenEvalRules } from "./rules.ts";

/** What finds objects in pictures. Disposing it unloads it. */
export interface Detector extends AsyncDisposable {
  /** Name in records, tables and errors. */
  readonly name: string;
  /** What tells it from any other: a SHA-256 of its files. */
  readonly fingerprint: string;
  /** Classes that it knows. */
  readonly labels: readonly string[];
  /** Colours that it tells itself; without them somebody else has to. */
  readonly colors?: readonly string[];
  /** How its objects are judged: from which score on they count. */
  readonly rules: GenEvalRules;
  /** Pictures that are best given together. */
  readonly batch: number;
  /**
   * Finds objects.
   *
   * @param pictures Pictures of any sizes.
   * @returns What is in each of them, in any order, with scores from its rules on.
   * @throws {ModelFileError} If it says what no detector says, such as NaN.
   */
  detect(
    pictures: readonly Pixels[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<Detection[][]>;
}

/** Name of the bundled detector, which knows the solids of `demo-t2i`. */
export const DEMO_DETECTOR = "demo-t2i-oracle";

/** Names of all options, to tell a misspelt one. */
const OPTIONS = [
  "device",
  "cpuProvider",
  "threads",
  "signal",
] as const satisfies (keyof PictureGraphOptions)[];

/** Bytes that a network may have: as many as a message of ONNX. */
const NETWORK_BYTES = 2 ** 31 - 1;
/** Pictures that are fed at once, unless the description says so. */
const BATCH = 8;

/** What a description says. */
interface DetectorDescription {
  readonly name: string;
  readonly network: string;
  readonly image: DescribedImage;
  readonly output: DetectorOutput;
  readonly labels: readonly string[];
  readonly rules: GenEvalRules;
  readonly batch: number;
}

/**
 * Loads a detector.
 *
 * @param place `"demo-t2i-oracle"` for the bundled one, which knows the solids of `demo-t2i`; otherwise the
 * path or URL of a description, beside which its ONNX file lies; `docs/metrics.md` says how to write one.
 * @throws {TypeError} If an option is unknown.
 * @throws {ModelFileError} If the description is none, or the network is not as it says.
 *
 * @example
 * ```ts
 * import { loadDetector } from "./detector.ts";
 * import { RgbaImage } from "../../sampler/pictures/image.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using detector = await loadDetector("demo-t2i-oracle");
 * assertEquals(detector.labels.slice(0, 2), ["sphere", "cube"]);
 * assertEquals(await detector.detect([new RgbaImage(64, 64)]), [[]]);
 * ```
 */
export async function loadDetector(
  place: string | URL,
  options: PictureGraphOptions = {},
): Promise<Detector> {
  requireOptions(options, OPTIONS, "load the detector");
  if (!(place instanceof URL) && (typeof place !== "string" || place === "")) {
    throw new TypeError(
      `Cannot load the detector as its place must be "${DEMO_DETECTOR}" or that of a description: current value is ${
        shown(place)
      }`,
    );
  }
  const { signal } = options;
  const at = place === DEMO_DETECTOR ? new URL("../judges/demo_t2i_detector.json", import.meta.url) : place;
  const bytes = await readWhole(at, { most: DESCRIPTION_BYTES, signal });
  const description = parseDetector(bytes, String(at));
  const { network, image, output, batch } = description;
  const from = placeBeside(at, network);
  const file = String(from);
  const found = await readWhole(from, { most: NETWORK_BYTES, signal });
  const outline = outlineOf(found, file);
  const most = requireInputs({ image }, outline, file);
  const names = outputNames(output);
  let model: Uint8Array = found;
  const floats = names.map((name) => {
    const known = outline.outputs.find((candidate) => candidate.name === name);
    if (known === undefined) {
      throw new ModelFileError("Cannot use the network as its description does not fit it", {
        file,
        expected: `an output "${name}"`,
        found: outline.outputs.map((other) => `"${other.name}"`).join(", "),
      });
    }
    if (known.type === "float32") return name;
    const widened = withFloats(model, name);
    model = widened.model;
    return widened.name;
  });
  const graph = await PictureGraph.open({
    ...{ model, file, image },
    // Boxes that are left of many are so many for each picture, and have no room for several.
    batch: output.kind === "boxes" ? 1 : Math.min(most, batch),
  }, options);
  const hashes = [await sha256(bytes), await sha256(found)];
  return new DescribedDetector(description, {
    ...{ graph, file, names, floats },
    fingerprint: await sha256(new TextEncoder().encode(hashes.join("\n"))),
  });
}

class DescribedDetector implements Detector {
  readonly name: string;
  readonly fingerprint: string;
  readonly labels: readonly string[];
  readonly colors?: readonly string[];
  readonly rules: GenEvalRules;
  readonly batch: number;
  readonly #description: DetectorDescription;
  readonly #graph: PictureGraph;
  readonly #file: string;
  readonly #names: readonly string[];
  readonly #floats: readonly string[];

  constructor(
    description: DetectorDescription,
    { graph, file, names, floats, fingerprint }: {
      readonly graph: PictureGraph;
      readonly file: string;
      readonly names: readonly string[];
      readonly floats: readonly string[];
      readonly fingerprint: string;
    },
  ) {
    const { name, labels, output, rules, batch } = description;
    this.name = name;
    this.fingerprint = fingerprint;
    this.labels = labels.filter((label) => label !== "");
    if (output.kind === "objects") this.colors = output.colors;
    this.rules = rules;
    this.batch = batch;
    this.#description = description;
    this.#graph = graph;
    this.#file = file;
    this.#names = names;
    this.#floats = floats;
  }

  async detect(
    pictures: readonly Pixels[],
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Detection[][]> {
    const { image, output, labels, rules } = this.#description;
    const found: Detection[][] = [];
    for await (const { count, outputs } of this.#graph.look(pictures, this.#floats, options)) {
      const numbers = this.#names.map((name, i) => [name, outputs[this.#floats[i]!]!] as const);
      const sizes = pictures.slice(found.length, found.length + count);
      found.push(...objectsIn(output, new Map(numbers), {
        ...{ sizes, image, labels, file: this.#file },
        least: Math.min(rules.score, rules.countingScore),
      }));
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#graph[Symbol.asyncDispose]();
  }
}

function parseDetector(bytes: Uint8Array, file: string): DetectorDescription {
  const fields = fieldsIn(bytes, file);
  const network = fields.file("network", ".onnx");
  const description = {
    name: fields.optional("name", (name) => fields.text(name)) ?? network.slice(0, -".onnx".length),
    network,
    image: imageIn(fields.object("image")),
    output: outputIn(fields.object("output")),
    labels: labelsIn(fields),
    rules: fields.has("rules") ? rulesIn(fields.object("rules")) : GENEVAL_RULES,
    batch: fields.optional("batch", (name) => fields.integer(name)) ?? BATCH,
  };
  fields.end();
  return description;
}

/** A list of names, or the name of one that is known. */
function labelsIn(fields: Fields): readonly string[] {
  const lists = Object.keys(CLASS_LISTS);
  const known = fields.optional("labels", (name) => fields.textOrTexts(name)) ?? [];
  if (typeof known !== "string") {
    if (known.some((name) => name !== "")) return genEvalNames(known);
    fields.refuse("labels", `a list of names, or ${lists.map((name) => `"${name}"`).join(" or ")}`);
  }
  return CLASS_LISTS[known] ?? fields.refuse("labels", lists.map((name) => `"${name}"`).join(" or "));
}

function rulesIn(fields: Fields): GenEvalRules {
  const share = (name: "score" | "countingScore"): number => {
    return fields.optional(name, () => fields.number(name)) ?? GENEVAL_RULES[name];
  };
  const rules: GenEvalRules = {
    score: share("score"),
    countingScore: share("countingScore"),
    objects: fields.optional("objects", (name) => fields.integer(name)) ?? GENEVAL_RULES.objects,
    colors: fields.optional("colors", (name) => fields.choice(name, ["surest", "any"])) ??
      GENEVAL_RULES.colors,
    direction: fields.optional("direction", (name) => fields.choice(name, ["whole", "left"])) ??
      GENEVAL_RULES.direction,
  };
  fields.end();
  return rules;
}

async function readWhole(
  place: string | URL,
  options: { readonly most: number; readonly signal: AbortSignal | undefined },
): Promise<Uint8Array<ArrayBuffer>> {
  using source = await openSource(place, options);
  return await source.read(0, source.size);
}
