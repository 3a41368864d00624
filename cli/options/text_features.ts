/**
 * Features of prompts on the command line: read from the file that an option names, or made by the model's
 * own text encoder.
 *
 * @module
 */

import {
  type GenerateRequest,
  type Label,
  type Model,
  readTextFeatures,
  type ResolvedRequest,
  type TextFeatures,
} from "../../mod.ts";
import { type Io, UsageError } from "../io.ts";
import { Progress } from "../output/progress.ts";
import { readPlaces } from "./given_files.ts";
import { text } from "./kinds.ts";
import { askedFor, checkRequest, type Labelled } from "./requests.ts";

/** Features that are at hand: an option of all commands that paint. */
export const TEXT_FEATURES_OPTION = {
  kind: text("FILE"),
  help:
    "For a model that takes texts: features of prompts, as encode-text writes them, instead of a text encoder",
};

/**
 * Reads features from a file, by path or URL.
 *
 * @throws {UsageError} If there is none.
 * @throws {ModelFileError} If it is another file.
 */
export function readFeatures(place: string): Promise<TextFeatures> {
  return readPlaces([place], () => readTextFeatures(place));
}

/**
 * Has a model encode texts, and shows how far it is.
 *
 * @throws {UsageError} If the model has no text encoder.
 */
export async function encodeTexts(
  model: Model,
  texts: readonly string[],
  { quiet, io }: { readonly quiet: boolean; readonly io: Io },
): Promise<TextFeatures> {
  requireTexts(model);
  const progress = new Progress(io, { total: texts.length, quiet, noun: "prompt" });
  try {
    return await askedFor(() =>
      model.encodeText!(texts, {
        signal: io.signal,
        onProgress: () => {
          progress.image();
          progress.batch();
          progress.draw("encoding");
        },
      })
    );
  } finally {
    progress.clear();
  }
}

/**
 * Refuses a model that takes classes, or is known to have nothing that encodes.
 *
 * @throws {UsageError} If it does.
 */
export function requireTexts(model: Labelled & Partial<Pick<Model, "start" | "encodeText">>): void {
  const { name, labels } = model;
  if (labels.kind === "classes") {
    throw new UsageError(`Cannot encode prompts as the model "${name}" takes classes`);
  }
  if (model.start !== undefined && model.encodeText === undefined) {
    throw new UsageError(`Cannot encode prompts as the model "${name}" has no features of texts`);
  }
}

/**
 * The features that many images need, all before the first one: the text encoder is then loaded once, and
 * gone before there are pictures.
 *
 * @param model A loaded model.
 * @param request The request for them, with the features that are at hand.
 * @param labels Their labels.
 * @returns `undefined` if the model needs none.
 * @throws {UsageError} If features are at hand and lack a text, or the model has no text encoder.
 */
export async function featuresFor(
  model: Model,
  request: GenerateRequest,
  labels: readonly Label[],
  options: { readonly quiet: boolean; readonly io: Io },
): Promise<TextFeatures | undefined> {
  const { textFeatures } = request;
  if (model.encodeText === undefined || labels.length === 0) return textFeatures;
  const texts = textsOf(model, checkRequest(model, { ...request, labels: [...new Set(labels)], hooks: [] }));
  if (textFeatures === undefined) return await encodeTexts(model, texts, options);
  const missing = texts.filter((text) => textFeatures.get(text) === undefined);
  if (missing.length > 0) {
    throw new UsageError(
      `Cannot use --text-features ${textFeatures.file}: it lacks ${missing.length} of ${texts.length} texts, ${
        JSON.stringify(missing[0]!.slice(0, 60))
      } among them; encode all of them`,
    );
  }
  return textFeatures;
}

/** The texts of a request: prompts, and what the options of the model's family add. */
export function textsOf(
  model: Model,
  { labels, schedule }: Pick<ResolvedRequest, "labels" | "schedule">,
): readonly string[] {
  return model.textsOf?.(labels, schedule) ??
    [...new Set(labels.flatMap(({ prompt }) => prompt ?? []))];
}
