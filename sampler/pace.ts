/**
 * How fast a long piece of work goes and when it will be done, from its last stretch alone: what happened
 * long ago (shaders were compiled, the machine was busy) is forgotten.
 *
 * @module
 */

/** Marks that are remembered. */
const WINDOW = 32;

/** Throughput over the last marks. */
export class Pace {
  readonly #total: number;
  readonly #now: () => number;
  readonly #marks: { readonly time: number; readonly done: number }[];

  /**
   * Starts the clock.
   *
   * @param total Items in all.
   * @param options What is done already, and another clock in milliseconds than `performance.now`.
   *
   * @example
   * ```ts
   * import { Pace } from "./pace.ts";
   * import { assertEquals } from "@std/assert";
   *
   * let time = 0;
   * const pace = new Pace(100, { done: 20, now: () => time });
   * time = 2000;
   * pace.mark(30);
   * assertEquals([pace.perSecond, pace.secondsLeft], [5, 14]);
   * ```
   */
  constructor(total: number, options: { done?: number; now?: () => number } = {}) {
    const { done = 0, now = () => performance.now() } = options;
    this.#total = total;
    this.#now = now;
    this.#marks = [{ time: now(), done }];
  }

  /** So many are done by now, those at the start included. */
  mark(done: number): void {
    this.#marks.push({ time: this.#now(), done });
    if (this.#marks.length > WINDOW + 1) this.#marks.shift();
  }

  /** Items per second over the last marks; 0 before the first one. */
  get perSecond(): number {
    const first = this.#marks[0]!;
    const last = this.#marks.at(-1)!;
    return last.time > first.time ? 1000 * (last.done - first.done) / (last.time - first.time) : 0;
  }

  /** Seconds until all are done at this pace; infinite before the first mark. */
  get secondsLeft(): number {
    const left = this.#total - this.#marks.at(-1)!.done;
    return left === 0 ? 0 : left / this.perSecond;
  }
}
