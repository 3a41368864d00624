/**
 * The whole way from labels to pixels with the bundled model, plain and with VAR-Scaling, as `deno bench` and
 * the report run it.
 *
 * @module
 */

import { type Device, generate, type GenerateRequest, loadModel, type Model, varScaling } from "../mod.ts";
import { percentile, profileTurns } from "../kernels/profile/profile.ts";

/** A request that is timed, without and with VAR-Scaling at N = 50. */
export interface PipelineCase {
  /** What it is, as tables show it. */
  readonly name: string;
  /** The plain request. */
  readonly plain: GenerateRequest;
  /** The same with VAR-Scaling. */
  readonly scaled: GenerateRequest;
}

function pipelineCase(name: string, labels: readonly string[]): PipelineCase {
  const plain: GenerateRequest = { labels, seed: 7, cfg: 1.5, topK: 300, topP: 0.95 };
  return { name, plain, scaled: { ...plain, hooks: [varScaling({ samples: 50 })] } };
}

const LABELS = [
  ...["red torus", "blue cone", "green cube", "red sphere"],
  ...["blue torus", "green cone", "red cube", "blue sphere"],
];

/** The requests. */
export const PIPELINE_CASES: readonly PipelineCase[] = [
  pipelineCase("1 image", LABELS.slice(0, 1)),
  pipelineCase("batch of 8", LABELS),
];

/** Loads the bundled model on a device that stays the caller's. */
export function loadDemo(device: Device): Promise<Model> {
  return loadModel("demo", { device, cpuProvider: "wasm" });
}

/** One line of the report. Times are medians in milliseconds. */
export interface PipelineRow {
  /** `"cpu"` or `"webgpu"`. */
  readonly device: string;
  /** Name of the request. */
  readonly request: string;
  /** The plain request. */
  readonly plain: number;
  /** With VAR-Scaling. */
  readonly scaled: number;
  /** Median over rounds of scaled by plain, which ran right after each other. */
  readonly ratio: number;
  /** Loading the model, the first time in the process. */
  readonly load: number;
}

/** Loads the model and times all requests; in each round the plain and the scaled one take turns. */
export async function measurePipeline(device: Device, rounds: number): Promise<PipelineRow[]> {
  const start = performance.now();
  await using model = await loadDemo(device);
  const load = performance.now() - start;
  const rows: PipelineRow[] = [];
  for (const { name, plain, scaled } of PIPELINE_CASES) {
    // Without a device, since what counts is the time until the pixels are here, waiting included.
    const subjects = [plain, scaled].map((request) => ({ call: () => generate(model, request) }));
    const [one, other] = await profileTurns(subjects, { rounds: 2 * rounds, span: 0 });
    rows.push({
      device: device.kind,
      request: name,
      plain: one!.milliseconds,
      scaled: other!.milliseconds,
      ratio: percentile(other!.times.map((time, i) => time / one!.times[i]!), 0.5),
      load,
    });
  }
  return rows;
}
