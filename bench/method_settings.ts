/**
 * Which methods are compared, and with which settings: for each budget the largest that {@linkcode plan}
 * finds. A budget is what Best-of-N costs, its judge included, so that Best-of-N fills it exactly and nothing
 * else costs more.
 *
 * @module
 */

import {
  bestOfN,
  costOf,
  ownEvidence,
  plan,
  type PlannedMethod,
  type ScaleHook,
  varScaling,
} from "../mod.ts";
import type { MethodSubject } from "./method_subjects.ts";
import { BEST_OF_N, PLAIN } from "./method_tables.ts";

/** A method with settings for a budget. */
export interface MethodChoice {
  /** Its name. */
  readonly method: string;
  /** The N of the Best-of-N that costs as much; 1 for what costs about as much as a plain picture. */
  readonly budget: number;
  /** What it consists of. */
  readonly hooks: readonly ScaleHook[];
}

/** A method that has no setting for a budget. */
export interface MethodMisfit extends Omit<MethodChoice, "hooks"> {
  /** Its least cost, in plain pictures. */
  readonly ratio: number;
}

/** A method as {@linkcode plan} knows it, and what is done with it here. */
interface Planned {
  readonly method: string;
  readonly planned: PlannedMethod;
  /** Whether the model's own evidence judges instead of its network. */
  readonly evidence?: boolean;
  /** Whether VAR-Scaling comes before it. */
  readonly scaled?: boolean;
}

const PLANNED: readonly Planned[] = [
  { method: BEST_OF_N, planned: "best-of-n" },
  { method: "VAR-Scaling + Best-of-N", planned: "best-of-n", scaled: true },
  { method: "beam search", planned: "beam" },
  { method: "TTS-VAR", planned: "tts-var" },
  { method: "VAR-Scaling + TTS-VAR", planned: "var-scaling+tts-var" },
  { method: "Best-of-N by evidence", planned: "best-of-n", evidence: true },
  { method: "TTS-VAR by evidence", planned: "tts-var", evidence: true },
];

/** What costs as much as a plain picture. */
const SINGLE: readonly MethodChoice[] = [
  { method: PLAIN, budget: 1, hooks: [] },
  { method: "VAR-Scaling", budget: 1, hooks: [varScaling()] },
];

/** Names of all methods. */
export const METHOD_NAMES: readonly string[] = [...SINGLE, ...PLANNED].map(({ method }) => method);

/** Methods with settings for budgets, and those for which a budget is too small. */
export async function methodChoices(
  { model, prompts: [first] }: Pick<MethodSubject, "model" | "prompts">,
  budgets: readonly number[],
): Promise<{ readonly choices: readonly MethodChoice[]; readonly misfits: readonly MethodMisfit[] }> {
  const choices = [...SINGLE];
  const misfits: MethodMisfit[] = [];
  const request = { labels: first!.label };
  for (const budget of budgets) {
    const { flops } = await costOf(model, { ...request, hooks: [bestOfN({ samples: budget })] });
    for (const { method, planned, evidence = false, scaled = false } of PLANNED) {
      const { searches: [search] } = await plan(model, {
        budget: flops!,
        methods: [planned],
        request,
        ...(evidence ? { verifier: ownEvidence() } : {}),
      });
      const { fits, hooks, cost } = search!;
      if (fits) choices.push({ method, budget, hooks: scaled ? [varScaling(), ...hooks] : hooks });
      else misfits.push({ method, budget, ratio: cost.ratio! });
    }
  }
  return { choices, misfits };
}
