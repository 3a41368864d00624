/**
 * A request for images as OpenAI's interface has it (`POST /v1/images/generations`), checked and completed.
 * What is asked for and cannot be done is refused; what would change nothing is taken only where its value
 * says what is done.
 *
 * @module
 */

import type { HostedFacts } from "../hosting/hosted_job.ts";
import { pictureSize, seed as seedKind } from "../options/kinds.ts";
import { nearest } from "../options/nearest.ts";
import { list } from "../output/words.ts";
import { ApiError, badRequest } from "./api_error.ts";
import { EXTENSION, type GivenValues, isCoupled, requestValues } from "./request_options.ts";

/** What a request may ask for at most. */
export interface RequestLimits {
  /** Images. */
  readonly images: number;
  /** Characters of a prompt. */
  readonly prompt: number;
  /** Pixels of a picture. */
  readonly pixels: number;
}

/** A request with nothing left open but the numbers that the server gives it. */
export interface ImageRequest {
  /** The class or prompt. */
  readonly prompt: string;
  /** How many images. */
  readonly images: number;
  /** Pictures of each image. */
  readonly keep: number;
  /** Seed, where the client has one. */
  readonly seed: number | bigint | undefined;
  /** Numbers of the images under that seed. */
  readonly indices: readonly number[] | undefined;
  /** Options of `varscale generate`. */
  readonly values: GivenValues;
  /** Whether what becomes of an image depends on those beside it. */
  readonly coupled: boolean;
  /** Whether pictures come in the response or by an address. */
  readonly format: "b64_json" | "url";
  /** Whether events are sent. */
  readonly stream: boolean;
  /** Scales with a partial image, ascending. */
  readonly previews: readonly number[];
}

/** Numbers that images may have. */
const MAX_INDEX = 2 ** 24;
/** Partial images of a picture, as in OpenAI's interface. */
const MAX_PARTIAL = 3;

/** Fields of a request. */
const FIELDS = [
  ...["prompt", "model", "n", "size", "seed", "response_format", "output_format", "stream"],
  ...["partial_images", "quality", "background", "output_compression", EXTENSION],
];

/** Values of fields that change nothing, as they say what is done anyway. */
const FIXED: Readonly<Record<string, { readonly taken: readonly unknown[]; readonly why: string }>> = {
  output_format: { taken: ["png"], why: "pictures are PNG files" },
  quality: { taken: ["auto"], why: `settings are options of "${EXTENSION}"` },
  background: { taken: ["auto", "opaque"], why: "pictures have no transparent parts" },
  output_compression: { taken: [100], why: "PNG loses nothing" },
};

/**
 * Reads a request.
 *
 * @param body The JSON object.
 * @param facts What is known of the model.
 * @param options What the server was started with.
 * @throws {ApiError} If it cannot be done.
 */
export function readImageRequest(
  body: Readonly<Record<string, unknown>>,
  facts: HostedFacts,
  options: { readonly limits: RequestLimits; readonly values: GivenValues },
): ImageRequest {
  const { limits } = options;
  requireFields(body, facts);
  const prompt = readPrompt(body.prompt, limits);
  const values = { ...requestValues(body[EXTENSION] ?? {}, options.values), ...readSize(body.size, facts) };
  const { indices: given, ...generate } = values;
  const { keep = 1 } = generate;
  const images = given === undefined || body.n !== undefined
    ? readInteger(body.n ?? 1, "n", 1, limits.images)
    : given.length;
  if (images * keep > limits.images) {
    throw badRequest(
      `A request must ask for at most ${limits.images} pictures: current number is ${images * keep}`,
      "n",
    );
  }
  requirePixels(generate, facts, limits);
  const seed = readSeed(body.seed);
  const indices = readIndices(given, seed, images);
  const stream = readBoolean(body.stream ?? false, "stream");
  const partial = readInteger(body.partial_images ?? 0, "partial_images", 0, MAX_PARTIAL);
  if (partial > 0 && !stream) throw badRequest('"partial_images" goes with "stream": true', "partial_images");
  const format = readFormat(body.response_format, stream);
  return {
    ...{ prompt, images, keep, seed, indices, format, stream },
    values: generate,
    coupled: isCoupled(generate),
    previews: previewScales(partial, generate.patchNumbers?.length ?? facts.patchNumbers.length),
  };
}

/** Scales after which there is a partial image, counted from the end, evenly from the beginning to it. */
function previewScales(count: number, scales: number): number[] {
  const places = Array.from({ length: count }, (_, i) => Math.round((i + 1) * scales / (count + 1)) - 1);
  return [...new Set(places)].filter((place) => place >= 0 && place < scales - 1).map((place) =>
    place - scales
  );
}

function requireFields(body: Readonly<Record<string, unknown>>, { name }: HostedFacts): void {
  for (const [field, value] of Object.entries(body)) {
    if (!FIELDS.includes(field)) {
      const hint = nearest(field, FIELDS);
      throw badRequest(
        `Unknown field "${field}"${
          hint === undefined
            ? `; options of varscale generate stand in "${EXTENSION}"`
            : `; did you mean "${hint}"?`
        }`,
        field,
        "unknown_parameter",
      );
    }
    const fixed = FIXED[field];
    if (fixed === undefined || value === null || fixed.taken.includes(value)) continue;
    throw badRequest(
      `The value of "${field}" must be ${
        list(fixed.taken.map((item) => JSON.stringify(item)), "or")
      }, as ${fixed.why}: current value is ${JSON.stringify(value)}`,
      field,
    );
  }
  const { model = name } = body;
  if (model === name || model === null) return;
  throw new ApiError(
    `The model must be "${name}", which is loaded: current value is ${JSON.stringify(model)}`,
    {
      ...{ status: 404, param: "model", code: "model_not_found" },
    },
  );
}

function readPrompt(prompt: unknown, limits: RequestLimits): string {
  if (typeof prompt !== "string" || prompt.trim() === "") {
    throw badRequest('"prompt" must be a text: what to paint, or the name or number of a class', "prompt");
  }
  if (prompt.length > limits.prompt) {
    throw badRequest(
      `"prompt" must have at most ${limits.prompt} characters: current number is ${prompt.length}`,
      "prompt",
    );
  }
  return prompt;
}

function readInteger(value: unknown, field: string, least: number, most: number): number {
  if (Number.isInteger(value) && value as number >= least && value as number <= most) return value as number;
  throw badRequest(
    `"${field}" must be an integer from ${least} to ${most}: current value is ${JSON.stringify(value)}`,
    field,
  );
}

function readBoolean(value: unknown, field: string): boolean {
  if (typeof value === "boolean") return value;
  throw badRequest(`"${field}" must be true or false: current value is ${JSON.stringify(value)}`, field);
}

/** A seed; one beyond 2^53 is a text, as JSON's readers would round it. */
function readSeed(value: unknown): number | bigint | undefined {
  if (value === undefined || value === null) return undefined;
  const text = typeof value === "string" || Number.isSafeInteger(value) ? String(value) : "";
  try {
    return seedKind.parse(text);
  } catch {
    throw badRequest(
      `"seed" must be an integer from 0 to 2^53 - 1, or to 2^64 - 1 as a text: current value is ${
        JSON.stringify(value)
      }`,
      "seed",
    );
  }
}

function readIndices(
  given: readonly number[] | undefined,
  seed: number | bigint | undefined,
  images: number,
): readonly number[] | undefined {
  const param = `${EXTENSION}.indices`;
  if (given === undefined) {
    return seed === undefined ? undefined : Array.from({ length: images }, (_, index) => index);
  }
  if (seed === undefined) throw badRequest(`"${param}" goes with "seed"`, param);
  if (given.length !== images || given.some((index) => index >= MAX_INDEX)) {
    throw badRequest(
      `"${param}" must hold one number for each of ${images} images: current number is ${given.length}`,
      param,
    );
  }
  return given;
}

function readFormat(value: unknown, stream: boolean): "b64_json" | "url" {
  const format = value ?? "b64_json";
  if (format !== "b64_json" && format !== "url") {
    throw badRequest(
      `"response_format" must be "b64_json" or "url": current value is ${JSON.stringify(value)}`,
      "response_format",
    );
  }
  if (stream && format === "url") {
    throw badRequest('"response_format" must be "b64_json" where "stream" is true', "response_format");
  }
  return format;
}

/** The size of the pictures, where it is not the model's usual one. */
function readSize(value: unknown, facts: HostedFacts): Pick<GivenValues, "size"> {
  if (value === undefined || value === null || value === "auto") return {};
  const { width, height } = facts.pictureSize;
  let size: number | { readonly width: number; readonly height: number };
  try {
    size = pictureSize.parse(String(value));
  } catch {
    throw badRequest(
      `"size" must be "auto", or width and height like "${width}x${height}": current value is ${
        JSON.stringify(value)
      }`,
      "size",
    );
  }
  const wanted = typeof size === "number" ? { width: size, height: size } : size;
  if (wanted.width === width && wanted.height === height) return {};
  if (facts.flexible.includes("size")) return { size: wanted };
  throw badRequest(
    `"size" must be "auto" or "${width}x${height}", the size of this model's pictures: current value is ${
      JSON.stringify(value)
    }`,
    "size",
  );
}

/** Refuses pictures that would take more time and memory than was agreed. */
function requirePixels({ size, patchNumbers }: GivenValues, facts: HostedFacts, limits: RequestLimits): void {
  const { width, height } = facts.pictureSize;
  const usual = facts.patchNumbers.at(-1)!;
  const side = patchNumbers === undefined ? undefined : Math.max(...patchNumbers) / usual;
  const wanted = size === undefined
    ? { width: width * (side ?? 1), height: height * (side ?? 1) }
    : typeof size === "number"
    ? { width: size, height: size }
    : size;
  if (wanted.width * wanted.height <= limits.pixels) return;
  throw badRequest(
    `Pictures must have at most ${limits.pixels} pixels: ${wanted.width}x${wanted.height} have ${
      wanted.width * wanted.height
    }`,
    size === undefined ? `${EXTENSION}.patch_numbers` : "size",
  );
}
