/**
 * What a sweep has come to so far: the records of all parts as rows with metrics, intervals and differences
 * on the same seeds. The same records give the same numbers.
 *
 * @module
 */

import { bootstrapInterval, type Groups } from "../statistics/intervals.ts";
import { pairedTest } from "../statistics/permutation.ts";
import { distancesOf, openRealRows } from "./distances.ts";
import { partsOf } from "./methods.ts";
import { type PlannedRow, planRows, type SweepPlan } from "./plan.ts";
import { type ModelRecord, type PicturesRecord, readRecords, type SweepRecords } from "./records.ts";
import type { Difference, Measured, MetricFacts, SweepResults, SweepRow } from "./results.ts";
import { shareDifference, shareInterval } from "./shares.ts";
import { namesOf } from "./subjects.ts";
import { METRIC_KEYS, METRICS, type ScoreMetric, scoreMetrics } from "./sweep_metrics.ts";

/** Pictures of a row, in the order of subjects, then of seeds. */
interface RowPictures {
  readonly row: PlannedRow;
  readonly records: readonly (PicturesRecord & { readonly file: string })[];
  /** Kind of each subject by number. */
  readonly groups: readonly string[];
  /** Whether a detector held them against captions, of whatever kinds these are. */
  readonly captions: boolean;
}

/** A score with what it is about. */
interface Score {
  readonly key: string;
  readonly subject: number;
  readonly group: string;
  readonly value: number;
}

/** What the pictures of a row come to. */
interface RowValues {
  readonly metrics: Record<string, Measured>;
  readonly differences?: NonNullable<SweepRow["differences"]>;
  /** Keys of metrics that are no finite numbers. */
  readonly lost: readonly string[];
}

/** Share of intervals that hold the true value: what everybody takes who makes one. */
const CONFIDENCE = 0.95;

/** Options of {@linkcode summarize}. */
export interface SummaryOptions {
  /** Folder of the sweep. */
  readonly folder: string;
  /** How often pictures are drawn anew for an interval; 2000 by default. */
  readonly resamples?: number;
  /** What ran, for people. */
  readonly made: Readonly<Record<string, string>>;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/** Makes the results of whatever is in the folder of a sweep. */
export async function summarize(plan: SweepPlan, options: SummaryOptions): Promise<SweepResults> {
  const { folder, resamples = 2000, made, signal } = options;
  const records = await readRecords(folder);
  const rows = planRows(plan).map((row) => picturesOf(row, records));
  const opened = new Map<string, ReturnType<typeof openRealRows>>();
  const real = (model: string): ReturnType<typeof openRealRows> => {
    const { reference = plan.reference } = plan.models.find(({ name }) => name === model)!;
    const { network } = records.models.get(model)!;
    const known = opened.get(model) ??
      openRealRows({ ...(network && { network }), ...(reference && { reference }) });
    opened.set(model, known);
    return known;
  };
  const present = columnsOf(rows, plan);
  const values: RowValues[] = [];
  for (const own of rows) {
    // Whoever ends it is heard between rows.
    await new Promise((resolve) => setTimeout(resolve));
    signal?.throwIfAborted();
    const { metrics, differences, lost } = valuesOf(own, rows, present, resamples);
    const network = records.models.get(own.row.model)?.network;
    const distances = network === undefined
      ? { values: {}, lost: [] }
      : await distancesOf(folder, own.records, network.name, await real(own.row.model));
    const wanted = (key: string): boolean => plan.metrics?.includes(key) ?? true;
    values.push({
      metrics: {
        ...metrics,
        ...Object.fromEntries(Object.entries(distances.values).filter(([key]) => wanted(key))),
      },
      ...(differences && { differences }),
      lost: [...lost, ...distances.lost.filter(wanted)],
    });
  }
  const said = new Set([
    ...values.flatMap(({ metrics, lost }) => [...Object.keys(metrics), ...lost]),
    ...rows.flatMap(({ row: { published = {} } }) => Object.keys(published)),
  ]);
  const metrics = METRICS.filter(({ key }) => said.has(key)).map((facts) => {
    const own = rows.map(({ row }) => row);
    const about = own.filter((_, i) => facts.key in values[i]!.metrics).map(({ model }) => model);
    const lost = own.filter((_, i) => values[i]!.lost.includes(facts.key)).map(({ title }) => title);
    return factsOf(facts, {
      models: [...new Set(about)].flatMap((name) => records.models.get(name) ?? []),
      lost,
    });
  });
  const examples = await examplesIn(folder);
  const result = rows.map((own, i) => rowOf(own, records, { ...values[i]!, examples }));
  const models = await Promise.all(plan.models.map(async (model) => {
    const record = records.models.get(model.name);
    const pictured = result.filter((row) => row.model === model.name).flatMap(({ examples }) => examples);
    const subjects = await subjectNames(plan, model, record, pictured);
    return { name: model.name, facts: record?.facts ?? {}, ...(subjects && { subjects }) };
  }));
  return {
    format: "varscale-sweep-results",
    version: 1,
    title: plan.title,
    ...(plan.description === undefined ? {} : { description: plan.description }),
    // What is planned of a row whose model was not opened yet, nobody knows.
    complete: result.every(({ pictures, planned, missing }) => {
      return missing !== undefined || (planned > 0 && pictures === planned);
    }),
    plan,
    made,
    models,
    intervals: { confidence: CONFIDENCE, resamples },
    metrics,
    rows: result,
  };
}

function picturesOf(row: PlannedRow, { models, pictures }: SweepRecords): RowPictures {
  const own = [...pictures.values()].filter((record) => record.row === row.id);
  const model = models.get(row.model);
  return {
    row,
    records: own.sort((a, b) =>
      a.subject - b.subject || row.seeds.indexOf(a.seed) - row.seeds.indexOf(b.seed)
    ),
    groups: model?.groups ?? [],
    captions: model?.identity.detector !== undefined,
  };
}

/** Columns of all models, those that are shared once. */
function columnsOf(rows: readonly RowPictures[], { metrics }: SweepPlan): ScoreMetric[] {
  const columns = rows.flatMap(({ captions }) => scoreMetrics(captions));
  const unique = [...new Map(columns.map((column) => [column.key, column])).values()];
  return unique.filter(({ key }) => metrics?.includes(key) ?? true)
    .sort((a, b) => METRIC_KEYS.indexOf(a.key) - METRIC_KEYS.indexOf(b.key));
}

/** A column with the networks that it was measured by, and with the rows that lack it. */
function factsOf(
  { key, title, better, note, by }: typeof METRICS[number],
  { models, lost }: { readonly models: readonly ModelRecord[]; readonly lost: readonly string[] },
): MetricFacts {
  const networks = [
    ...new Set(models.flatMap(({ network, identity: { detector } }) => {
      if (by === "own") return ["own"];
      // What its colours are told by stands behind its name.
      return (by === "detector" ? detector?.split(" ")[0] : by === "network" ? network?.name : undefined) ??
        [];
    })),
  ];
  // By other features it is the same distance and not what papers print.
  const named = key === "fid" && networks.some((name) => name !== "inception-fid")
    ? "Fréchet distance"
    : title;
  const notes = [
    ...(note === undefined ? [] : [note]),
    ...(lost.length === 0 ? [] : [`no finite number in ${lost.join("; ")}, and left out there`]),
  ];
  return {
    ...{ key, title: named, better },
    ...(networks.length > 0 && { network: networks.join(", ") }),
    ...(notes.length > 0 && { note: notes.join("; ") }),
  };
}

/** What people call the subjects that examples are of, by their numbers. */
async function subjectNames(
  plan: SweepPlan,
  model: SweepPlan["models"][number],
  record: ModelRecord | undefined,
  examples: readonly string[],
): Promise<Record<string, string> | undefined> {
  if (record === undefined) return undefined;
  const names = await namesOf(model.subjects ?? plan.subjects ?? {}, {
    groups: record.groups,
    checksum: record.subjects,
  });
  const numbers = new Set(examples.map((path) => path.slice(path.lastIndexOf("/") + 1, -".png".length)));
  const told = [...numbers].flatMap((number) =>
    names[Number(number)] ? [[number, names[Number(number)]!]] : []
  );
  return told.length === 0 ? undefined : Object.fromEntries(told);
}

/** Values of a row, and how much they differ from those of others. */
function valuesOf(
  own: RowPictures,
  all: readonly RowPictures[],
  columns: readonly ScoreMetric[],
  resamples: number,
): RowValues {
  const rivals = rivalsOf(own.row, all);
  const metrics: Record<string, Measured> = {};
  const differences: Record<string, Difference[]> = {};
  const lost: string[] = [];
  for (const column of columns) {
    // A column of captions says nothing of classes, and the other way round.
    if (!scoreMetrics(own.captions).some(({ key }) => key === column.key)) continue;
    const scores = scoresOf(own, column);
    if (scores.length === 0) continue;
    if (!areFinite(scores)) {
      lost.push(column.key);
      continue;
    }
    const groups = strata(scores, column);
    const { mean, low, high } = column.share === true
      ? shareInterval(groups)
      : bootstrapInterval(groups, { resamples });
    const sure = column.share === true || isEnough(groups);
    metrics[column.key] = { value: mean, ...(sure && { low, high }) };
    const others = rivals.flatMap((rival) => differenceTo(rival, scores, column, resamples) ?? []);
    if (others.length > 0) differences[column.key] = others;
  }
  return { metrics, lost, ...(Object.keys(differences).length > 0 && { differences }) };
}

function areFinite(scores: readonly Score[]): boolean {
  return scores.every(({ value }) => Number.isFinite(value));
}

/** The rows that a row is held against: the plain one, and Best-of-N with the same N, drawn alike. */
function rivalsOf({ id, model, method, settings }: PlannedRow, all: readonly RowPictures[]): RowPictures[] {
  const drawn = ({ row }: RowPictures): boolean =>
    row.id !== id && row.model === model &&
    ["cfg", "guidance", "topK", "topP", "minP", "temperature"].every((name) => {
      return JSON.stringify(row.settings[name]) === JSON.stringify(settings[name]);
    });
  const plain = all.find((it) => it.row.method === "plain" && drawn(it));
  const best = partsOf(method).search === undefined ? undefined : all.find((it) => {
    const { method, settings: { samples, verifier } } = it.row;
    return method === "best-of-n" && drawn(it) && samples === settings.samples && verifier === undefined;
  });
  return [plain, best].filter((it) => it !== undefined);
}

/** What a column says of each picture that it is about. */
function scoresOf({ records, groups }: RowPictures, { of, group }: ScoreMetric): Score[] {
  return records.flatMap((record) => {
    const { seed, subject, pictures } = record;
    const kind = groups[subject] ?? "";
    if (group !== undefined && kind !== group) return [];
    const values = of(record);
    // What is said of pictures together is the same thing only for as many of them.
    const together = values.length === pictures.length ? "" : `of ${pictures.length}`;
    return values.map((value, i) => ({
      key: `${seed}/${subject}/${i}${together}`,
      subject,
      group: kind,
      value,
    }));
  });
}

/** Values of a stratum below which its spread is told too small: n values show (n - 1)/n of it. */
const LEAST_STRATUM = 4;
/** Values below which a bootstrap knows nothing of their spread. */
const LEAST_VALUES = 5;

/** Whether there are values enough for a bootstrap. */
function isEnough(groups: Groups): boolean {
  return groups.flat().length >= LEAST_VALUES;
}

/**
 * Scores as intervals take them: in a group for each kind of subject, where a subject's pictures count
 * together, or each by itself where there is one subject of a kind. Kinds with very few are put together,
 * unless they have the same weight. Of shares that are no tags' each picture counts.
 */
function strata(scores: readonly Score[], { byTag = false, share = false, group }: ScoreMetric): Groups {
  if (share && !byTag) {
    return [group === undefined ? scores.map(({ value }) => value) : bySubject(scores)];
  }
  const kinds = [...Map.groupBy(scores, ({ group }) => group).values()];
  const groups = kinds.map((own) => {
    const subjects = bySubject(own);
    return subjects.length === 1 && !byTag ? own.map(({ value }) => value) : subjects;
  });
  if (byTag || groups.every(({ length }) => length >= LEAST_STRATUM)) return groups;
  return [bySubject(scores)];
}

function bySubject(scores: readonly Score[]): number[] {
  return [...Map.groupBy(scores, ({ subject }) => subject).values()].map((own) => {
    return own.reduce((sum, { value }) => sum + value, 0) / own.length;
  });
}

/** The difference to another row, of the pictures that both have. */
function differenceTo(
  rival: RowPictures,
  scores: readonly Score[],
  column: ScoreMetric,
  resamples: number,
): Difference | undefined {
  const told = scoresOf(rival, column);
  if (!areFinite(told)) return undefined;
  const others = new Map(told.map(({ key, value }) => [key, value]));
  const common = scores.filter(({ key }) => others.has(key));
  if (common.length === 0) return undefined;
  const [own, other] = [
    strata(common, column),
    strata(common.map((score) => ({ ...score, value: others.get(score.key)! })), column),
  ];
  const differences = own.map((group, g) => group.map((value, i) => value - other[g]![i]!));
  const flat = differences.flat();
  const few = column.share === true && flat.filter((value) => value !== 0).length < FEW_DIFFERENT;
  const { mean, low, high } = few
    ? shareDifference(own, other)
    : bootstrapInterval(differences, { resamples });
  const { p } = pairedTest(weighted(own), weighted(other));
  return { to: rival.row.id, value: mean, ...((few || isEnough(own)) && { low, high }), p };
}

/** All values, with weights by which their mean is that of the groups' means. */
function weighted(groups: Groups): number[] {
  const each = groups.flat().length / groups.length;
  return groups.flatMap((group) => group.map((value) => value * (each / group.length)));
}

/** Pairs that differ, below which the bootstrap knows too little of shares. */
const FEW_DIFFERENT = 10;

function rowOf(
  { row, records }: RowPictures,
  { rows }: SweepRecords,
  { metrics, differences, examples }: Pick<SweepRow, "metrics" | "differences"> & {
    readonly examples: ReadonlyMap<string, readonly string[]>;
  },
): SweepRow {
  const { id, model, method, title, settings, seeds, published } = row;
  const known = rows.get(id);
  const pictures = records.reduce((sum, { pictures }) => sum + pictures.length, 0);
  const mean = (of: (record: PicturesRecord) => number): number => {
    return records.reduce((sum, record) => sum + record.pictures.length * of(record), 0) / pictures;
  };
  const flops = mean(({ flops }) => flops);
  const branches = branchesOf(records);
  const ratio = flops / (known?.plainFlops ?? NaN);
  const seconds = mean(({ seconds }) => seconds);
  return {
    ...{ id, model, method, title, settings, seeds, pictures },
    planned: known?.planned ?? 0,
    ...([flops, ratio, seconds].every(Number.isFinite) && { cost: { flops, ratio, seconds } }),
    metrics,
    ...(differences && { differences }),
    ...(branches && { branches }),
    ...(published && { published }),
    ...(known?.missing !== undefined && pictures === 0 && { missing: known.missing }),
    examples: examples.get(id) ?? [],
  };
}

/** Share of pictures for each branch. */
function branchesOf(records: readonly PicturesRecord[]): Record<string, number> | undefined {
  const taken = records.flatMap(({ pictures }) => pictures.flatMap(({ branches = [] }) => branches));
  if (taken.length === 0) return undefined;
  const counts = Map.groupBy(taken.sort(), (branch) => branch);
  return Object.fromEntries([...counts].map(([branch, { length }]) => [branch, length / taken.length]));
}

/** Pictures that rows have kept, by the row. */
async function examplesIn(folder: string): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  try {
    for await (const { name: id } of Deno.readDir(`${folder}/examples`)) {
      const files = await Array.fromAsync(Deno.readDir(`${folder}/examples/${id}`), ({ name }) => name);
      const finished = files.filter((name) => name.endsWith(".png")).sort((a, b) =>
        parseInt(a) - parseInt(b)
      );
      found.set(id, finished.map((name) => `examples/${id}/${name}`));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found;
}
