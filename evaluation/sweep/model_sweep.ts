/**
 * The rows of one model in a sweep: opens the model with everybody who judges it, lets its rows take turns,
 * and writes down what came of each subject. Which models there are, and the folder, are left to `sweep.ts`.
 *
 * @module
 */

import { DeviceLostError } from "../../kernels/device/errors.ts";
import { resolveCpuProvider } from "../../models/graphs/cpu_provider.ts";
import { type CpuProvider, type Dtype, loadModel, type Model, type TextFeatures } from "../../models/mod.ts";
import { featuresOf } from "../../sampler/generate.ts";
import { generate, type GeneratedImage, resolveRequest, type VarScalingDecision } from "../../sampler/mod.ts";
import { DEMO_DETECTOR } from "../geneval/detector.ts";
import { meanDistance } from "../metrics/diversity.ts";
import { judgeOfModel } from "../reference.ts";
import { openRealRows } from "./distances.ts";
import { type Judgement, openJudge, type SweepJudge } from "./judging.ts";
import { partsOf } from "./methods.ts";
import type { PlannedRow, SweepModel, SweepPlan } from "./plan.ts";
import { type MisfitRow, type PreparedRow, prepareRow, RowNetworks } from "./prepared_row.ts";
import {
  type ModelRecord,
  type PictureRecord,
  readRecords,
  type RecordsFile,
  requireSame,
  saysMore,
  type StoredRows,
  type SweepRecords,
  type SweepShard,
  unitKey,
} from "./records.ts";
import { Speed } from "./speed.ts";
import { checksumOf, spread, type Subject, subjectsOf } from "./subjects.ts";
import { writeWhole } from "./sweep_folder.ts";

/** How far a sweep has come. */
export interface SweepProgress {
  /** Pictures of this part. */
  readonly total: number;
  /** Those that are there. */
  readonly done: number;
  /** The row that has painted last. */
  readonly row: string;
  /** Seconds to the end, as far as costs tell. */
  readonly secondsLeft: number;
}

/** What a sweep is expected to take. */
export interface SweepEstimate {
  /** Name of the model. */
  readonly model: string;
  /** Pictures of it that are not there yet, of this part. */
  readonly pictures: number;
  /** Seconds, from counted operations and the measured speed of plain pictures. */
  readonly seconds: number;
  /** Rows that the model cannot have, with the reason. */
  readonly missing: readonly { readonly row: string; readonly reason: string }[];
}

/** Options of {@linkcode runSweep}. */
export interface SweepOptions {
  /** Folder of the sweep; it is made. */
  readonly folder: string;
  /** Which part of the pictures is painted here; all by default. */
  readonly shard?: SweepShard;
  /** Places of models, by their names in the plan, before those of the plan. */
  readonly weights?: Readonly<Record<string, string>>;
  /** Where models run; the CPU by default, on which pictures are the same everywhere. */
  readonly device?: "cpu" | "webgpu";
  /** Who computes on the CPU; native if it is there by default. */
  readonly cpuProvider?: CpuProvider | "auto";
  /** Threads on the CPU; all cores by default. */
  readonly threads?: number;
  /** Whether only results are made, of what is there. */
  readonly paint?: boolean;
  /** Ends it; what is painted stays. */
  readonly signal?: AbortSignal | undefined;
  /** Told before a model paints. */
  readonly onEstimate?: (estimate: SweepEstimate) => void;
  /** Told as it goes. */
  readonly onProgress?: (progress: SweepProgress) => void;
}

/** Pictures that are painted together: those of a row, a subject and a seed. */
interface Unit {
  readonly seed: number;
  readonly subject: Subject;
}

/** A row with what it has to paint. */
interface RowWork extends PreparedRow {
  readonly units: readonly Unit[];
}

/** A model with everything that judges it. */
interface OpenedModel extends AsyncDisposable {
  readonly model: Model;
  readonly judge: SweepJudge;
  readonly networks: RowNetworks;
  readonly subjects: readonly Subject[];
  /** Features of all prompts, for which the text encoder is loaded once. */
  readonly textFeatures: TextFeatures | undefined;
}

/** Lanes that run together, so that no method has the advantage of larger batches. */
const LANES = 32;
/** Units that a row with most of them paints before it is the next one's turn. */
const TURN = 8;
/** Losses of the device in a row after which nothing but giving up is left. */
const MAX_LOSSES = 3;

/** The rows of one model. */
export class ModelSweep {
  readonly #plan: SweepPlan;
  readonly #model: SweepModel;
  readonly #file: RecordsFile;
  readonly #options: SweepOptions & { readonly shard: SweepShard };
  /** Pictures that were painted, over all losses of the device. */
  #painted = 0;
  /** Numbers of subjects of which a picture is kept, and the seed of it. */
  #examples: { readonly subjects: ReadonlySet<number>; readonly seed: number | undefined } = {
    subjects: new Set(),
    seed: undefined,
  };

  /**
   * @param plan The plan.
   * @param model One of its models, with the place where it is.
   * @param file What is written.
   * @param options How.
   */
  constructor(
    plan: SweepPlan,
    model: SweepModel,
    file: RecordsFile,
    options: SweepOptions & { readonly shard: SweepShard },
  ) {
    this.#plan = plan;
    this.#model = model;
    this.#file = file;
    this.#options = options;
  }

  /** Paints what is missing of some rows; where the device is lost, the model is opened again. */
  async run(rows: readonly PlannedRow[]): Promise<void> {
    const { place } = this.#model;
    if (place === undefined) return await this.#leaveOpen(rows);
    for (let losses = 0;;) {
      const painted = this.#painted;
      try {
        return await this.#paintRows(rows, place);
      } catch (error) {
        if (!(error instanceof DeviceLostError)) throw error;
        losses = this.#painted > painted ? 1 : losses + 1;
        if (losses > MAX_LOSSES) throw error;
      }
    }
  }

  /** Writes down that there are no weights. */
  async #leaveOpen(rows: readonly PlannedRow[]): Promise<void> {
    const { folder, onEstimate } = this.#options;
    const { name: model } = this.#model;
    const before = await readRecords(folder);
    const reason = `no weights of ${model}: say where they are with --weights ${model}=PLACE`;
    for (const row of rows) await this.#note({ row, missing: reason }, 0, before);
    onEstimate?.({
      model,
      pictures: 0,
      seconds: 0,
      missing: rows.map(({ title: row }) => ({ row, reason })),
    });
  }

  async #paintRows(rows: readonly PlannedRow[], place: string): Promise<void> {
    const { folder, signal, onEstimate, onProgress } = this.#options;
    const before = await readRecords(folder);
    const opened = await this.#open(place);
    try {
      const { subjects } = opened;
      await this.#noteModel(opened, before);
      const { works, missing } = await this.#prepare(opened, rows, before);
      const total = countOf(works);
      this.#examples = commonExamples(rows, subjects, this.#plan.examples);
      const expected = await this.#expect(opened, works);
      const seconds = works.reduce((sum, it) => sum + countOf([it]) * (expected.get(it) ?? 0), 0);
      onEstimate?.({ model: this.#model.name, pictures: total, seconds, missing });
      const begun = performance.now();
      let done = 0;
      let worth = 0;
      for (const { row, units } of turnsOf(works)) {
        signal?.throwIfAborted();
        const painted = await this.#paint(opened, row, units);
        done += painted;
        worth += painted * (expected.get(row) ?? 0);
        const pace = (performance.now() - begun) / 1000 / worth;
        const secondsLeft = done === total ? 0 : (seconds - worth) * pace;
        onProgress?.({ total, done, row: `${this.#model.name}, ${row.row.title}`, secondsLeft });
      }
      await opened[Symbol.asyncDispose]();
    } catch (error) {
      // What a lost device says when it is let go of is nothing new.
      await Promise.resolve(opened[Symbol.asyncDispose]()).catch(() => {});
      throw error;
    }
  }

  /** Seconds of a picture of each row that has something to paint, if anybody wants to know. */
  async #expect(
    { model, subjects, textFeatures }: OpenedModel,
    works: readonly RowWork[],
  ): Promise<Map<PreparedRow, number>> {
    const { onEstimate, onProgress, signal } = this.#options;
    const expected = new Map<PreparedRow, number>();
    if ((onEstimate ?? onProgress) === undefined) return expected;
    const labels = spread(subjects, TURN).map(({ label }) => label);
    const speed = new Speed(model, { labels, textFeatures, batch: this.#batch, signal });
    for (const it of works) if (it.units.length > 0) expected.set(it, await speed.secondsOf(it));
    return expected;
  }

  get #batch(): number {
    return this.#model.batch ?? LANES;
  }

  get #subjects(): NonNullable<SweepPlan["subjects"]> {
    return this.#model.subjects ?? this.#plan.subjects ?? {};
  }

  async #open(place: string): Promise<OpenedModel> {
    const { device = "cpu", cpuProvider = "auto", threads, signal } = this.#options;
    await using owned = new AsyncDisposableStack();
    const model = owned.use(
      await loadModel(place, {
        ...{ device, cpuProvider, signal },
        ...(threads === undefined ? {} : { threads }),
        ...(this.#model.depth === undefined ? {} : { depth: this.#model.depth }),
        ...(this.#model.size === undefined ? {} : { size: this.#model.size }),
        ...(this.#model.dtype === undefined ? {} : { dtype: this.#model.dtype as Dtype }),
      }),
    );
    if (model.flops === undefined) {
      throw new TypeError(
        `Cannot sweep as models of the family "${model.family}" do not tell how many operations they take`,
      );
    }
    const subjects = await subjectsOf(model, this.#subjects);
    const { detector = place === "demo-t2i" ? DEMO_DETECTOR : undefined, colors } = {
      ...this.#plan,
      ...this.#model,
    };
    const network = this.#model.network ?? this.#plan.network ?? judgeOfModel(place);
    const reference = this.#model.reference ?? this.#plan.reference;
    if (reference !== undefined && network === undefined) {
      throw new TypeError(
        `Cannot sweep as the reference ${reference} is of no network: the plan must name it`,
      );
    }
    const asked = this.#model.detector ?? this.#plan.detector ?? colors;
    if (asked !== undefined && subjects.some(({ caption }) => caption === undefined)) {
      throw new TypeError(
        `Cannot sweep as ${asked} is to judge captions and subjects are none: give GenEval's metadata as their file`,
      );
    }
    const judge = owned.use(
      await openJudge(model, {
        ...(network === undefined ? {} : { network }),
        cpuProvider: model.provider === "webgpu" ? await resolveCpuProvider("auto") : model.provider,
        ...(detector === undefined ? {} : { detector }),
        ...(colors === undefined ? {} : { colors }),
        ...{ subjects, signal },
      }),
    );
    // What cannot be compared with is refused before anything is painted.
    await openRealRows({ ...(judge.network && { network: judge.network }), ...(reference && { reference }) });
    const networks = owned.use(new RowNetworks(model));
    const labels = subjects.map(({ label }) => label);
    const textFeatures = await featuresOf(model, resolveRequest(model, { labels, signal }));
    const kept = owned.move();
    return {
      ...{ model, judge, networks, subjects, textFeatures },
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    };
  }

  /** Writes down who paints, or checks that it is who has painted before. */
  async #noteModel(
    { model, judge, subjects }: OpenedModel,
    { models }: SweepRecords,
  ): Promise<void> {
    const { name } = this.#model;
    const groups: string[] = [];
    for (const { number, group } of subjects) groups[number] = group;
    const record: ModelRecord = {
      kind: "model",
      name,
      identity: {
        provider: model.provider,
        weights: model.dtype,
        ...Object.fromEntries(
          Object.entries(model.fingerprints).map(([file, sum]) => [`SHA-256 of ${file}`, sum]),
        ),
        ...judge.identity,
      },
      facts: {
        family: model.family,
        size: `${model.size}`,
        weights: model.dtype,
        device: model.device.name,
        provider: model.provider,
        scales: model.patchNumbers.join(", "),
        subjects: `${subjects.length}`,
      },
      groups: Array.from(groups, (group) => group ?? ""),
      subjects: await checksumOf(subjects),
      ...(judge.network && { network: judge.network }),
    };
    const before = models.get(name);
    if (before === undefined) await this.#file.append(record);
    else requireSame(this.#options.folder, before, record);
  }

  /** Finds out what each row consists of, and what it still has to paint here. */
  async #prepare(
    { model, networks, subjects }: OpenedModel,
    rows: readonly PlannedRow[],
    before: SweepRecords,
  ): Promise<{ works: RowWork[]; missing: SweepEstimate["missing"] }> {
    const { signal, shard: { part, parts } } = this.#options;
    const works: RowWork[] = [];
    const missing: { row: string; reason: string }[] = [];
    const label = subjects[0]!.label;
    for (const row of rows) {
      signal?.throwIfAborted();
      const prepared = await prepareRow(model, row, { plan: this.#plan, networks, label, signal });
      const own = spread(subjects, row.limit);
      await this.#note(prepared, own.length * row.seeds.length * row.count, before);
      if ("missing" in prepared) {
        missing.push({ row: row.title, reason: prepared.missing });
        continue;
      }
      const units = own.flatMap((subject) => row.seeds.map((seed): Unit => ({ seed, subject })))
        .filter((_, i) => i % parts === part - 1)
        .filter(({ seed, subject }) => {
          return !before.pictures.has(unitKey({ row: row.id, seed, subject: subject.number }));
        });
      works.push({ ...prepared, units });
    }
    return { works, missing };
  }

  /** Writes down what became of a row, unless it is there already. */
  async #note(prepared: PreparedRow | MisfitRow, planned: number, { rows }: SweepRecords): Promise<void> {
    const { id } = prepared.row;
    const missing = "missing" in prepared ? prepared.missing : undefined;
    if (!saysMore({ planned, ...(missing === undefined ? {} : { missing }) }, rows.get(id))) return;
    if ("missing" in prepared) {
      await this.#file.append({ kind: "row", id, planned, missing: prepared.missing });
      return;
    }
    const hooks = prepared.hooks.map(({ name, settings = {} }) => ({ hook: name, ...settings }));
    await this.#file.append({ kind: "row", id, planned, hooks, plainFlops: prepared.plainFlops });
  }

  /** Paints and judges units of a row. */
  async #paint(
    { model, judge, textFeatures }: OpenedModel,
    { row, hooks, request }: PreparedRow,
    units: readonly Unit[],
  ): Promise<number> {
    const { signal } = this.#options;
    const { count } = row;
    const stride = this.#subjects.count ?? 1;
    // Where a hook couples the pictures of a batch, a batch is a unit.
    const coupled = hooks.some(({ coupled }) => coupled);
    const bySeed = [...Map.groupBy(units, ({ seed }) => seed).values()];
    let painted = 0;
    for (const together of coupled ? units.map((unit) => [unit]) : bySeed) {
      const { images, trace } = await generate(model, {
        ...request,
        labels: together.map(({ subject }) => subject.label),
        count,
        indices: together.flatMap(({ subject }) => {
          return Array.from({ length: count }, (_, i) => subject.number * stride + i);
        }),
        seed: together[0]!.seed,
        ...{ hooks, textFeatures },
        batch: coupled ? count : this.#batch,
        signal,
      });
      const { flops, transformerFlops, decoderFlops } = trace.cost;
      const each = {
        flops: (flops ?? (transformerFlops ?? NaN) + (decoderFlops ?? NaN)) / images.length,
        seconds: trace.total / 1000 / images.length,
      };
      for (const [u, unit] of together.entries()) {
        const own = images.slice(u * count, (u + 1) * count);
        await this.#keepExample(row, unit, own[0]!);
        // Unit by unit, as the last bits of what networks say depend on what they look at together.
        const judgement = await judge.judge(own, Array<Subject>(count).fill(unit.subject));
        await this.#record(row, unit, { model, judgement, images: own, each });
      }
      painted += images.length;
      this.#painted += images.length;
    }
    return painted;
  }

  /** Writes down what came of a unit: numbers first, as the line tells where they are. */
  async #record(
    row: PlannedRow,
    { seed, subject }: Unit,
    { model, judgement, images, each }: {
      readonly model: Model;
      readonly judgement: Judgement;
      readonly images: readonly GeneratedImage[];
      readonly each: { readonly flops: number; readonly seconds: number };
    },
  ): Promise<void> {
    const rows: Record<string, StoredRows> = {};
    for (const [output, said] of Object.entries(judgement.rows)) rows[output] = await this.#file.store(said);
    const { own } = judgement;
    const diversity = own === undefined || own.count < 2 ? undefined : meanDistance(own);
    const pictures = judgement.pictures.map((said, i): PictureRecord => {
      const branches = branchesOf(row, model, images[i]!);
      return { ...said, ...(branches.length > 0 && { branches }) };
    });
    await this.#file.append({
      ...{ kind: "pictures", row: row.id, seed, subject: subject.number, pictures },
      ...(diversity === undefined ? {} : { diversity }),
      ...each,
      ...(Object.keys(rows).length > 0 && { rows }),
    });
  }

  /** Keeps a picture of each of the plan's first subjects. */
  async #keepExample(
    { id }: PlannedRow,
    { seed, subject }: Unit,
    image: GeneratedImage,
  ): Promise<void> {
    const { folder } = this.#options;
    if (seed !== this.#examples.seed || !this.#examples.subjects.has(subject.number)) return;
    await Deno.mkdir(`${folder}/examples/${id}`, { recursive: true });
    await writeWhole(`${folder}/examples/${id}/${subject.number}.png`, image.png());
  }
}

/** Pictures of some rows that are to be painted. */
function countOf(works: readonly RowWork[]): number {
  return works.reduce((sum, { units, row }) => sum + units.length * row.count, 0);
}

/** Rows take turns in proportion to what they have to paint, so that all of them see the machine alike. */
function turnsOf(works: readonly RowWork[]): { row: RowWork; units: readonly Unit[] }[] {
  const turns = Math.ceil(Math.max(0, ...works.map(({ units }) => units.length)) / TURN);
  return Array.from({ length: turns }, (_, turn) => turn).flatMap((turn) =>
    works.map((row) => {
      const [from, to] = [turn, turn + 1].map((at) => Math.floor(at * row.units.length / turns));
      return { row, units: row.units.slice(from, to) };
    })
  ).filter(({ units }) => units.length > 0);
}

/** Numbers of the first subjects that all rows paint, and the seed that they have in common. */
function commonExamples(
  rows: readonly PlannedRow[],
  subjects: readonly Subject[],
  examples: number,
): { readonly subjects: ReadonlySet<number>; readonly seed: number | undefined } {
  const lists = rows.map(({ limit }) => new Set(spread(subjects, limit)));
  const common = subjects.filter((subject) => lists.every((list) => list.has(subject)));
  return {
    subjects: new Set(common.slice(0, examples).map(({ number }) => number)),
    seed: rows[0]?.seeds.find((seed) => rows.every(({ seeds }) => seeds.includes(seed))),
  };
}

/**
 * What VAR-Scaling kept candidates by for a picture, one for each scale on which it acted: its branch, or the
 * strategy where that is always the same.
 */
function branchesOf(
  { method, settings }: PlannedRow,
  { search }: Pick<Model, "search">,
  { decisions }: GeneratedImage,
): string[] {
  if (!partsOf(method).scaled) return [];
  const paper = (settings.scalingPreset ?? settings.preset) === "paper";
  const { strategy = (paper ? search.paper?.strategy : undefined) ?? search.strategy } = settings;
  return decisions.filter(({ hook }) => hook === "var-scaling").map(({ value }) => {
    if (strategy !== "var-scaling") return strategy as string;
    return (value as VarScalingDecision).low ? "low density" : "high density";
  });
}
