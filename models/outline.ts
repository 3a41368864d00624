/**
 * What a model may be asked for, told from its description alone: what it cannot do is then refused before
 * anything large is loaded.
 *
 * @module
 */

import type { Family } from "./family.ts";
import { MANIFEST, type ModelFolder } from "./folder/model_folder.ts";
import { type Label, resolveClass, type ResolvedLabel } from "./label.ts";
import type { Model } from "./model.ts";
import { SCHEDULE_OPTIONS } from "./sampling.ts";
import type { ScheduleRequest } from "./schedule.ts";

/** A model before it is loaded. */
export interface ModelOutline extends Pick<Model, "family" | "name" | "size" | "labels"> {
  /**
   * Understands a label, as the model will.
   *
   * @throws {TypeError} If it is of the wrong type.
   * @throws {RangeError} If the model has no such class.
   */
  resolveLabel(label: Label): ResolvedLabel;
  /**
   * Refuses a schedule that the model cannot follow, as far as its sizes tell. Other options than those of
   * schedules may stand in the request.
   *
   * @throws {TypeError} If an option is of the wrong type, or none of the family's.
   * @throws {RangeError} If there can be no such schedule.
   */
  requireSchedule(request: ScheduleRequest): void;
}

/**
 * The outline of a model in a folder; `undefined` if its family tells nothing of its labels.
 *
 * @throws {ModelFileError} If the sizes that the folder gives are none.
 */
export function outlineOf(family: Family, { manifest, location }: ModelFolder): ModelOutline | undefined {
  const { name, classNames } = manifest;
  const config = family.requireConfig(manifest.config, `${location}/${MANIFEST}`);
  const labels = family.labels(config, classNames);
  if (labels === undefined) return undefined;
  return {
    family: family.name,
    name,
    size: family.size(config),
    labels,
    resolveLabel: (label) => {
      if (labels.kind === "classes") return resolveClass({ name, labels }, label);
      return { id: null, name: String(label), prompt: String(label) };
    },
    requireSchedule: (request) => {
      const asked = SCHEDULE_OPTIONS.filter((option) => request[option] !== undefined);
      const own: ScheduleRequest = Object.fromEntries(asked.map((option) => [option, request[option]]));
      family.schedule?.({ name, config }, own);
    },
  };
}
