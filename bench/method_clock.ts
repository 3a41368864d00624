/**
 * What a search takes on the clock, each time beside another way: TTS-VAR beside the released way, which
 * decodes every candidate at every scale in full size and clusters by a network's features; TTS-VAR without
 * any network beside the bare passes of its lanes; pictures in one batch beside a single one; and each method
 * that guides beside plain pictures. Both ways take turns, in changing order.
 *
 *     deno run -A bench/method_clock.ts [ROUNDS] [native|wasm] [searches|guidance]
 *
 * @module
 */

import { requireChoice, requireInteger } from "../kernels/arguments.ts";
import type { CpuProvider } from "../models/graphs/graph_session.ts";
import {
  adaptiveGuidance,
  generate,
  type GenerateRequest,
  loadModel,
  type Model,
  ownEvidence,
  prefixGuidance,
  type ScaleHook,
  spatialGuidance,
  ttsVar,
} from "../mod.ts";
import { table } from "./tables.ts";

/** Two requests of which the times are divided. */
export interface ClockCase {
  /** What is divided. */
  readonly name: string;
  /** What it is divided by. */
  readonly base: string;
  /** What the quotient may be at most. */
  readonly target: number;
  /** Both requests. */
  readonly requests: readonly [GenerateRequest, GenerateRequest];
}

/** What came of a case. */
export interface ClockRow extends Omit<ClockCase, "requests"> {
  /** Median milliseconds of both. */
  readonly milliseconds: readonly [number, number];
  /** The one median through the other. */
  readonly ratio: number;
  /** Of the quotients of each turn the 10th and the 90th percentile. */
  readonly spread: readonly [low: number, high: number];
  /** The same of the operations that were counted. */
  readonly flops: number;
  /** Turns. */
  readonly rounds: number;
}

const LABEL = "a red cube left of a blue sphere";

/** The cases of searches, for a model that takes texts and brings a verifier that describes pictures, too. */
export async function searchCases(model: Model): Promise<ClockCase[]> {
  const published = ttsVar({ features: await model.extractor!(), verifier: await model.verifier!() });
  const free = ttsVar({ verifier: ownEvidence() });
  const one = { labels: LABEL, batch: 8 };
  return [
    {
      name: "TTS-VAR",
      base: "the released way",
      target: 0.45,
      requests: [{ ...one, hooks: [ttsVar()] }, { ...one, hooks: [decodeAll(), published] }],
    },
    {
      name: "TTS-VAR by evidence",
      base: "the passes of its lanes and one decode",
      target: 1.25,
      requests: [{ ...one, hooks: [free] }, { ...one, hooks: [sameLanes(free, model)] }],
    },
    {
      name: "8 pictures in a batch",
      base: "one picture",
      target: 5,
      requests: [{ labels: LABEL, count: 8, batch: 8 }, { labels: LABEL, batch: 1 }],
    },
  ];
}

/** The cases of methods that guide, for any model: a batch of eight, and one picture. */
export function guidanceCases({ labels: { kind } }: Pick<Model, "labels">): ClockCase[] {
  const labels = kind === "classes" ? 0 : LABEL;
  const methods = [
    ["spatial guidance", spatialGuidance(), 1.03],
    ["adaptive guidance", adaptiveGuidance(), 1.01],
    ["prefix guidance", prefixGuidance(), 2.05],
  ] as const;
  return [8, 1].flatMap((count) =>
    methods.map(([name, hook, target]): ClockCase => {
      const plain = { labels, count, batch: count };
      const pictures = count === 1 ? "one picture" : `${count} pictures`;
      return {
        ...{ name: `${name}, ${pictures}`, base: "plain", target },
        requests: [{ ...plain, hooks: [hook] }, plain],
      };
    })
  );
}

/** Decodes all lanes after every scale in full size, as the released code of TTS-VAR does, for nobody. */
function decodeAll(): ScaleHook {
  return {
    name: "decode all",
    async gather(step) {
      await step.pictures();
      return undefined;
    },
  };
}

/** Thins lanes to as many as a search does, without looking at any. */
function sameLanes({ plan, lanes }: ScaleHook, model: Model): ScaleHook {
  const events = plan!(model.schedule({}), model);
  const left = new Map(events.map(({ scale, lanes }) => [scale, lanes]));
  return {
    name: "the same lanes",
    lanes: lanes!,
    gather: ({ scale, lanes: { length } }) => {
      const after = left.get(scale);
      const count = typeof after === "function" ? after(length) : after;
      return count === undefined ? undefined : Array.from({ length: count }, (_, lane) => lane);
    },
  };
}

/** Times the cases. */
export async function measureClock(
  model: Model,
  { cases, rounds, progress }: {
    readonly cases: readonly ClockCase[];
    readonly rounds: number;
    readonly progress?: (line: string) => void;
  },
): Promise<ClockRow[]> {
  const rows: ClockRow[] = [];
  for (const { requests, ...named } of cases) {
    const times: readonly [number[], number[]] = [[], []];
    const flops = [0, 0];
    // The first turn prepares what all others need.
    for (let round = -1; round < rounds; round++) {
      for (const which of round % 2 === 0 ? [0, 1] as const : [1, 0] as const) {
        const { trace: { total, cost } } = await generate(model, { ...requests[which], seed: round + 1 });
        if (round >= 0) times[which].push(total);
        flops[which] = cost.flops ?? NaN;
      }
    }
    const milliseconds = [quantile(times[0], 0.5), quantile(times[1], 0.5)] as const;
    const ratio = milliseconds[0] / milliseconds[1];
    const turns = times[0].map((time, round) => time / times[1][round]!);
    const spread = [quantile(turns, 0.1), quantile(turns, 0.9)] as const;
    rows.push({ ...named, milliseconds, ratio, spread, flops: flops[0]! / flops[1]!, rounds });
    progress?.(`${named.name}: ${ratio.toFixed(2)} of ${named.base}`);
  }
  return rows;
}

/**
 * The value below which a share of some numbers lies, between two of them by straight lines.
 *
 * @example
 * ```ts
 * import { quantile } from "./method_clock.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([quantile([3, 1, 2], 0.5), quantile([4, 1], 0.5), quantile([1, 2, 3], 0.9)], [2, 2.5, 2.8]);
 * ```
 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!];
  return below + (place % 1) * (above - below);
}

/** The rows as Markdown. */
export function formatClock(rows: readonly ClockRow[]): string {
  return table(
    ["what", "divided by", "ms", "ms", "ratio", "p10–p90", "of operations", "wanted"],
    rows.map(({ name, base, milliseconds: [own, other], ratio, spread, flops, target }) => [
      ...[name, base, own.toFixed(0), other.toFixed(0), ratio.toFixed(2)],
      ...[spread.map((end) => end.toFixed(2)).join("–"), flops.toFixed(2), `≤ ${target}`],
    ]),
  );
}

if (import.meta.main) {
  const [turns = "20", on = "native", what = "searches"] = Deno.args;
  const action = "time methods";
  const rounds = requireInteger(Number(turns), "ROUNDS", action, { min: 1, max: 10_000 });
  const cpuProvider = requireChoice(on as CpuProvider, ["native", "wasm"], "the provider", action);
  const searches = requireChoice(what, ["searches", "guidance"], "what is timed", action) === "searches";
  for (const name of searches ? ["demo-t2i"] : ["demo", "demo-t2i"]) {
    await using model = await loadModel(name, { device: "cpu", cpuProvider });
    const cases = searches ? await searchCases(model) : guidanceCases(model);
    const progress = (line: string): void => console.error(`${name}: ${line}`);
    console.log(`${name}:\n\n${formatClock(await measureClock(model, { cases, rounds, progress }))}\n`);
  }
}
