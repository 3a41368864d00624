/**
 * A model that paints nothing: made-up pictures of four scales, at once or as the test lets it, so that what
 * stands around a model is tested without one.
 *
 * @module
 */

import type { HostedEvent, HostedFacts, HostedJob } from "../../../cli/hosting/hosted_job.ts";
import type { Painter } from "../../../cli/studio/model_keeper.ts";
import type { RunRecord } from "../../../cli/generation/run_record.ts";
import { RgbaImage, type Trace, type VarScalingDecision } from "../../../mod.ts";

/** Sides of the token maps. */
export const SIDES: readonly number[] = [1, 2, 4, 8];

/** Names of the classes. */
export const CLASSES: readonly string[] = ["red cone", "red torus", "blue cone", "blue torus", "green cube"];

const FACTS = {
  name: "fake",
  family: "var",
  labels: { kind: "classes", count: CLASSES.length, names: CLASSES },
  defaults: { cfg: 1.5, topK: 900 },
  search: { samples: 6, scale: 1, strategy: "var-scaling", pick: "density" },
  device: { kind: "cpu", name: "nothing" },
  dtype: "f32",
  encodes: true,
  familyOptions: [],
  flexible: [],
} as unknown as HostedFacts;

/** What becomes of six candidates. */
const DECISION: VarScalingDecision = {
  ...{
    max: 3,
    mean: 2,
    ratio: 1.5,
    low: true,
    unique: 5,
    chosen: 4,
    probability: 0.25,
    samples: 6,
    alpha: 1.7,
  },
  kept: [{ candidate: 0, probability: 0.75 }, { candidate: 4, probability: 0.25 }],
};

/** A model that paints nothing. */
export class FakePainter implements Painter {
  readonly facts: HostedFacts;
  /** What it was asked for. */
  readonly jobs: HostedJob[] = [];
  /** Whether it was closed. */
  closed = false;
  /** How often a job was ended from outside. */
  aborted = 0;
  /** What is waited for after a scale. */
  onScale: (scale: number) => Promise<void> | void = () => {};

  constructor(facts: Partial<HostedFacts> = {}) {
    this.facts = { ...FACTS, ...facts };
  }

  async *generate(
    job: HostedJob,
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<HostedEvent, void, void> {
    this.jobs.push(job);
    const { count = 1, seed = 0, method = [] } = job.options;
    const labels = (job.labels.length === 0 ? [null] : job.labels).flatMap((label) =>
      Array(count).fill(label)
    );
    if (labels.includes("a wrong one")) throw new Error("The class must be one of the model");
    const size = { width: 32, height: 32 };
    const searched = method.some((name) => name !== "var-scaling");
    yield { type: "begun", images: labels.length, picture: size, scales: SIDES.length, notes: [] };
    yield { type: "batch", batch: 0, batches: 1, images: [...labels.keys()] };
    try {
      for (const [scale, side] of SIDES.entries()) {
        await until(signal, this.onScale(scale));
        if (job.candidates && method.includes("var-scaling") && scale === 1) yield candidates();
        const lanes = searched ? 2 : 1;
        const maps = { width: side, height: side, lanes: lanes * labels.length };
        yield { type: "scale", batch: 0, scale, scales: SIDES.length, ...maps };
        if (job.options.preview !== true) continue;
        const images = labels.flatMap((_, index) =>
          Array.from({ length: lanes }, (_, lane) => ({
            ...{ place: index, index, lane, caption: `${index}`, ...size },
            png: picture(side, Number(seed) + index + 5 * lane),
          }))
        );
        yield { type: "preview", batch: 0, scale, images };
      }
    } catch (error) {
      this.aborted++;
      yield { type: "aborted" };
      throw error;
    }
    const images = labels.map((name, index) => ({ name: name ?? "none", index }));
    for (const { name, index } of images) {
      const decisions = method.includes("var-scaling")
        ? [{ hook: "var-scaling", scale: 1, value: DECISION }]
        : [];
      const attempts = searched
        ? [{ attempt: 0, lane: 0, decisions: [] }, {
          ...{ attempt: 1, lane: 1, dropped: { hook: method[0]!, scale: 2 } },
          decisions: [{ hook: method[0]!, scale: 2, value: { score: -2.5 } }],
        }]
        : [{ attempt: 0, lane: 0, decisions }];
      if (job.tree) {
        const branches = attempts.map((attempt) => ({
          ...attempt,
          pictures: SIDES.slice(0, "dropped" in attempt ? 3 : 4).map((side, scale) => ({
            ...{ scale, ...size, png: picture(side, Number(seed) + 5 * attempt.lane) },
          })),
        }));
        yield { type: "tree", place: index, index, branches };
      }
      yield {
        ...{ type: "image", place: index, index, lane: 0, ...size, png: picture(32, Number(seed) + index) },
        ...{ file: `${index}.png`, label: { id: 0, name }, caption: `${name} #${index}`, seed, sha256: "" },
        ...{ tokens: [], decisions, attempt: 0, attempts },
      };
    }
    yield { type: "done", trace: TRACE, record: recordOf(job, images), files: {} };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

const TRACE = {
  total: 40,
  batches: [{ scales: [1, 2, 3, 4], decode: 5 }],
  cost: { passes: 4, decodes: 5, judged: 0 },
} as unknown as Trace;

function candidates(): HostedEvent {
  return {
    ...{ type: "candidates", place: 0, index: 0, lane: 0, scale: 1, chosen: 4, threshold: 3.4 },
    points: Float32Array.of(0, 0, 1, 1, 2, 0, 0.5, 2, 1.5, 0.5, 1, 0),
    densities: Float32Array.of(3, 2.5, 2, 1.75, 1.5, 1.25),
    kept: Uint32Array.of(0, 4),
    decision: DECISION,
  };
}

/** What a run with these options would have left: its tokens tell label, number and seed. */
function recordOf({ options }: HostedJob, images: readonly { name: string; index: number }[]): RunRecord {
  const { seed = 0, cfg = 1.5, method = [] } = options;
  return {
    format: "varscale-run",
    version: 1,
    model: { name: "fake" },
    request: {
      labels: images.map(({ name }) => ({ id: name === "none" ? null : CLASSES.indexOf(name), name })),
      ...{ seed, cfg, topK: 900, topP: 0, temperature: 1, moreSmooth: false, batch: 8, previews: [] },
    },
    variants: [{
      name: "plain",
      hooks: method.map((name) => ({
        name,
        settings: name === "var-scaling" ? { scale: [1], samples: options.samples ?? "preset" } : { keep: 1 },
      })),
    }],
    images: images.map(({ name, index }) => ({
      ...{ variant: "plain", index, sha256: "", tokens: [[Number(seed), index, name.length]] },
    })),
  } as unknown as RunRecord;
}

/** A picture of coloured squares. */
function picture(side: number, seed: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8ClampedArray(32 * 32 * 4);
  for (let y = 0; y < 32; y++) {
    for (let x = 0; x < 32; x++) {
      const [row, column] = [Math.floor(y * side / 32), Math.floor(x * side / 32)];
      const level = 37 * (seed + 1) + 11 * row + 29 * column;
      data.set([level % 200 + 40, 2 * level % 200 + 40, 160, 255], 4 * (32 * y + x));
    }
  }
  return new RgbaImage(32, 32, data).png();
}

/** Waits, unless it is ended. */
async function until(signal: AbortSignal, work: Promise<void> | void): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const end = (): void => reject(signal.reason);
  signal.addEventListener("abort", end, { once: true });
  try {
    signal.throwIfAborted();
    await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", end);
  }
}
