/**
 * Records of methods as Markdown: what each of them reaches at which cost, with intervals, beside plain
 * pictures and beside Best-of-N of the same budget.
 *
 * @module
 */

import { shown } from "../kernels/arguments.ts";
import {
  bootstrapDifference,
  bootstrapInterval,
  type Groups,
  type Interval,
} from "../evaluation/statistics/intervals.ts";
import type { MethodRecord } from "./method_records.ts";
import { table } from "./tables.ts";

/** A number for each picture of a label or, as a list of one, for all of them together. */
type Measure = (record: MethodRecord) => readonly number[];

/** What is told of a method, in the order of the columns. */
const MEASURES = {
  right: ({ verdicts }) => verdicts.map(({ right }) => Number(right)),
  logProbability: ({ verdicts }) => verdicts.flatMap(({ logProbability }) => logProbability ?? []),
  reward: ({ verdicts }) => verdicts.map(({ reward }) => reward),
  diversity: ({ diversity }) => [diversity],
} as const satisfies Record<string, Measure>;

/** A method at a budget, on all labels that it was run on. */
export interface MethodRow {
  /** Name of the method. */
  readonly method: string;
  /** Its budget. */
  readonly budget: number;
  /** Its lines, in the order of the labels. */
  readonly records: readonly MethodRecord[];
}

/** Names of the methods that others are held against. */
export const PLAIN = "plain";
/** See {@linkcode PLAIN}. */
export const BEST_OF_N = "Best-of-N";

/**
 * Gathers records of one model by method and budget, in the order in which methods first appear.
 *
 * @throws {RangeError} If methods were run on different labels, as then nothing can be compared.
 */
export function methodRows(records: readonly MethodRecord[]): MethodRow[] {
  const groups = Map.groupBy(records, ({ method, budget }) => JSON.stringify([budget, method]));
  const rows = [...groups.values()].map((own): MethodRow => {
    const { method, budget } = own[0]!;
    return { method, budget, records: own.toSorted((a, b) => a.prompt - b.prompt) };
  });
  const [first] = rows;
  for (const { method, budget, records } of rows) {
    if (`${records.map(({ prompt }) => prompt)}` === `${first!.records.map(({ prompt }) => prompt)}`) {
      continue;
    }
    throw new RangeError(
      `Cannot compare methods as ${method} at ${budget}x has ${records.length} labels where ${
        first!.method
      } has ${first!.records.length}, or others: run the rest first`,
    );
  }
  return rows.toSorted((a, b) => a.budget - b.budget);
}

/**
 * The values of a measure, as intervals take them: in a group for each kind of label. A label's pictures
 * count together; where there is one label of a kind, each picture counts.
 *
 * @param together Whether all labels are in one group.
 */
export function groupsOf(
  { records }: Pick<MethodRow, "records">,
  measure: keyof typeof MEASURES,
  together: boolean = false,
): Groups {
  const of = MEASURES[measure];
  if (together) return [records.map((record) => mean(of(record)))];
  const kinds = Map.groupBy(records, ({ group }) => group);
  return [...kinds.values()].map((own) =>
    own.length === 1 ? [...of(own[0]!)] : own.map((it) => mean(of(it)))
  );
}

/** How sure numbers of a report are. */
export interface ReportIntervals {
  /** How often labels are drawn anew. */
  readonly resamples: number;
}

/** What a report says about a model. */
export function formatMethods(
  rows: readonly MethodRow[],
  { score, resamples }: ReportIntervals & { readonly score: string },
): string {
  const plain = rows.find(({ method }) => method === PLAIN);
  const plainFlops = plain && meanOf(plain, ({ flops }) => flops);
  const measured = (row: MethodRow, measure: keyof typeof MEASURES, together = false): string[] => {
    const own = groupsOf(row, measure, together);
    const rival = rows.find(({ method, budget }) => method === BEST_OF_N && budget === row.budget);
    const beside = (other: MethodRow | undefined): string => {
      if (other === undefined || other === row) return "";
      return formatInterval(
        bootstrapDifference(own, groupsOf(other, measure, together), { resamples }),
        true,
      );
    };
    return [formatInterval(bootstrapInterval(own, { resamples })), beside(plain), beside(rival)];
  };
  const named = ({ method, budget }: MethodRow): string[] => [method, `${budget}×`];
  const logs = rows.every(({ records }) => MEASURES.logProbability(records[0]!).length > 0);
  const shared = sharedSettings(rows);
  const tags = new Set(rows[0]?.records.map(({ group }) => group)).size < (rows[0]?.records.length ?? 0);
  return [
    table(
      ["method", "budget", "operations", "s per picture", score, "− plain", "− Best-of-N"],
      rows.map((row) => [
        ...named(row),
        plainFlops === undefined ? "" : `${(meanOf(row, ({ flops }) => flops) / plainFlops).toFixed(3)}×`,
        meanOf(row, ({ seconds }) => seconds).toFixed(3),
        ...measured(row, "right"),
      ]),
    ),
    table(
      [
        "method",
        "budget",
        ...(tags ? ["share right"] : []),
        ...(logs ? ["log-probability"] : []),
        "diversity",
      ],
      rows.map((row) => [
        ...named(row),
        ...(tags ? measured(row, "right", true).slice(0, 1) : []),
        ...(logs ? measured(row, "logProbability").slice(0, 1) : []),
        ...measured(row, "diversity", true).slice(0, 1),
      ]),
    ),
    table(
      ["method", "budget", "reward", "− plain", "− Best-of-N"],
      rows.map((row) => [...named(row), ...measured(row, "reward")]),
    ),
    table(["method", "budget", "settings"], rows.map((row) => [...named(row), settingsOf(row, shared)]), 3),
    [...shared].filter(([, settings]) => Object.keys(settings).length > 0).map(([hook, settings]) =>
      `- All of \`${hook}\`: ${formatSettings(settings)}.`
    ).join("\n"),
  ].join("\n\n");
}

type Settings = Readonly<Record<string, unknown>>;

/** Settings by hook that are the same in all rows. */
function sharedSettings(rows: readonly MethodRow[]): Map<string, Settings> {
  const all = Map.groupBy(rows.flatMap(({ records: [first] }) => first!.settings), ({ hook }) => `${hook}`);
  return new Map([...all].map(([hook, [first, ...others]]) => {
    const same = Object.entries(first!).filter(([name, value]) => {
      return name !== "hook" && others.every((other) => shown(other[name]) === shown(value));
    });
    return [hook, others.length === 0 ? {} : Object.fromEntries(same)];
  }));
}

/** What a row's hooks are set to, but for what is the same in all rows. */
function settingsOf({ records: [first] }: MethodRow, shared: ReadonlyMap<string, Settings>): string {
  return first!.settings.map(({ hook, ...settings }) => {
    const own = Object.entries(settings).filter(([name]) => !(name in shared.get(`${hook}`)!));
    return [`\`${hook}\``, formatSettings(Object.fromEntries(own))].filter(Boolean).join(" ");
  }).join(" + ");
}

function formatSettings(settings: Settings): string {
  return Object.entries(settings).map(([name, value]) => `${name} ${shown(value)}`).join(", ");
}

/**
 * An average with its interval.
 *
 * @param difference Whether it is one between two, which has a sign.
 *
 * @example
 * ```ts
 * import { formatInterval } from "./method_tables.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(formatInterval({ mean: 0.9333, low: 0.9, high: 0.96 }), "0.933 [0.900, 0.960]");
 * assertEquals(formatInterval({ mean: 0.02, low: -0.01, high: 0.05 }, true), "+0.020 [-0.010, +0.050]");
 * ```
 */
export function formatInterval({ mean, low, high }: Interval, difference: boolean = false): string {
  const number = (value: number): string => `${difference && value > 0 ? "+" : ""}${value.toFixed(3)}`;
  return `${number(mean)} [${number(low)}, ${number(high)}]`;
}

function meanOf({ records }: MethodRow, of: (record: MethodRecord) => number): number {
  return mean(records.map(of));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
