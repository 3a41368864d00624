/**
 * All search methods on both bundled models at equal cost, judged by networks that no search has seen: how
 * often pictures show what they should, with intervals, beside plain pictures and beside Best-of-N.
 *
 *     deno run -A bench/methods_report.ts [--models=demo,demo-t2i] [--budgets=2,4,8] [--methods=NAME,…]
 *     [--labels=N] [--seed=1] [--on=native|wasm] [--verdicts=out/methods.jsonl] [--output=FILE]
 *     [--clock=ROUNDS]
 *
 * A budget of N is what Best-of-N costs with the model's own verifier. Every verdict is a line of
 * `--verdicts`: a run that was interrupted goes on where it stopped, and one may do some methods or budgets
 * now and others later; what is there already is not painted again. `--labels` takes so many of a model's
 * labels, evenly spread, for a quick look. `--clock` also times searches of `demo-t2i` beside other ways to
 * do the same, which should have the machine for itself. `--output` takes the tables, which are printed
 * otherwise.
 *
 * @module
 */

import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { requireChoice, requireInteger } from "../kernels/arguments.ts";
import type { CpuProvider } from "../models/graphs/graph_session.ts";
import { loadModel } from "../mod.ts";
import { formatClock, measureClock } from "./method_clock.ts";
import { appendRecords, type MethodRecord, openRecords, recordKey } from "./method_records.ts";
import { type MethodRun, runMethod, settingOf } from "./method_runs.ts";
import { METHOD_NAMES, methodChoices, type MethodMisfit } from "./method_settings.ts";
import {
  METHOD_MODELS,
  type MethodModel,
  type MethodSubject,
  openSubject,
  type Prompt,
} from "./method_subjects.ts";
import { formatMethods, methodRows } from "./method_tables.ts";

/** What the command line asks for. */
export interface MethodsReportOptions {
  /** Models, in the order of the report. */
  readonly models: readonly MethodModel[];
  /** Numbers N of the Best-of-N that others may cost as much as. */
  readonly budgets: readonly number[];
  /** Names of methods. */
  readonly methods: readonly string[];
  /** Labels of each model at most. */
  readonly labels: number | undefined;
  /** Seed of all pictures. */
  readonly seed: number;
  /** Who computes. */
  readonly on: CpuProvider;
  /** File of the verdicts. */
  readonly verdicts: string;
  /** File of the tables. */
  readonly output: string | undefined;
  /** Turns on the clock. */
  readonly clock: number;
}

const ACTION = "report";

/**
 * Reads the command line.
 *
 * @throws {TypeError} If it has unknown options or words.
 * @throws {RangeError} If a number or a word is none of those that are allowed.
 */
export function parseMethodsReportOptions(args: readonly string[]): MethodsReportOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      models: { type: "string", default: METHOD_MODELS.join() },
      budgets: { type: "string", default: "2,4,8" },
      methods: { type: "string", default: METHOD_NAMES.join() },
      labels: { type: "string" },
      seed: { type: "string", default: "1" },
      on: { type: "string", default: "native" },
      verdicts: { type: "string", default: "out/methods.jsonl" },
      output: { type: "string" },
      clock: { type: "string", default: "0" },
    },
  });
  const { models, budgets, methods, labels, seed, on, verdicts, output, clock } = values;
  const words = <Word extends string>(list: string, name: string, known: readonly Word[]): Word[] => {
    return list.split(",").map((word) => requireChoice(word as Word, known, name, ACTION));
  };
  return {
    models: words(models, "--models", METHOD_MODELS),
    budgets: budgets.split(",").map((budget) => {
      return requireInteger(Number(budget), "--budgets", ACTION, { min: 2, max: 64 });
    }),
    methods: words(methods, "--methods", METHOD_NAMES),
    labels: labels === undefined
      ? undefined
      : requireInteger(Number(labels), "--labels", ACTION, { min: 1, max: 1_000_000 }),
    seed: requireInteger(Number(seed), "--seed", ACTION, { min: 0, max: 2 ** 32 - 1 }),
    on: requireChoice(on as CpuProvider, ["native", "wasm"], "--on", ACTION),
    clock: requireInteger(Number(clock), "--clock", ACTION, { min: 0, max: 10_000 }),
    ...{ verdicts, output },
  };
}

/**
 * So many of a list, evenly spread; all of them without a number.
 *
 * @example
 * ```ts
 * import { spread } from "./methods_report.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(spread([0, 1, 2, 3, 4, 5, 6], 3), [0, 2, 4]);
 * ```
 */
export function spread<Item>(list: readonly Item[], count: number = list.length): Item[] {
  const kept = Math.min(count, list.length);
  return Array.from({ length: kept }, (_, i) => list[Math.floor(i * list.length / kept)]!);
}

/** Labels that one method paints before it is the next one's turn. */
const TURN = 8;

/** Paints and judges what is not in the file yet, and returns all verdicts that were asked for. */
export async function compareMethods(
  subject: MethodSubject,
  runs: readonly MethodRun[],
  { prompts, verdicts, progress }: {
    readonly prompts: readonly Prompt[];
    readonly verdicts: string;
    readonly progress: (line: string) => void;
  },
): Promise<MethodRecord[]> {
  const known = await openRecords(verdicts);
  const keyOf = (run: MethodRun, { prompt }: Prompt): string => recordKey({ ...settingOf(run), prompt });
  for (let first = 0; first < prompts.length; first += TURN) {
    const turn = prompts.slice(first, first + TURN);
    for (const run of runs) {
      const open = turn.filter((prompt) => !known.has(keyOf(run, prompt)));
      if (open.length === 0) continue;
      const records = await runMethod(subject, run, open);
      await appendRecords(verdicts, records);
      for (const record of records) known.set(recordKey(record), record);
    }
    progress(`${subject.model.name}: ${first + turn.length} of ${prompts.length} labels`);
  }
  return runs.flatMap((run) => prompts.map((prompt) => known.get(keyOf(run, prompt))!));
}

/** The part of the report about a model. */
async function reportOn(
  model: MethodModel,
  { budgets, methods, labels, seed, on, verdicts }: MethodsReportOptions,
  progress: (line: string) => void,
): Promise<string> {
  await using subject = await openSubject(model, on);
  const { choices, misfits } = await methodChoices(subject, budgets);
  const wanted = <Item extends { readonly method: string }>(list: readonly Item[]): Item[] => {
    return list.filter(({ method }) => methods.includes(method));
  };
  const runs = wanted(choices).map((choice): MethodRun => ({ ...choice, model, seed }));
  const prompts = spread(subject.prompts, labels);
  const records = await compareMethods(subject, runs, { prompts, verdicts, progress });
  const { count, score } = subject;
  return [
    `## ${model}`,
    `${prompts.length} labels with ${count} pictures each, seed ${seed}.`,
    formatMethods(methodRows(records), { score, resamples: 10_000 }),
    wanted(misfits).map(formatMisfit).join("\n"),
  ].filter((part) => part !== "").join("\n\n");
}

function formatMisfit({ method, budget, ratio }: MethodMisfit): string {
  return `- ${method} has no setting for ${budget}×: the least it needs is ${
    ratio.toFixed(2)
  } plain pictures.`;
}

/** The machine that measured. */
async function machine(): Promise<string> {
  const cpu = await Deno.readTextFile("/proc/cpuinfo").then(
    (text) => /^model name\s*:\s*(.+)$/m.exec(text)?.[1],
    () => undefined,
  );
  const cores = navigator.hardwareConcurrency;
  return `${cores} × ${cpu ?? Deno.build.arch}, Deno ${Deno.version.deno}, ${
    new Date().toISOString().slice(0, 10)
  }`;
}

if (import.meta.main) {
  const options = parseMethodsReportOptions(Deno.args);
  await Deno.mkdir(dirname(options.verdicts), { recursive: true });
  const parts = [`${await machine()}, ${options.on}`];
  const progress = (line: string): void => console.error(line);
  for (const model of options.models) parts.push(await reportOn(model, options, progress));
  if (options.clock > 0) {
    await using model = await loadModel("demo-t2i", { device: "cpu", cpuProvider: options.on });
    const rows = await measureClock(model, { rounds: options.clock, progress });
    parts.push("## On the clock", `Medians of ${options.clock} turns.`, formatClock(rows));
  }
  const report = `${parts.join("\n\n")}\n`;
  if (options.output === undefined) console.log(report);
  else await Deno.writeTextFile(options.output, report);
}
