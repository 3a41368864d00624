/**
 * What a long command shows on the way: on a terminal one line that is drawn again and again, otherwise a
 * short line now and then.
 *
 * @module
 */

import { Pace } from "../../mod.ts";
import { type Io, say } from "../io.ts";
import { StatusLine } from "./status_line.ts";
import { duration } from "./units.ts";
import { plural } from "./words.ts";

/** Milliseconds between two lines where there is no terminal. */
const INTERVAL = 10_000;

/** Tells a person how far a command has come with its images, or with something else that it counts. */
export class Progress {
  readonly #io: Io;
  readonly #quiet: boolean;
  readonly #total: number;
  readonly #noun: string;
  readonly #now: () => number;
  readonly #begun: number;
  readonly #pace: Pace;
  readonly #line: StatusLine;
  #done: number;
  #failed = 0;
  #told = -Infinity;

  /**
   * @param io Where to write.
   * @param options How many images there will be, how many of them were there before, whether to say nothing
   * at all, what is counted instead of images, and another clock than `performance.now`.
   */
  constructor(
    io: Io,
    options: { total: number; done?: number; quiet: boolean; noun?: string; now?: () => number },
  ) {
    const { total, done = 0, quiet, noun = "image", now = () => performance.now() } = options;
    this.#noun = noun;
    this.#io = io;
    this.#line = new StatusLine(io);
    this.#quiet = quiet;
    this.#total = total;
    this.#done = done;
    this.#now = now;
    this.#begun = now();
    this.#pace = new Pace(total, { done, now });
  }

  /** Images that are done, those before included. */
  get done(): number {
    return this.#done;
  }

  /** An image is done. */
  image(): void {
    this.#done++;
  }

  /** An image could not be made. */
  failure(): void {
    this.#failed++;
  }

  /** Draws the line again. */
  draw(place: string): void {
    if (this.#quiet || !this.#io.terminal) return;
    const facts = [place, `${this.#noun}s ${this.#done}/${this.#total}`, ...this.#facts()];
    this.#line.draw(facts.filter((fact) => fact !== "").join("  "));
  }

  /** A batch is done. */
  batch(): void {
    this.#pace.mark(this.#done + this.#failed);
    if (this.#quiet || this.#io.terminal || this.#now() < this.#told + INTERVAL) return;
    this.#told = this.#now();
    const facts = [`${this.#done} of ${plural(this.#total, this.#noun)}`, ...this.#facts()];
    say(this.#io, facts.join(", "));
  }

  /** Takes the line away. */
  clear(): void {
    this.#line.clear();
  }

  #facts(): string[] {
    const { perSecond, secondsLeft } = this.#pace;
    return [
      ...(this.#failed === 0 ? [] : [`${this.#failed} failed`]),
      duration(this.#now() - this.#begun),
      ...(perSecond === 0 ? [] : [
        perSecond < 1
          ? `${duration(1000 / perSecond)} per ${this.#noun}`
          : `${perSecond.toFixed(1)} ${this.#noun}s/s`,
        `${duration(1000 * secondsLeft)} left`,
      ]),
    ];
  }
}
