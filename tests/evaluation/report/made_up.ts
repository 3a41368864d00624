/**
 * Results of a sweep that never ran, for the tests of tables, figures and pages: two models, five methods,
 * four amounts of search, intervals, published values, a row that was not run, branches.
 *
 * @module
 */

import type { Difference, Measured, SweepResults, SweepRow } from "../../../evaluation/mod.ts";

const METRICS: SweepResults["metrics"] = [
  {
    key: "fid",
    title: "FID",
    better: "lower",
    network: "inception-fid",
    note: "2000 pictures: biased upwards",
  },
  { key: "is", title: "IS", better: "higher", network: "inception-fid" },
  { key: "accuracy", title: "accuracy", better: "higher", network: "inception" },
  { key: "diversity", title: "diversity", better: "neither", network: "inception-fid" },
];

const SEEDS = [0, 1, 2, 3];

interface Shape {
  readonly method: string;
  readonly title: string;
  /** Gains per doubling of N, and what a doubling costs. */
  readonly gain: { readonly fid: number; readonly is: number; readonly accuracy: number };
  readonly cost: (n: number) => number;
  readonly settings: (n: number) => Readonly<Record<string, unknown>>;
}

const ALPHAS: Readonly<Record<number, number>> = { 10: 2.1, 20: 2.3, 50: 2.4, 100: 2.5 };

const SHAPES: readonly Shape[] = [
  {
    method: "var-scaling",
    title: "VAR-Scaling",
    gain: { fid: 0.05, is: 3.1, accuracy: 0.002 },
    cost: () => 1,
    settings: (n) => ({ samples: n, alpha: ALPHAS[n], scale: 1, cfg: 1.5 }),
  },
  {
    method: "best-of-n",
    title: "Best-of-N",
    gain: { fid: 0.12, is: 4.2, accuracy: 0.009 },
    cost: (n) => n * 0.0512 + 0.949,
    settings: (n) => ({ samples: n, cfg: 1.5, verifier: "inception" }),
  },
  {
    method: "var-scaling+best-of-n",
    title: "VAR-Scaling + Best-of-N",
    gain: { fid: 0.14, is: 4.6, accuracy: 0.0085 },
    cost: (n) => n * 0.0512 + 0.949,
    settings: (n) => ({ samples: n, candidates: 50, cfg: 1.5, verifier: "inception" }),
  },
  {
    method: "tts-var",
    title: "TTS-VAR",
    gain: { fid: 0.1, is: 3.9, accuracy: 0.006 },
    cost: (n) => n * 0.037 + 0.97,
    settings: (n) => ({ sizes: [n, n / 2, n / 4], samples: n, cfg: 1.5, verifier: "inception" }),
  },
];

function rounded(value: number): number {
  return Number(value.toFixed(5));
}

function around(value: number, half: number): Measured {
  return { value: rounded(value), low: rounded(value - half), high: rounded(value + half) };
}

function difference(value: number, half: number, to: string): Difference {
  return { ...around(value, half), to, p: rounded(Math.exp(-3 * Math.abs(value / half))) };
}

function rowsOf(
  model: string,
  base: { fid: number; is: number; flops: number; seconds: number },
): SweepRow[] {
  const examples = (id: string) => [0, 1, 2].map((i) => `pictures/${model}/${id}/${i}.png`);
  const plain: SweepRow = {
    id: `${model}/plain`,
    model,
    method: "plain",
    title: "plain",
    settings: { cfg: 1.5 },
    seeds: SEEDS,
    pictures: 2000,
    planned: 2000,
    cost: { flops: base.flops, ratio: 1, seconds: base.seconds },
    metrics: {
      fid: around(base.fid, 0.11),
      is: around(base.is, 3.4),
      accuracy: around(0.912, 0.012),
      diversity: { value: 61.25 },
    },
    published: { fid: 3.81, is: 227.2 },
    examples: examples("plain"),
  };
  const searches = SHAPES.flatMap(({ method, title, gain, cost, settings }, shape) =>
    [10, 20, 50, 100].map((n, i): SweepRow => {
      const id = `${model}/${method}/${n}`;
      // A wave instead of noise: the same on every machine.
      const wave = Math.round(1000 * Math.sin(7 * shape + 3 * i)) / 1000;
      const better = (i + 1) / (1 + i / 4);
      const fid = -gain.fid * better + 0.02 * wave;
      const is = gain.is * better + wave;
      const right = gain.accuracy * better + 0.001 * wave;
      const alpha = method === "var-scaling" ? `, α = ${ALPHAS[n]}` : "";
      return {
        id,
        model,
        method,
        title: `${title}, N = ${n}${alpha}`,
        settings: settings(n),
        seeds: SEEDS,
        pictures: 2000,
        planned: 2000,
        cost: {
          flops: rounded(base.flops * cost(n)),
          ratio: rounded(cost(n)),
          seconds: rounded(base.seconds * (cost(n) * 0.94 + 0.06 + n / 1000)),
        },
        metrics: {
          fid: around(base.fid + fid, 0.11),
          is: around(base.is + is, 3.4),
          accuracy: around(0.912 + right, 0.012),
          diversity: { value: rounded(61.25 - 1.3 * better * (shape === 0 ? 0.4 : 1)) },
        },
        differences: {
          fid: [difference(fid, 0.06, plain.id)],
          is: [difference(is, 1.9, plain.id)],
          accuracy: [difference(right, 0.007, plain.id)],
        },
        ...(shape === 0
          ? {
            branches: { "dense": rounded(0.35 + 0.12 * i), "sparse": rounded(0.65 - 0.12 * i) },
            published: { fid: [3.79, 3.77, 3.75, 3.69][i]!, is: [226.9, 227.5, 228.3, 232.6][i]! },
          }
          : {}),
        examples: i === 3 ? examples(`${method}/${n}`) : [],
      };
    })
  );
  return [plain, ...searches];
}

/** A whole sweep. */
export function madeUp(): SweepResults {
  const missing: SweepRow = {
    id: "VAR d30/var-scaling/50",
    model: "VAR d30",
    method: "var-scaling",
    title: "VAR-Scaling, N = 50, α = 2.4",
    settings: { samples: 50, alpha: 2.4, scale: 1, cfg: 1.5 },
    seeds: SEEDS,
    pictures: 0,
    planned: 2000,
    metrics: {},
    published: { fid: 2.25, is: 298.7 },
    missing: "no weights of VAR d30",
    examples: [],
  };
  return {
    format: "varscale-sweep-results",
    version: 1,
    title: "How far N carries",
    description: "Four amounts of search on two models, everything else equal.\n\n" +
      "Published values are those of table 3 of VAR-Scaling.",
    complete: true,
    plan: {
      title: "How far N carries",
      models: ["VAR d16", "VAR d20", "VAR d30"],
      samples: [10, 20, 50, 100],
    },
    made: {
      varscale: "0.1.0",
      deno: "2.9.6",
      processor: "2 × Intel(R) Xeon(R) Processor",
      device: "cpu, native ONNX Runtime 1.30.0",
      day: "2026-11-29",
    },
    models: [
      {
        name: "VAR d16",
        facts: { family: "VAR", depth: "16", weights: "f16", fingerprint: "sha256:1f0c7a5e" },
      },
      {
        name: "VAR d20",
        facts: { family: "VAR", depth: "20", weights: "f16", fingerprint: "sha256:99b2d310" },
      },
      { name: "VAR d30", facts: { family: "VAR", depth: "30" } },
    ],
    metrics: METRICS,
    rows: [
      ...rowsOf("VAR d16", { fid: 3.84, is: 226.4, flops: 597e9, seconds: 0.41 }),
      ...rowsOf("VAR d20", { fid: 2.87, is: 252.1, flops: 1.12e12, seconds: 0.73 }),
      missing,
    ],
  };
}

/** The same, stopped on the way: the second model's searches lack pictures, the last of them all. */
export function halfFinished(): SweepResults {
  const whole = madeUp();
  const rows = whole.rows.map((row, i) => {
    if (row.model !== "VAR d20" || row.method === "plain") return row;
    const pictures = Math.max(0, 2000 - 160 * (i - 17));
    if (pictures > 0) return { ...row, pictures };
    const { cost: _, differences: __, branches: ___, ...rest } = row;
    return { ...rest, pictures, metrics: {}, examples: [] };
  });
  return { ...whole, complete: false, rows };
}
