/**
 * The process that computes for a worker, so that the worker itself is always there for its queue: a model's
 * run stops every timer of its process. It loads the model of one run and makes the parts that it is asked
 * for. It ends with the worker, whose end of the pipe closes however the worker ends.
 *
 * @module
 */

import { Interruption, type Io, UsageError } from "../io.ts";
import { parse } from "../options/parse.ts";
import { SERIES_OPTIONS, type Shard } from "../options/series_options.ts";
import { plural } from "../output/words.ts";
import { FolderBusyError } from "../series/folder_lock.ts";
import { openPlace } from "../series/open_place.ts";
import type { SeriesPlace } from "../series/series_place.ts";
import { SeriesWork } from "../series/series_work.ts";
import {
  ANSWER_MARK,
  linesOf,
  type OpeningMessage,
  type ShardMessage,
  type ShardOutcome,
} from "./shard_messages.ts";

/** What a machine says of its device counts, whatever the run says. */
const OPTIONS = {
  ...SERIES_OPTIONS,
  device: { ...SERIES_OPTIONS.device, lastCounts: true },
  threads: { ...SERIES_OPTIONS.threads, lastCounts: true },
  cpuProvider: { ...SERIES_OPTIONS.cpuProvider, lastCounts: true },
};

/** Makes parts of one run, with its model loaded once. */
export class ShardMaker implements AsyncDisposable {
  readonly #opening: OpeningMessage;
  readonly #io: Io;
  #work: SeriesWork | undefined;

  /**
   * @param opening The run.
   * @param io What is told on the way, and what ends it.
   */
  constructor(opening: OpeningMessage, io: Io) {
    this.#opening = opening;
    this.#io = io;
  }

  /** Makes what is missing of a part; nothing is thrown, as whoever has asked is elsewhere. */
  async make({ shard }: ShardMessage): Promise<ShardOutcome> {
    try {
      return await this.#make({ shard });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (error instanceof FolderBusyError) return { kind: "busy", message };
      return { kind: error instanceof UsageError ? "refused" : "failed", message };
    }
  }

  async #make({ shard }: ShardMessage): Promise<ShardOutcome> {
    const { args, device } = this.#opening;
    const { options } = parse(OPTIONS, [...args, ...device]);
    const { output } = options;
    // What is said of the whole is the worker's matter.
    const values = { ...options, quiet: true };
    const open = () => openPlace(output!, shard, this.#io.signal);
    await using places = new AsyncDisposableStack();
    if (this.#work === undefined) {
      const { work, place } = await SeriesWork.open(values, open, this.#io);
      this.#work = work;
      places.use(place);
      return await this.#fill(place, shard);
    }
    return await this.#fill(places.use(await open()), shard);
  }

  async #fill(place: SeriesPlace, shard: Shard): Promise<ShardOutcome> {
    const { images, made, failures } = await this.#work!.make(place, shard);
    if (failures.length === 0) return { kind: "done", images, made };
    const message = `${plural(failures.length, "image")} of ${images} failed; ${failures.path} tells why`;
    return { kind: "failed", message };
  }

  /** Unloads the model. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work?.[Symbol.asyncDispose]();
  }
}

/** Answers until nobody asks any more. */
async function answer(lines: AsyncIterable<string>, io: Io): Promise<void> {
  let maker: ShardMaker | undefined;
  for await (const line of lines) {
    const message = JSON.parse(line);
    if (maker === undefined) {
      const opening = message as OpeningMessage;
      Deno.chdir(opening.folder);
      maker = new ShardMaker(opening, io);
      continue;
    }
    // Not awaited, so that the end of the lines is seen while a part is made.
    maker.make(message as ShardMessage).then((outcome) => {
      io.out(`${ANSWER_MARK}${JSON.stringify(outcome)}\n`);
    });
  }
}

if (import.meta.main) {
  const controller = new AbortController();
  // Ctrl-C reaches all processes of a terminal; what becomes of a part that is begun, the worker decides.
  Deno.addSignalListener("SIGINT", () => {});
  if (Deno.build.os !== "windows") {
    Deno.addSignalListener("SIGTERM", () => controller.abort(new Interruption("SIGTERM")));
  }
  const encoder = new TextEncoder();
  await answer(linesOf(Deno.stdin.readable), {
    out: (text) => void Deno.stdout.writeSync(encoder.encode(text)),
    err: (text) => void Deno.stderr.writeSync(encoder.encode(text)),
    terminal: false,
    signal: controller.signal,
  });
  // The worker is gone. The threads of the graph runtime would keep this process alive.
  Deno.exit(0);
}
