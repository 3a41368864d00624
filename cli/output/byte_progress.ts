/**
 * What a command shows while it moves many bytes: on a terminal one line that is drawn again and again,
 * otherwise a line now and then.
 *
 * @module
 */

import { Pace } from "../../mod.ts";
import { type Io, say } from "../io.ts";
import { StatusLine } from "./status_line.ts";
import { duration, size } from "./units.ts";

/** Milliseconds between two drawings of the line; the pace is that of the last 32. */
const FRAME = 250;
/** Milliseconds before the first line, and between two lines, where there is no terminal. */
const INTERVAL = 10_000;

/** Tells a person how far a command has come with its bytes. */
export class ByteProgress implements Disposable {
  readonly #io: Io;
  readonly #line: StatusLine;
  readonly #what: string;
  readonly #now: () => number;
  #pace: Pace | undefined;
  #told: number;
  #marked: number;

  /**
   * @param io Where to write.
   * @param options What is done to the bytes, "converting" for example, and another clock than
   * `performance.now`.
   */
  constructor(io: Io, options: { what: string; now?: () => number }) {
    const { what, now = () => performance.now() } = options;
    this.#io = io;
    this.#line = new StatusLine(io);
    this.#what = what;
    this.#now = now;
    this.#told = this.#marked = now();
  }

  /** So many bytes are done. */
  show(done: number, total: number): void {
    this.#pace ??= new Pace(total, { done, now: this.#now });
    // Pieces differ in size and come in bursts: a mark for each would make the pace jump.
    if (this.#now() < this.#marked + FRAME) return;
    this.#marked = this.#now();
    this.#pace.mark(done);
    if (!this.#io.terminal && this.#now() < this.#told + INTERVAL) return;
    this.#told = this.#now();
    const { perSecond, secondsLeft } = this.#pace;
    const facts = [
      `${this.#what} ${size(done)} of ${size(total)}`,
      ...(perSecond === 0 ? [] : [`${size(perSecond)}/s`, `${duration(1000 * secondsLeft)} left`]),
    ].join(", ");
    if (this.#io.terminal) this.#line.draw(facts);
    else say(this.#io, facts);
  }

  /** Takes the line away. */
  [Symbol.dispose](): void {
    this.#line.clear();
  }
}
