/**
 * A method carried out on some labels: pictures from the same random numbers whatever the method, what they
 * cost, and what the judge says of them.
 *
 * @module
 */

import { generate, type ScaleHook } from "../mod.ts";
import type { MethodRecord, MethodSetting } from "./method_records.ts";
import type { MethodSubject, Prompt } from "./method_subjects.ts";

/** Lanes that run together, so that no method has the advantage of larger batches. */
const LANES = 32;

/** A method, ready to run. */
export interface MethodRun extends Omit<MethodSetting, "settings"> {
  /** What it consists of. */
  readonly hooks: readonly ScaleHook[];
}

/** What a run is, for a record. */
export function settingOf({ model, method, budget, seed, hooks }: MethodRun): MethodSetting {
  const settings = hooks.map(({ name, settings }) => ({ hook: name, ...settings }));
  return { model, method, budget, seed, settings };
}

/** Paints and judges all pictures of some labels. */
export async function runMethod(
  { model, count, judge }: MethodSubject,
  run: MethodRun,
  prompts: readonly Prompt[],
): Promise<MethodRecord[]> {
  const { images, trace } = await generate(model, {
    labels: prompts.map(({ label }) => label),
    count,
    // The number of a picture keys its random numbers, so no method depends on what was painted with it.
    indices: prompts.flatMap(({ prompt }) => Array.from({ length: count }, (_, i) => prompt * count + i)),
    seed: run.seed,
    hooks: run.hooks,
    batch: LANES,
  });
  const { transformerFlops, decoderFlops, judgeFlops } = trace.cost;
  const flops = (transformerFlops! + decoderFlops! + judgeFlops!) / images.length;
  const seconds = trace.total / 1000 / images.length;
  const setting = settingOf(run);
  const records: MethodRecord[] = [];
  for (const [i, prompt] of prompts.entries()) {
    const { group } = prompt;
    const judgement = await judge(prompt, images.slice(i * count, (i + 1) * count));
    records.push({ ...setting, prompt: prompt.prompt, group, ...judgement, flops, seconds });
  }
  return records;
}
