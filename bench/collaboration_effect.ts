/**
 * What two models for one picture make of the bundled models, judged by networks that have seen neither. No
 * two sizes of a model are bundled, so the refiner is the same model with weights of fewer bits: this says
 * what a poorer refiner does to the last scales, and saves no operations.
 *
 *     deno run -A --no-lock bench/collaboration_effect.ts [--model=demo] [--dtype=q4] [--from=-2] [--count=7]
 *     [--seed=1] [--provider=native] [--threads=1]
 *
 * All ways paint the same subjects from the same random numbers; differences are paired, with 95 % intervals.
 *
 * @module
 */

import { parseArgs } from "node:util";
import {
  bootstrapDifference,
  bootstrapInterval,
  CaptionOracle,
  ClassOracle,
  type Groups,
  type Interval,
  parseMetadata,
} from "../evaluation/mod.ts";
import { requireChoice, requireInteger } from "../kernels/arguments.ts";
import { collaborate, generate, type GeneratedImage, type GenerateResult, loadModel } from "../mod.ts";

const ACTION = "compare two models with one";
const CAPTIONS = new URL("../evaluation/judges/demo_t2i_captions.jsonl", import.meta.url);
const BATCH = 16;

/** What can be painted, who judges it, and what pictures count together. */
interface Subjects extends AsyncDisposable {
  readonly labels: readonly (number | string)[];
  /** Of each label. */
  readonly groups: readonly string[];
  /** Numbers about pictures of some labels, by name. */
  judge(images: readonly GeneratedImage[], first: number): Promise<Readonly<Record<string, number>>[]>;
}

async function subjectsOf(place: string, cpuProvider: "native" | "wasm"): Promise<Subjects> {
  if (place === "demo") {
    const oracle = await ClassOracle.open({ cpuProvider });
    const labels = Array.from({ length: 64 }, (_, label) => label);
    return {
      labels,
      groups: labels.map(String),
      judge: async (images) => {
        const verdicts = await oracle.judge(images, images.map(({ label }) => label.id!));
        return verdicts.map(({ right, logProbability }) => ({
          "right": Number(right),
          "log-probability": logProbability,
        }));
      },
      [Symbol.asyncDispose]: () => oracle[Symbol.asyncDispose](),
    };
  }
  const captions = parseMetadata(await Deno.readTextFile(CAPTIONS));
  const oracle = await CaptionOracle.open({ cpuProvider });
  return {
    labels: captions.map(({ prompt }) => prompt),
    groups: captions.map(({ tag }) => tag),
    judge: async (images, first) => {
      const asked = images.map((_, i) => captions[(first + i) % captions.length]!);
      return (await oracle.judge(images, asked)).map(({ right }) => ({ right: Number(right) }));
    },
    [Symbol.asyncDispose]: () => oracle[Symbol.asyncDispose](),
  };
}

/** What a way has come to. */
interface Outcome {
  /** Scores by name and group. */
  readonly scores: Readonly<Record<string, Groups>>;
  readonly flops: number;
}

async function outcomeOf(
  paint: (request: { labels: (number | string)[]; indices: number[] }) => Promise<GenerateResult>,
  { subjects, count }: { readonly subjects: Subjects; readonly count: number },
): Promise<Outcome> {
  const { labels, groups } = subjects;
  const total = labels.length * count;
  const verdicts: Readonly<Record<string, number>>[] = [];
  let flops = 0;
  for (let first = 0; first < total; first += BATCH) {
    const indices = Array.from({ length: Math.min(BATCH, total - first) }, (_, i) => first + i);
    const { images, trace } = await paint({
      labels: indices.map((i) => labels[i % labels.length]!),
      indices,
    });
    verdicts.push(...await subjects.judge(images, first));
    flops += trace.cost.flops!;
  }
  const grouped = (name: string): number[][] => {
    const rows = verdicts.map((verdict, i) => ({ group: groups[i % groups.length]!, value: verdict[name]! }));
    return [...Map.groupBy(rows, ({ group }) => group).values()].map((own) => own.map(({ value }) => value));
  };
  const scores = Object.fromEntries(Object.keys(verdicts[0]!).map((name) => [name, grouped(name)]));
  return { scores, flops };
}

function formatInterval({ mean, low, high }: Interval): string {
  return `${mean.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "demo" },
    dtype: { type: "string", default: "q4" },
    from: { type: "string", default: "-2" },
    count: { type: "string", default: "7" },
    seed: { type: "string", default: "1" },
    provider: { type: "string", default: "native" },
    threads: { type: "string", default: "1" },
  },
});
const choice = <Word extends string>(name: keyof typeof values, words: readonly Word[]): Word => {
  requireChoice(values[name], words, `--${name}`, ACTION);
  return values[name] as Word;
};
const place = choice("model", ["demo", "demo-t2i"]);
const dtype = choice("dtype", ["q4", "q8", "f16"]);
const cpuProvider = choice("provider", ["native", "wasm"]);
const integer = (name: "from" | "count" | "seed" | "threads", min: number): number => {
  return requireInteger(Number(values[name]), `--${name}`, ACTION, { min });
};
const [from, count, seed, threads] = [
  ...[integer("from", -1000), integer("count", 1)],
  ...[integer("seed", 0), integer("threads", 1)],
] as [number, number, number, number];

const common = { device: "cpu", cpuProvider, threads } as const;
await using full = await loadModel(place, { ...common, dtype: "f32" });
await using poor = await loadModel(place, { ...common, dtype });
await using subjects = await subjectsOf(place, cpuProvider);
const ways = {
  "f32 alone": (request) => generate(full, { ...request, seed }),
  [`f32, then ${dtype} from ${from}`]: (request) => collaborate(full, poor, { ...request, seed, from }),
  [`${dtype}, then f32 from ${from}`]: (request) => collaborate(poor, full, { ...request, seed, from }),
  [`${dtype} alone`]: (request) => generate(poor, { ...request, seed }),
} satisfies Record<string, Parameters<typeof outcomeOf>[0]>;

let alone: Outcome | undefined;
for (const [way, paint] of Object.entries(ways)) {
  const outcome = await outcomeOf(paint, { subjects, count });
  const base = alone ??= outcome;
  const cells = Object.entries(outcome.scores).flatMap(([name, scores]) => {
    return outcome === base ? [name, formatInterval(bootstrapInterval(scores)), ""] : [
      name,
      formatInterval(bootstrapInterval(scores)),
      formatInterval(
        bootstrapDifference(scores, base.scores[name]!),
      ),
    ];
  });
  console.log(`| ${place} | ${way} | ${(outcome.flops / base.flops).toFixed(2)} | ${cells.join(" | ")} |`);
}
