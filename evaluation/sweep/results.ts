/**
 * What a sweep comes to: `results.json`, from which tables, figures and the report are made. How it is made
 * is left to `sweep.ts`, what is made of it to `report/`.
 *
 * @module
 */

/** A measured value. */
export interface Measured {
  /** The value. */
  readonly value: number;
  /** Lower end of its interval, where it has one. */
  readonly low?: number;
  /** Upper end. */
  readonly high?: number;
}

/** How much a row differs from another on the same seeds. */
export interface Difference extends Measured {
  /** {@linkcode SweepRow.id} of the other row, which is subtracted. */
  readonly to: string;
  /** Probability of a difference as large if there were none: a paired permutation test's. */
  readonly p: number;
}

/** A column of results. */
export interface MetricFacts {
  /** Its key in {@linkcode SweepRow.metrics}: `"fid"`. */
  readonly key: string;
  /** Name for people: `"FID"`. */
  readonly title: string;
  /** Which direction is good. */
  readonly better: "higher" | "lower" | "neither";
  /** The network that it was measured by, as {@linkcode MetricNetwork.name} says it. */
  readonly network?: string;
  /** What must be known to read it: `"400 pictures: biased upwards"`. */
  readonly note?: string;
}

/** What a picture, or all of a row, costs. */
export interface MeasuredCost {
  /** Floating-point operations for a picture: transformer, decoder and what judges. */
  readonly flops: number;
  /** The same as so many plain pictures of the model. */
  readonly ratio: number;
  /** Seconds for a picture. */
  readonly seconds: number;
}

/** One method with one setting on one model, over all seeds. */
export interface SweepRow {
  /** What tells it from all others of the sweep, the same in each run of the plan. */
  readonly id: string;
  /** Name of the model in the plan. */
  readonly model: string;
  /** Name of the method: `"var-scaling"`; `"plain"` without one. */
  readonly method: string;
  /** Name of the row for people: `"VAR-Scaling, N = 50, α = 2.3"`. */
  readonly title: string;
  /** What the plan varies, by name: `{ samples: 50, alpha: 2.3, scale: 1, cfg: 1.5 }`. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Seeds of its pictures. */
  readonly seeds: readonly number[];
  /** Pictures that are there. */
  readonly pictures: number;
  /** Pictures that the plan wants; 0 as long as the model was not opened, which knows how many these are. */
  readonly planned: number;
  /** What a picture cost; without it nothing was painted. */
  readonly cost?: MeasuredCost;
  /** Values by {@linkcode MetricFacts.key}. */
  readonly metrics: Readonly<Record<string, Measured>>;
  /** Differences to other rows by {@linkcode MetricFacts.key}. */
  readonly differences?: Readonly<Record<string, readonly Difference[]>>;
  /** Share of pictures for which a method took each of its branches, by their names. */
  readonly branches?: Readonly<Record<string, number>>;
  /** Published values by {@linkcode MetricFacts.key}, where the plan is a paper's. */
  readonly published?: Readonly<Record<string, number>>;
  /** Why it cannot be run: `"no weights of VAR d30"`; a row whose turn has not come has no reason. */
  readonly missing?: string;
  /** Some of its pictures: paths from the folder of the results, those of the plan's first subjects. */
  readonly examples: readonly string[];
}

/** Content of `results.json`. */
export interface SweepResults {
  /** Marks the file as ours. */
  readonly format: "varscale-sweep-results";
  /** Version of the layout. */
  readonly version: 1;
  /** Title of the plan. */
  readonly title: string;
  /** What the plan wants to show, and where its published values stand. */
  readonly description?: string;
  /** Whether every row has all of its pictures; a report over fewer says so. */
  readonly complete: boolean;
  /** The plan, as it was given. */
  readonly plan: unknown;
  /** What ran: versions of program and runtime, processor, provider, device, day. */
  readonly made: Readonly<Record<string, string>>;
  /** Models of the plan: family, depth, type of weights, fingerprints. */
  readonly models: readonly {
    /** Name in the plan. */
    readonly name: string;
    /** Facts for people. */
    readonly facts: Readonly<Record<string, string>>;
    /** Class or prompt of each subject that examples are of, by its number, after which they are named. */
    readonly subjects?: Readonly<Record<string, string>>;
  }[];
  /** How intervals of all rows were taken. */
  readonly intervals?: {
    /** Share of such intervals that hold the true value: 0.95. */
    readonly confidence: number;
    /** How often pictures were drawn anew for the interval of a mean. */
    readonly resamples: number;
  };
  /** Columns, in the order of tables. */
  readonly metrics: readonly MetricFacts[];
  /** Rows, in the order of the plan. */
  readonly rows: readonly SweepRow[];
}
