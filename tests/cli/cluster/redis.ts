/**
 * Redis in a process of its own, for tests of the queue: on a free port of this machine, with its files in a
 * temporary folder, and as it is set up where nothing may be lost.
 *
 * @module
 */

import { assert } from "@std/assert";
import { requireRedis } from "../../required.ts";

/** The program, which Debian calls so; Valkey's takes the same words. */
const PROGRAM = "redis-server";

/** Whether the program is there. */
export const hasRedis: boolean = await new Deno.Command(PROGRAM, {
  args: ["--version"],
  stdout: "null",
  stderr: "null",
}).output().then(({ success }) => success, () => false);

/** A server that can be killed and started again with what it has kept. */
export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  readonly #args: readonly string[];
  #process: Deno.ChildProcess;

  private constructor(port: number, folder: string, args: readonly string[]) {
    this.port = port;
    this.folder = folder;
    this.#args = args;
    this.#process = this.#spawn();
  }

  /** Starts one; `args` come last on its command line. */
  static async start(...args: string[]): Promise<RedisServer> {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    const server = new RedisServer(port, await Deno.makeTempDir({ prefix: "varscale-redis-" }), args);
    await server.#answering();
    return server;
  }

  /** Its address. */
  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`;
  }

  /** Kills it as a power failure would, and starts it again. */
  async restart(): Promise<void> {
    await this.#kill();
    this.#process = this.#spawn();
    await this.#answering();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kill();
    await Deno.remove(this.folder, { recursive: true });
  }

  async #kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
  }

  #spawn(): Deno.ChildProcess {
    const settings = ["--bind", "127.0.0.1", "--port", String(this.port), "--dir", this.folder, "--save", ""];
    return new Deno.Command(PROGRAM, {
      args: [...settings, "--appendonly", "yes", "--appendfsync", "always", ...this.#args],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  async #answering(): Promise<void> {
    const until = Date.now() + 10_000;
    for (;;) {
      try {
        using connection = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
        await connection.write(new TextEncoder().encode("PING\r\n"));
        const bytes = new Uint8Array(64);
        const length = await connection.read(bytes);
        // One that reads its file says LOADING, one with a password NOAUTH.
        if (length !== null && !new TextDecoder().decode(bytes.subarray(0, length)).includes("LOADING")) {
          return;
        }
      } catch { /* It is not there yet. */ }
      assert(Date.now() < until, "Redis does not answer");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/**
 * Registers a test that gets a server and an empty folder. Where there is no Redis it is ignored, unless
 * `--require-redis` says that it must be there.
 */
export function testWithRedis(
  name: string,
  test: (server: RedisServer, folder: string) => Promise<void>,
  args: readonly string[] = [],
): void {
  Deno.test({
    name,
    ignore: !hasRedis && !requireRedis,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await using server = await RedisServer.start(...args);
      const folder = await Deno.makeTempDir({ prefix: "varscale-queue-" });
      try {
        await test(server, folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}
