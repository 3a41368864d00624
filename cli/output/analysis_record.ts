/**
 * What an analysis leaves in a folder: its pictures, and one record of numbers, settings, seeds and the model
 * that they are of.
 *
 * @module
 */

import type { Analysis } from "../../evaluation/mod.ts";
import { type Model, RUNTIME_VERSION } from "../../mod.ts";
import {
  type DeviceRecord,
  deviceRecord,
  memoryRecord,
  type ModelPlace,
  sizeRecord,
} from "../options/model_options.ts";
import { VERSION } from "../version.ts";
import { formatJson } from "./format_json.ts";
import type { OutputFolder } from "./output_folder.ts";

/** Name of the record. */
export const ANALYSIS_FILE = "analysis.json";

/** Content of {@linkcode ANALYSIS_FILE}. */
export interface AnalysisRecord extends Pick<Analysis, "kind" | "title" | "settings" | "data"> {
  /** Marks the file as ours. */
  readonly format: "varscale-analysis";
  /** Version of the layout. */
  readonly version: 1;
  /** Versions of what ran. */
  readonly versions: Readonly<Record<string, string>>;
  /** The model. */
  readonly model: Readonly<Record<string, unknown>>;
  /** Where it ran. */
  readonly device: DeviceRecord;
  /** Files of pictures beside it. */
  readonly pictures: readonly string[];
}

/**
 * Writes pictures and record.
 *
 * @returns The record, and a sentence about what else is in the folder, if there is anything.
 * @throws {UsageError} If a picture would replace another file.
 */
export async function writeAnalysis(
  folder: OutputFolder,
  analysis: Analysis,
  { model, place, signal }: {
    readonly model: Model;
    readonly place: ModelPlace;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly record: AnalysisRecord; readonly warning: string | undefined }> {
  const pictures = await analysis.pictures();
  await folder.refuse(pictures.map(({ name }) => name));
  signal.throwIfAborted();
  for (const { name, bytes } of pictures) await folder.write(name, bytes);
  const { kind, title, settings, data } = analysis;
  const record: AnalysisRecord = {
    ...{ format: "varscale-analysis", version: 1, kind, title },
    versions: { varscale: VERSION, deno: Deno.version.deno, "onnxruntime-web": RUNTIME_VERSION },
    model: {
      ...{ name: model.name, family: model.family },
      ...{ ...sizeRecord(model.size), ...memoryRecord(model), place },
      ...{ fingerprints: model.fingerprints, tuning: model.tuning },
    },
    device: deviceRecord(model),
    ...{ settings, data },
    pictures: pictures.map(({ name }) => name),
  };
  return { record, warning: await folder.finish(`${formatJson(record)}\n`) };
}
