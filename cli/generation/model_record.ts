/**
 * What records say of a model and its weights, of one run as of many: who it is, where it was, how its
 * weights lie in memory.
 *
 * @module
 */

import type { Model, ModelTuning } from "../../mod.ts";
import { type MemoryRecord, memoryRecord, type ModelPlace, sizeRecord } from "../options/model_options.ts";

/** What a record says of a model. */
export interface ModelRecord extends MemoryRecord {
  readonly name: string;
  readonly family: string;
  readonly depth?: number;
  readonly size?: string;
  readonly place: ModelPlace;
  readonly fingerprints: Readonly<Record<string, string>>;
  readonly tuning: ModelTuning;
}

/** What a record says of a model that was at a place. */
export function modelRecord(model: Model, place: ModelPlace): ModelRecord {
  const { name, family, fingerprints, tuning } = model;
  return { name, family, ...sizeRecord(model.size), ...memoryRecord(model), place, fingerprints, tuning };
}
