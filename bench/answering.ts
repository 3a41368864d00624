/**
 * Processes that are asked by lines of JSON and answer by lines of JSON, so that several can be measured in
 * turns. What is asked is left to whoever measures.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

async function* lines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string, void, void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
}

/** A process that answers lines of JSON. */
export class Answering implements AsyncDisposable {
  readonly #name: string;
  readonly #child: Deno.ChildProcess;
  readonly #requests: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #answers: AsyncGenerator<string, void, void>;
  readonly #complaints: Promise<string[]>;
  /** The most memory it has told of. */
  peak: number | null = null;

  /**
   * Starts it.
   *
   * @param name What messages call it.
   */
  constructor(name: string, program: string, args: readonly string[], env: Record<string, string> = {}) {
    this.#name = name;
    this.#child = new Deno.Command(program, {
      args: [...args],
      env: { NO_COLOR: "1", ...env },
      ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    }).spawn();
    this.#requests = this.#child.stdin.getWriter();
    this.#answers = lines(this.#child.stdout);
    this.#complaints = Array.fromAsync(lines(this.#child.stderr));
  }

  /** The next answer. */
  async answer<Answer>(): Promise<Answer> {
    for (;;) {
      const { value, done } = await this.#answers.next();
      if (done) throw new Error(`${this.#name} ended: ${await this.#reason()}`);
      // Libraries may have something to say, too.
      if (!value.startsWith("{")) continue;
      const answer = JSON.parse(value) as Answer & { readonly peak?: number | null };
      this.peak = answer.peak ?? null;
      return answer;
    }
  }

  /** Sends a request and waits for its answer. */
  async ask<Answer>(request: object): Promise<Answer> {
    // If the process has ended, the answer that does not come tells why.
    await this.#requests.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`)).catch(() => {});
    return await this.answer<Answer>();
  }

  async #reason(): Promise<string> {
    const complaints = await this.#complaints;
    const { code, signal } = await this.#child.status;
    // Whom the system has ended had no time to tell why.
    if (signal !== null) return signal;
    // Deno begins with the error, Python ends with it.
    const line = complaints.find((line) => line.startsWith("error: ")) ?? complaints.findLast(Boolean);
    return line?.replace(/^error: (Uncaught )?(\(in promise\) )?/, "") ?? `code ${code}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#requests.close().catch(() => {});
    await this.#answers.return();
    await this.#complaints;
    await this.#child.status;
  }
}

/**
 * Starts a program of this folder as its own worker, which reads what it is to do from its arguments.
 *
 * @param name What messages call it.
 * @param module The program's `import.meta.url`.
 * @param settings What it is to do.
 */
export function workerOf(name: string, module: string, settings: object): Answering {
  const args = ["run", "-A", "--no-lock", fileURLToPath(module), "--worker", JSON.stringify(settings)];
  return new Answering(name, Deno.execPath(), args);
}
