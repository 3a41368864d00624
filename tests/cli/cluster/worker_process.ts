/**
 * Workers in processes of their own, for tests that kill them.
 *
 * @module
 */

import { linesOf } from "../../../cli/cluster/shard_messages.ts";
import { QUEUE_VARIABLE } from "../../../cli/options/queue_options.ts";
import { ROOT } from "../run.ts";

/** A worker, and what it says. */
export class WorkerProcess implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #lines: string[] = [];
  readonly #read: Promise<void>;

  /**
   * @param queue Address of its queue.
   * @param args Options beyond that.
   */
  constructor(queue: string, args: readonly string[]) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", `${ROOT}cli/main.ts`, "worker", ...args],
      env: { NO_COLOR: "1", [QUEUE_VARIABLE]: queue },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#read = this.#listen();
  }

  /** What it has said up to now. */
  get text(): string {
    return this.#lines.join("\n");
  }

  /** The latest process that computes for it. */
  get computing(): number | undefined {
    const [, pid] = [...this.text.matchAll(/process (\d+) computes/g)].at(-1) ?? [];
    return pid === undefined ? undefined : Number(pid);
  }

  /** Waits for its end, two minutes at most; the result is its code. */
  async ended(): Promise<number> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`The worker does not end; it has said:\n${this.text}`)),
        120_000,
      );
    });
    try {
      const { code } = await Promise.race([this.#process.status, late]);
      await this.#read;
      return code;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends it a signal. */
  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.kill("SIGKILL");
    } catch { /* It has ended. */ }
    await this.#process.status;
  }

  async #listen(): Promise<void> {
    for await (const line of linesOf(this.#process.stderr)) this.#lines.push(line);
  }
}
