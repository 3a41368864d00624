/**
 * How tokens were drawn and from which maps, as the records of runs hold it: with nothing left to the model,
 * so that a repetition does the same whatever the defaults are by then.
 *
 * @module
 */

import type { DrawingSettings, Model, ResolvedRequest, ScheduleSettings } from "../../mod.ts";
import { plural } from "../output/words.ts";

/** What a record says of drawing tokens, by the names that a request has for it. */
export interface SamplingRecord extends DrawingSettings, Maps {
  /** Whether code vectors are mixed. */
  readonly moreSmooth: boolean;
  /** Whether it is what the family's released code does. */
  readonly published: boolean;
  /** Options that only the model's family has, where some were given. */
  readonly familyOptions?: Readonly<Record<string, unknown>>;
}

/** Which token maps, where it was asked for. */
type Maps = ScheduleSettings["maps"];

/** Names that were added after the first records were written. */
type Later = "guidance" | "minP" | "published";

/** What older records hold, too. */
export type OldSamplingRecord = Omit<SamplingRecord, Later> & Partial<Pick<SamplingRecord, Later>>;

/** Writes down a request. */
export function samplingRecord(
  { moreSmooth, schedule: { settings } }: Pick<ResolvedRequest, "moreSmooth" | "schedule">,
): SamplingRecord {
  const { maps, familyOptions, ...drawing } = settings;
  return {
    ...drawing,
    moreSmooth,
    ...maps,
    ...(Object.keys(familyOptions).length === 0 ? {} : { familyOptions }),
  };
}

/** Completes a record with what was done before there was a choice, which makes it a request for the same. */
export function completeSampling<Record extends OldSamplingRecord>(
  record: Record,
): Record & SamplingRecord {
  return { guidance: "ramp", minP: 0, published: false, ...record };
}

/** Guidance, and whatever makes pictures of another kind than the model's usual ones, in a few words each. */
export function describeSampling(record: SamplingRecord, { defaults }: Model): string[] {
  const { cfg, guidance, published, patchNumbers, size, familyOptions = {} } = record;
  return [
    ...(size === undefined
      ? []
      : [typeof size === "number" ? `${size}×${size}` : `${size.width}×${size.height}`]),
    ...(patchNumbers === undefined
      ? []
      : [`${plural(patchNumbers.length, "scale")} to ${patchNumbers.at(-1)}`]),
    `cfg ${cfg}${guidance === defaults.guidance ? "" : ` ${guidance}`}`,
    ...(published ? ["as published"] : []),
    ...Object.entries(familyOptions).map(([name, value]) => `${name} ${value}`),
  ];
}
