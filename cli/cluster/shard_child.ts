/**
 * The worker's end of the process that computes for it: started for a run, asked for its parts, and ended in
 * an orderly way or by force.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { QUEUE_VARIABLE } from "../options/queue_options.ts";
import type { Shard } from "../options/series_options.ts";
import { ANSWER_MARK, linesOf, type OpeningMessage, type ShardOutcome } from "./shard_messages.ts";

/** Milliseconds between a friendly request to end and the end. */
const FRIENDLY = 2000;

/** A process that makes parts of one run. */
export class ShardChild implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #encoder = new TextEncoder();
  #waiting: PromiseWithResolvers<ShardOutcome> | undefined;
  #ended = false;
  #closing = false;

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#input = process.stdin.getWriter();
  }

  /**
   * Starts it.
   *
   * @param opening The run.
   * @param print Where it goes what hooks of the run print.
   */
  static start(opening: OpeningMessage, print: (line: string) => void): ShardChild {
    const program = new URL("./shard_process.ts", import.meta.url);
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", program.protocol === "file:" ? fileURLToPath(program) : program.href],
      // It has no business with the queue, whose password may be there.
      env: { [QUEUE_VARIABLE]: "" },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    });
    const child = new ShardChild(command.spawn());
    child.#listen(print);
    child.#send(opening);
    return child;
  }

  /** Whether it can be asked for something. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Number of its process. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Has a part made; the loss of the process is an outcome, too. */
  make(shard: Shard): Promise<ShardOutcome> {
    this.#waiting = Promise.withResolvers();
    if (this.#ended) this.#waiting.resolve(lost("it had ended before"));
    else this.#send({ shard });
    return this.#waiting.promise;
  }

  /** Ends it: it may finish the batch that it is at if that takes no longer than a moment. */
  async end(): Promise<void> {
    this.#closing = true;
    this.#kill("SIGTERM");
    const timer = setTimeout(() => this.#kill("SIGKILL"), FRIENDLY);
    // An idle one ends as nobody asks any more.
    await this.#input.close().catch(() => {});
    await this.#process.status;
    clearTimeout(timer);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  #kill(signal: Deno.Signal): void {
    try {
      this.#process.kill(signal);
    } catch { /* It has ended by itself. */ }
  }

  #send(message: unknown): void {
    // That it is gone, its end tells.
    this.#input.write(this.#encoder.encode(`${JSON.stringify(message)}\n`)).catch(() => {});
  }

  async #listen(print: (line: string) => void): Promise<void> {
    for await (const line of linesOf(this.#process.stdout)) {
      if (line.startsWith(ANSWER_MARK)) this.#waiting?.resolve(JSON.parse(line.slice(ANSWER_MARK.length)));
      else print(line);
    }
    const { code, signal } = await this.#process.status;
    this.#ended = true;
    const end = signal === null ? `with code ${code}` : `by ${signal}`;
    this.#waiting?.resolve(lost(this.#closing ? "it was ended" : `it ended ${end}`));
  }
}

function lost(why: string): ShardOutcome {
  return { kind: "failed", message: `The process that computes is gone: ${why}` };
}
