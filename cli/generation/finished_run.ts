/**
 * The record of a run that is finished, put together from what was planned and what came out. What it looks
 * like, and how it is read again, is left to `run_record.ts`; where it is written, to whoever ran.
 *
 * @module
 */

import { type Model, type ResolvedRequest, RUNTIME_VERSION, type ScaleHook, type Trace } from "../../mod.ts";
import type { DeviceRecord } from "../options/model_options.ts";
import type { JudgeRecords } from "../options/open_search.ts";
import type { OwnHook } from "../options/own_hooks.ts";
import { VERSION } from "../version.ts";
import type { Painter } from "./collaboration.ts";
import { recordEdit } from "./edit_record.ts";
import { GRID_FILE } from "./layout.ts";
import type { GenerationPlan } from "./plan.ts";
import { modelRecord } from "./model_record.ts";
import { type ImageRecord, type RunRecord, runRecord, variantRecord } from "./run_record.ts";
import { samplingRecord } from "./sampling_record.ts";

/** What a finished run is known by, beside the model and the plan. */
export interface FinishedRun {
  /** The variants in order, with what acted in each. */
  readonly variants: readonly { readonly name: string; readonly hooks: readonly ScaleHook[] }[];
  /** Who judged and described. */
  readonly judges: JudgeRecords;
  /** Who painted. */
  readonly painter: Pick<Painter, "record">;
  /** Hooks of the reader's own. */
  readonly own: readonly OwnHook[];
  /** What was asked of the model; hooks do not matter. */
  readonly request: ResolvedRequest;
  /** What came out of each variant. */
  readonly results: readonly {
    readonly name: string;
    readonly records: readonly ImageRecord[];
    readonly trace: Trace;
  }[];
  /** Milliseconds that loading took. */
  readonly loading: number;
  /** Whether there is a sheet with all images. */
  readonly grid: boolean;
  /** Where it ran. */
  readonly device: DeviceRecord;
  /** Threads on the CPU. */
  readonly threads: number;
}

/** Everything about a finished run. */
export async function recordOfRun(
  model: Model,
  plan: Pick<GenerationPlan, "place" | "edit" | "textFeatures" | "columns" | "only" | "stepwise">,
  run: FinishedRun,
): Promise<RunRecord> {
  const { variants, judges, own, painter, request, results, loading, grid, device, threads } = run;
  return runRecord({
    versions: { varscale: VERSION, deno: Deno.version.deno, "onnxruntime-web": RUNTIME_VERSION },
    model: modelRecord(model, plan.place),
    ...(painter.record && { collaboration: painter.record }),
    device: { ...device, threads },
    request: {
      ...recordedRequest(request, plan),
      ...(request.edit === undefined ? {} : { edit: await recordEdit(request.edit, plan.edit!) }),
      ...(plan.textFeatures === undefined ? {} : { textFeatures: plan.textFeatures }),
    },
    variants: variants.map(({ name, hooks }) => {
      return variantRecord(name, model, { hooks, own, judges, scales: request.schedule.scales.length });
    }),
    grid: grid ? { file: GRID_FILE, columns: plan.columns } : null,
    timings: {
      load: loading,
      variants: Object.fromEntries(results.map(({ name, trace }) => [name, trace])),
    },
    images: results.flatMap(({ records }) => records),
  });
}

function recordedRequest(
  request: ResolvedRequest,
  { only, stepwise }: Pick<GenerationPlan, "only" | "stepwise">,
): RunRecord["request"] {
  const { labels, indices, seed, batch, previews } = request;
  return {
    labels,
    // Numbers that are the places need not be said, and older records say none.
    ...(indices.every((index, place) => index === place) ? {} : { indices }),
    ...(only === undefined ? {} : { only }),
    seed,
    ...samplingRecord(request),
    batch,
    previews: [...previews].sort((a, b) => a - b),
    ...(stepwise ? { stepwise } : {}),
  };
}
