/**
 * The whole way from labels to pixels with the bundled model, plain and with VAR-Scaling, as `deno bench` and the report run it.
 *
 * @module
 */

import { type Device, generate, type GenerateRequest, loadModel, type Model, varScaling } from "../mod.ts";
import { median } from "./clock.ts";

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
  return loadModel("demo", { device });
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

/** Loads the model and times all requests; in each round the plain and the scaled one take turns, and the order alternates. */
export async function measurePipeline(device: Device, rounds: number): Promise<PipelineRow[]> {
  const start = performance.now();
  await using model = await loadDemo(device);
  const load = performance.now() - start;
  const rows: PipelineRow[] = [];
  for (const { name, plain, scaled } of PIPELINE_CASES) {
    await generate(model, plain);
    await generate(model, scaled);
    const plainTimes: number[] = [];
    const scaledTimes: number[] = [];
    for (let round = 0; round < 2 * rounds; round++) {
      if (round % 2 === 0) plainTimes.push(await timeRequest(model, plain));
      scaledTimes.push(await timeRequest(model, scaled));
      if (round % 2 === 1) plainTimes.push(await timeRequest(model, plain));
    }
    rows.push({
      device: device.kind,
      request: name,
      plain: median(plainTimes),
      scaled: median(scaledTimes),
      ratio: median(scaledTimes.map((time, i) => time / plainTimes[i]!)),
      load,
    });
  }
  return rows;
}

async function timeRequest(model: Model, request: GenerateRequest): Promise<number> {
  const start = performance.now();
  await generate(model, request);
  return performance.now() - start;
}
