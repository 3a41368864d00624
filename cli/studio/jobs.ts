/**
 * The jobs of the studio: one queue for all tabs, carried out one after the other, told as they go on, and
 * kept for a while when they have ended. Who is told what is left to `sessions.ts`.
 *
 * @module
 */

import type { HostedEvent, HostedJob } from "../hosting/hosted_job.ts";
import { compareRuns, outcomesOf, type RunRecord } from "../generation/run_record.ts";
import { UsageError } from "../io.ts";
import { numberedName } from "../output/file_name.ts";
import { type ReadForm, readForm } from "./job_form.ts";
import type { Painter } from "./model_keeper.ts";
import type { PictureStore } from "./picture_store.ts";
import type { HistoryEntry, JobEnd, JobEvent, JobForm, LaneFacts } from "./protocol.ts";

/** Jobs that wait at the most. */
export const MOST_WAITING = 32;
/** Ended jobs that are kept at the most, and bytes of their pictures together. */
const KEPT = 100;
const KEPT_BYTES = 2 ** 28;

/** Whom jobs tell. */
export interface Listener {
  /** What happens to a job, for the tab that it is of. */
  onEvent(session: string, event: JobEvent): void;
  /** That a job has ended and is kept, for all. */
  onEnded(entry: HistoryEntry): void;
  /** That a job is not kept any longer, for all. */
  onForgotten(job: string): void;
}

/** One job. */
interface Job {
  readonly id: string;
  readonly session: string;
  readonly read: ReadForm;
  /** The records that it should come to, where it repeats another one. */
  readonly expected: readonly RunRecord[] | undefined;
  readonly events: JobEvent[];
  readonly records: RunRecord[];
  readonly files: { readonly name: string; readonly href: string }[];
  readonly controller: AbortController;
  state: "waiting" | "running" | JobEnd;
  ahead: number;
  at: number;
}

/** An event without the job that it is of. */
type Told<Event> = Event extends { readonly job: string } ? Omit<Event, "job"> : never;

/** The jobs of all tabs. */
export class Jobs {
  readonly #painter: () => Promise<Painter>;
  readonly #pictures: PictureStore;
  readonly #listener: Listener;
  readonly #jobs = new Map<string, Job>();
  readonly #waiting: Job[] = [];
  #working: Promise<void> | undefined;
  #last = 0;

  /**
   * @param painter Gives the model, which may not be there yet.
   * @param pictures Where pictures are kept.
   * @param listener Whom to tell.
   */
  constructor(painter: () => Promise<Painter>, pictures: PictureStore, listener: Listener) {
    this.#painter = painter;
    this.#pictures = pictures;
    this.#listener = listener;
  }

  /**
   * Takes a job, or one that repeats another one, and returns its name.
   *
   * @throws {UsageError} If the form is wrong, what is repeated or edited is not there, or too many wait.
   */
  submit(session: string, given: { readonly form: unknown } | { readonly repeats: unknown }): string {
    const before = "repeats" in given ? this.#require(given.repeats) : undefined;
    const read = before?.read ?? readForm((given as { form: unknown }).form);
    const { edit } = read.form;
    for (const href of edit === undefined ? [] : [edit.picture, edit.mask]) {
      if (this.#pictures.get(href) === undefined) {
        throw new UsageError("What is to be edited is not kept any longer: choose it again");
      }
    }
    if (this.#waiting.length >= MOST_WAITING) {
      throw new UsageError(`At most ${MOST_WAITING} jobs may wait: abort one, or wait`);
    }
    const job: Job = {
      id: `${++this.#last}`,
      session,
      read,
      expected: before?.state === "done" ? before.records : undefined,
      events: [],
      records: [],
      files: [],
      controller: new AbortController(),
      state: "waiting",
      ahead: -1,
      at: Date.now(),
    };
    this.#jobs.set(job.id, job);
    this.#waiting.push(job);
    this.#tell(job, {
      type: "queued",
      title: read.title,
      form: read.form,
      parts: read.parts.map(({ name }) => name),
      ...(before === undefined ? {} : { repeats: before.id }),
    });
    this.#working ??= this.#work();
    this.#count();
    return job.id;
  }

  /** Ends a job that waits or runs, at once for who watches; whether there was one. */
  abort(id: string): boolean {
    const job = this.#jobs.get(id);
    if (job === undefined || !["waiting", "running"].includes(job.state)) return false;
    this.#end(job, "aborted");
    job.controller.abort();
    const place = this.#waiting.indexOf(job);
    if (place >= 0) this.#waiting.splice(place, 1);
    this.#count();
    return true;
  }

  /** Forgets a job that has ended; whether there was one. */
  forget(id: string): boolean {
    const job = this.#jobs.get(id);
    if (job === undefined || ["waiting", "running"].includes(job.state)) return false;
    this.#jobs.delete(id);
    this.#pictures.forget(id);
    this.#listener.onForgotten(id);
    return true;
  }

  /** What has happened to a job so far. */
  eventsOf(id: string): readonly JobEvent[] | undefined {
    return this.#jobs.get(id)?.events;
  }

  /** The record of one part of a job, once it is finished. */
  recordOf(id: string, part: number): RunRecord | undefined {
    return this.#jobs.get(id)?.records[part];
  }

  /** What a tab must know to go on: its jobs that have not ended, and the latest that has, by events. */
  eventsFor(session: string): JobEvent[] {
    const own = [...this.#jobs.values()].filter((job) => job.session === session);
    const ended = own.filter(({ state }) => state !== "waiting" && state !== "running");
    return own.filter((job) => !ended.includes(job) || job === ended.at(-1)).flatMap(({ events }) => events);
  }

  /** Whether a tab has jobs that have not ended. */
  isBusy(session: string): boolean {
    return [...this.#jobs.values()].some((job) => {
      return job.session === session && (job.state === "waiting" || job.state === "running");
    });
  }

  /** Ended jobs, the latest last. */
  history(): HistoryEntry[] {
    return [...this.#jobs.values()]
      .filter(({ state }) => state !== "waiting" && state !== "running")
      .sort((a, b) => a.at - b.at)
      .map(entryOf);
  }

  /** Ends all jobs, and waits until the model is let go of. */
  async stop(): Promise<void> {
    for (const id of this.#jobs.keys()) this.abort(id);
    await this.#working;
  }

  #require(id: unknown): Job {
    const job = typeof id === "string" ? this.#jobs.get(id) : undefined;
    if (job === undefined) throw new UsageError("What is to be repeated is not kept any longer");
    return job;
  }

  async #work(): Promise<void> {
    for (let job = this.#waiting[0]; job !== undefined; job = this.#waiting[0]) {
      try {
        const painter = await this.#untilAborted(job, this.#painter());
        if (painter !== undefined && job.state === "waiting") {
          this.#waiting.shift();
          job.state = "running";
          this.#tell(job, { type: "started" });
          this.#count();
          await this.#paint(job, painter);
        }
      } catch (error) {
        if (this.#waiting[0] === job) this.#waiting.shift();
        this.#end(job, "failed", { message: error instanceof Error ? error.message : String(error) });
        this.#count();
      }
    }
    this.#working = undefined;
  }

  /** The model, unless the job is aborted before it is there. */
  #untilAborted(job: Job, painter: Promise<Painter>): Promise<Painter | undefined> {
    const { signal } = job.controller;
    if (signal.aborted) return Promise.resolve(undefined);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
    return Promise.race([painter, promise]);
  }

  async #paint(job: Job, painter: Painter): Promise<void> {
    const { signal } = job.controller;
    for (const [part, { options }] of job.read.parts.entries()) {
      // Lanes are looked at where there are several: of a single one, previews show the same.
      const tree = (options.method ?? []).some((name) => name !== "var-scaling");
      const asked = { ...this.#asked(job.read.form), options, tree };
      try {
        for await (const event of painter.generate(asked, { signal })) {
          if (signal.aborted) continue;
          this.#translate(job, part, event);
        }
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      if (signal.aborted) return;
    }
    const { expected, records } = job;
    if (expected === undefined) return this.#end(job, "done");
    const agreements = await Promise.all(records.map(async ({ images }, part) => {
      return compareRuns(await outcomesOf(expected[part]?.images ?? []), await outcomesOf(images));
    }));
    const sum = (name: "images" | "sameTokens"): number => agreements.reduce((sum, it) => sum + it[name], 0);
    this.#end(job, "done", { agreement: { images: sum("images"), same: sum("sameTokens") } });
  }

  /** What the model is asked for, options apart. */
  #asked({ labels, edit }: JobForm): Omit<HostedJob, "options"> {
    return {
      labels: labels.map((label) => label === "null" ? null : label),
      candidates: true,
      recipes: true,
      ...(edit === undefined ? {} : {
        edit: {
          image: this.#pictures.get(edit.picture)!,
          mask: this.#pictures.get(edit.mask)!,
          mode: edit.mode,
        },
      }),
    };
  }

  /** Tells what a model has told. */
  #translate(job: Job, part: number, event: HostedEvent): void {
    const keep = (png: Uint8Array<ArrayBuffer>): string => this.#pictures.put(job.id, png);
    switch (event.type) {
      case "batch": {
        const { batch, batches } = event;
        return this.#tell(job, { type: "batch", part, batch, batches });
      }
      case "scale": {
        const { batch, scale, scales, width, height, lanes } = event;
        return this.#tell(job, { type: "scale", part, batch, scale, scales, width, height, lanes });
      }
      case "preview": {
        const { scale, images } = event;
        const pictures = images.map(({ png, place, lane, width, height }) => {
          return { place, lane, width, height, href: keep(png) };
        });
        return this.#tell(job, { type: "preview", part, scale, pictures });
      }
      case "begun":
        return this.#tell(job, { type: "begun", part, notes: event.notes });
      case "candidates": {
        const { place, lane, scale, points, densities, kept, chosen, threshold, decision } = event;
        return this.#tell(job, {
          ...{ type: "candidates", part, place, lane, scale, chosen, threshold, decision, kept: [...kept] },
          // Four digits are more than a plot shows.
          points: Array.from(points, short),
          densities: Array.from(densities, short),
        });
      }
      case "tree": {
        const { place, branches } = event;
        const lanes = branches.map(({ pictures, attempt, from, dropped, decisions }): LaneFacts => ({
          ...{ attempt, decisions, ...(from && { from }), ...(dropped && { dropped }) },
          pictures: pictures.map(({ png, ...facts }) => ({ ...facts, href: keep(png) })),
        }));
        return this.#tell(job, { type: "tree", part, place, lanes });
      }
      case "image": {
        const { place, lane, width, height, caption, png, attempt, attempts, decisions } = event;
        const href = keep(png);
        const count = job.read.parts.length > 1 ? `_${job.read.parts[part]!.name}` : "";
        const name = `${numberedName(place, 1, event.label.name)}${count}_job-${job.id}.png`;
        job.files.push({ name, href });
        return this.#tell(job, {
          ...{ type: "image", part, caption, attempt, attempts: attempts.length, decisions },
          picture: { place, lane, width, height, href },
        });
      }
      case "done": {
        job.records[part] = event.record;
        const record = `/jobs/${job.id}/run-${part}.json`;
        const suffix = job.read.parts.length > 1 ? `-${job.read.parts[part]!.name}` : "";
        job.files.push({ name: `run${suffix}_job-${job.id}.json`, href: record });
        // What --repeat looks for beside the record of an edit.
        for (const [name, png] of part === 0 ? Object.entries(event.files) : []) {
          job.files.push({ name, href: keep(png) });
        }
        const { total, batches, cost } = event.trace;
        const scales = batches[0]?.scales.map((_, scale) => {
          return batches.reduce((sum, batch) => sum + (batch.scales[scale] ?? 0), 0);
        }) ?? [];
        const decode = batches.reduce((sum, batch) => sum + batch.decode, 0);
        const counts = Object.entries(cost).filter(([, value]) => typeof value === "number");
        return this.#tell(job, {
          ...{ type: "finished", part, record, total, scales, decode },
          cost: Object.fromEntries(counts) as Record<string, number>,
        });
      }
    }
  }

  #tell(job: Job, told: Told<JobEvent>): void {
    const event = { ...told, job: job.id } as JobEvent;
    job.events.push(event);
    this.#listener.onEvent(job.session, event);
  }

  /** Tells those that wait how many are before them, where that has changed. */
  #count(): void {
    const running = [...this.#jobs.values()].some(({ state }) => state === "running") ? 1 : 0;
    for (const [place, job] of this.#waiting.entries()) {
      const ahead = running + place;
      if (job.ahead === ahead) continue;
      job.ahead = ahead;
      this.#tell(job, { type: "waiting", ahead });
    }
  }

  #end(
    job: Job,
    state: JobEnd,
    facts: { message?: string; agreement?: { images: number; same: number } } = {},
  ) {
    if (job.state !== "waiting" && job.state !== "running") return;
    job.state = state;
    job.at = Date.now();
    this.#tell(job, { type: "ended", state, ...facts });
    this.#listener.onEnded(entryOf(job));
    this.#makeRoom();
  }

  #makeRoom(): void {
    const ended = this.history();
    let bytes = ended.reduce((sum, { job }) => sum + this.#pictures.bytesOf(job), 0);
    let count = ended.length;
    // The latest stays, however large it is.
    for (const { job } of ended.slice(0, -1)) {
      if (count <= KEPT && bytes <= KEPT_BYTES) return;
      bytes -= this.#pictures.bytesOf(job);
      count--;
      this.forget(job);
    }
  }
}

function entryOf({ id, read, state, at, files }: Job): HistoryEntry {
  const picture = files.find(({ name }) => name.endsWith(".png"))?.href;
  return {
    ...{ job: id, title: read.title, form: read.form, state: state as JobEnd, at, files: [...files] },
    ...(picture === undefined ? {} : { picture }),
  };
}

/** A number with as many digits as a plot shows. */
function short(value: number): number {
  return Number(value.toPrecision(5));
}
