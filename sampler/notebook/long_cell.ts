/**
 * Cells of a notebook that take their time: what is being done shows in the cell while it is done, and can be
 * stopped there. The work itself is left to whoever writes the cell.
 *
 * @module
 */

import { requireFunction, requireNumber, requireOptions } from "../../kernels/arguments.ts";
import { escaped } from "./output.ts";

/** What the work of a long cell has at hand. */
export interface LongCell {
  /**
   * Aborted by Jupyter's interrupt button, after {@linkcode LongCellOptions.seconds}, and by a signal of
   * one's own: for the `signal` of everything here that takes one.
   */
  readonly signal: AbortSignal;
  /**
   * Shows how much is done, in place of what was shown before; fits the `onProgress` of analyses. What comes
   * in quick succession is drawn ten times a second.
   */
  readonly progress: (done: number, total: number) => void;
  /** Shows a picture, a plot or whatever else a notebook can, in place of what was shown before. */
  readonly show: (shown: unknown) => Promise<void>;
}

/** When a long cell ends by itself. */
export interface LongCellOptions {
  /** Seconds after which the work is stopped. Default: never. */
  readonly seconds?: number;
  /** Stops the work, beside the button. */
  readonly signal?: AbortSignal | undefined;
}

/** The part of Deno's interface to notebooks that is used. */
interface Frontend {
  broadcast(type: string, content: Readonly<Record<string, unknown>>): Promise<void>;
  format(shown: unknown): Promise<Readonly<Record<string, unknown>>>;
}

const ACTION = "work in a long cell";
/** Timers count milliseconds in 31 bits. */
const MAX_SECONDS = 2_000_000;
/** Milliseconds between two drawings of how much is done. */
const PAUSE = 100;
/** Squares of a bar of text. */
const SQUARES = 20;

/**
 * Does work that shows itself in a notebook's cell while it goes on, and that the notebook's interrupt button
 * stops.
 *
 * By itself that button ends Deno's kernel, and with it every model and variable of the notebook; while a
 * long cell runs, it aborts the cell's signal instead. Painting and analyses heed theirs between two scales;
 * work that heeds no signal goes on to its end. Outside of a notebook nothing is shown, and Ctrl-C stays what
 * it is.
 *
 * @param work What is done. It is given the signal, and ways to show how far it is.
 * @param options When it ends by itself.
 * @returns What the work returns.
 * @throws {TypeError} If an option is unknown or of the wrong type, or the work is no function.
 * @throws {RangeError} If `seconds` is not a number from 0 to 2 000 000.
 * @throws What the work throws: once it is stopped, the reason of the signal, a `DOMException` named
 * `"AbortError"` after the button and `"TimeoutError"` after the seconds.
 *
 * @example
 * ```ts
 * import { generate, loadModel, longCell } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { images } = await longCell(
 *   ({ signal }) => generate(model, { labels: "red torus", signal }),
 *   { seconds: 600 },
 * );
 * assertEquals(images.length, 1);
 * ```
 */
export async function longCell<Result>(
  work: (cell: LongCell) => Result | Promise<Result>,
  options: LongCellOptions = {},
): Promise<Result> {
  requireFunction(work, "the work", ACTION);
  requireOptions(options, ["seconds", "signal"], ACTION);
  const { seconds, signal } = options;
  if (seconds !== undefined) requireNumber(seconds, "seconds", ACTION, { min: 0, max: MAX_SECONDS });
  signal?.throwIfAborted();
  using stop = new StopButton(seconds);
  const frontend = notebook();
  await using shown = new LiveOutput(frontend);
  return await work({
    signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
    progress: (done, total) => shown.progress(done, total),
    show: (value) => shown.show(value),
  });
}

/** What the button and the clock do as long as it lives. */
class StopButton implements Disposable {
  readonly #controller: AbortController = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #press: (() => void) | undefined;

  constructor(seconds: number | undefined) {
    if (seconds !== undefined) {
      this.#timer = setTimeout(() => this.#abort(`after ${seconds} s`, "TimeoutError"), seconds * 1000);
    }
    if (notebook() === undefined) return;
    const press = (): void => this.#abort("by the interrupt button", "AbortError");
    try {
      // With a listener the process no longer ends of it. Jupyter presses its button this way.
      Deno.addSignalListener("SIGINT", press);
      this.#press = press;
    } catch {
      // A system without it has another button, which nothing hears.
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    if (this.#press !== undefined) Deno.removeSignalListener("SIGINT", this.#press);
  }

  #abort(how: string, name: string): void {
    this.#controller.abort(new DOMException(`The cell was stopped ${how}`, name));
  }
}

/** One output of the running cell that is drawn again and again. */
class LiveOutput implements AsyncDisposable {
  readonly #frontend: Frontend | undefined;
  readonly #id: string = crypto.randomUUID();
  #drawn = false;
  #last = -Infinity;
  /** How much is done and was not drawn, as the drawing before was just now. */
  #waiting: readonly [done: number, total: number] | undefined;
  /** Drawings in their order. */
  #queue: Promise<void> = Promise.resolve();

  constructor(frontend: Frontend | undefined) {
    this.#frontend = frontend;
  }

  progress(done: number, total: number): void {
    const now = performance.now();
    this.#waiting = [done, total];
    if (now - this.#last < PAUSE) return;
    this.#last = now;
    this.#flush();
  }

  async show(value: unknown): Promise<void> {
    this.#waiting = undefined;
    const frontend = this.#frontend;
    if (frontend === undefined) return;
    const drawn = this.#queue.then(async () => await this.#draw(await frontend.format(value)));
    // Whoever waits hears of a failure; what is drawn afterwards does not.
    this.#queue = drawn.catch(() => {});
    await drawn;
  }

  /** However the work ended, what it came to is drawn. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#flush();
    await this.#queue;
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined || this.#frontend === undefined) return;
    const bundle = progressOutput(...waiting);
    this.#queue = this.#queue.then(() => this.#draw(bundle));
  }

  async #draw(data: Readonly<Record<string, unknown>>): Promise<void> {
    const type = this.#drawn ? "update_display_data" : "display_data";
    this.#drawn = true;
    await this.#frontend?.broadcast(type, { data, metadata: {}, transient: { display_id: this.#id } });
  }
}

/**
 * How much is done, as notebooks show it.
 *
 * @example
 * ```ts
 * import { progressOutput } from "./long_cell.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(progressOutput(3, 4)["text/plain"], "███████████████░░░░░ 3 of 4");
 * ```
 */
export function progressOutput(
  done: number,
  total: number,
): { readonly "text/html": string; readonly "text/plain": string } {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 1;
  const full = Math.floor(share * SQUARES);
  const words = `${done} of ${total}`;
  return {
    "text/html": `<progress value="${share}"></progress> ${escaped(words)}`,
    "text/plain": `${"█".repeat(full)}${"░".repeat(SQUARES - full)} ${words}`,
  };
}

/** Deno's interface to notebooks, where there is one: elsewhere asking for it throws. */
function notebook(): Frontend | undefined {
  try {
    return (Deno as { readonly jupyter?: Frontend }).jupyter;
  } catch {
    return undefined;
  }
}
