/**
 * The queue where it has to hold: many pictures by several workers, of which processes are killed at random,
 * with a restart of the queue's server in the middle, against one run; what workers cost beside one process
 * with as many threads; and how many jobs a second a server passes on to how many workers.
 *
 *     deno task bench:queue [--part=drill|overhead|coordination] [--workers=4] [--images=500] [--kills=20]
 *         [--seed=1] [--place=wasm] [--json]
 *
 * Redis is started here, on a free port and in a temporary folder. The drill fails if a picture is missing,
 * half-written or of other bytes, or was made again after it was there.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { Queue, Worker } from "npm:bullmq@6.7.0";
import { Redis } from "npm:ioredis@6.0.0";
import { requireInteger } from "../kernels/arguments.ts";

/** Shards for each worker: enough to keep all of them busy to the end. */
const SHARDS_EACH = 8;
/** Rounds of a comparison, in turns. */
const ROUNDS = 3;
/** Jobs for each number of workers. */
const JOBS = 10_000;
/** Numbers of simulated workers. */
const CROWDS = [1, 10, 50, 200];

/** How the drill is carried out. */
interface DrillOptions {
  /** The program. */
  readonly program: string;
  readonly workers: number;
  readonly images: number;
  readonly kills: number;
  readonly seed: number;
  /** Who computes. */
  readonly place: string;
}

/** A server of a queue, for as long as it is measured. */
class Server implements AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  #process: Deno.ChildProcess;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.folder = folder;
    this.#process = this.#spawn();
  }

  static async start(): Promise<Server> {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    const server = new Server(port, await Deno.makeTempDir({ prefix: "varscale-queue-" }));
    await server.#answering();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`;
  }

  /** Kills it, and starts it with what its append-only file has. */
  async restart(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    this.#process = this.#spawn();
    await this.#answering();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    await Deno.remove(this.folder, { recursive: true });
  }

  #spawn(): Deno.ChildProcess {
    return new Deno.Command("redis-server", {
      args: ["--bind", "127.0.0.1", "--port", `${this.port}`, "--dir", this.folder, "--save", ""]
        .concat("--appendonly", "yes", "--appendfsync", "everysec"),
      stdout: "null",
    }).spawn();
  }

  async #answering(): Promise<void> {
    const client = new Redis(this.port, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
    client.on("error", () => {});
    await client.ping();
    client.disconnect();
  }
}

/** What a command took: seconds on the clock, and of the processor with all that it has started. */
interface Cost {
  readonly wall: number;
  readonly processor: number;
}

/** Options of the run, the threads and the place of output apart. */
function series({ images, place }: DrillOptions): string[] {
  const classes = 10;
  return [
    ...["--model", "demo", "--device", "cpu", "--cpu-provider", place, "--classes", `0-${classes - 1}`],
    ...["-n", String(Math.ceil(images / classes)), "--no-scaling", "--batch", "4"],
  ];
}

/** Starts the program, with bash's clock around it. */
function start(options: DrillOptions, args: readonly string[], queue: string): Deno.ChildProcess {
  return new Deno.Command("bash", {
    args: ["-c", 'TIMEFORMAT="cost %R %U %S"; time "$@"', "bash", Deno.execPath(), "run", "-A"]
      .concat(options.program, args),
    env: { VARSCALE_QUEUE: queue, NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

/** Waits for a program that must succeed. */
async function finish(child: Deno.ChildProcess): Promise<Cost> {
  const text = await new Response(child.stderr).text();
  const { success } = await child.status;
  const [, wall, user, system] = /^cost ([\d.]+) ([\d.]+) ([\d.]+)$/m.exec(text) ?? [];
  if (!success || wall === undefined) throw new Error(`A process has failed:\n${text}`);
  return { wall: Number(wall), processor: Number(user) + Number(system) };
}

/** Names of the pictures in a folder, with where they lie on the disk. */
function pictures(folder: string): Map<string, number | null> {
  try {
    const names = Array.from(Deno.readDirSync(folder), ({ name }) => name);
    return new Map(
      names.filter((name) => name.endsWith(".png")).map((
        name,
      ) => [name, Deno.statSync(`${folder}/${name}`).ino]),
    );
  } catch {
    return new Map();
  }
}

/** Numbers from 0 up to 1 that are the same for the same seed: a linear congruential generator will do. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

/** A worker that says which process computes for it. */
class DrillWorker {
  readonly #process: Deno.ChildProcess;
  readonly ended: Promise<boolean>;
  computing: number | undefined;

  constructor(options: DrillOptions, queue: string) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", options.program, "worker", "--until-done", "--lease", "2", "--threads", "1"],
      env: { VARSCALE_QUEUE: queue, NO_COLOR: "1" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.ended = this.#process.status.then(({ success }) => success);
    this.#listen();
  }

  /** Kills it, or the process that computes for it. */
  kill(computing: boolean): boolean {
    try {
      if (computing && this.computing !== undefined) Deno.kill(this.computing, "SIGKILL");
      else this.#process.kill("SIGKILL");
      return !computing || this.computing === undefined;
    } catch {
      return false;
    }
  }

  async #listen(): Promise<void> {
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) {
      const [, pid] = /process (\d+) computes/.exec(text) ?? [];
      if (pid !== undefined) this.computing = Number(pid);
    }
  }
}

/** Many kills and a restart; what comes out is what one run makes. */
async function drill(options: DrillOptions): Promise<Record<string, unknown>> {
  const { workers, kills, seed } = options;
  await using server = await Server.start();
  const folder = server.folder;
  const output = `${folder}/out`;
  const shards = workers * SHARDS_EACH;
  const add = ["queue", "add", "--shards", String(shards), "--attempts", "50", "--"];
  await finish(start(options, [...add, ...series(options), "-o", output], server.url));
  const next = random(seed);
  const crew = Array.from({ length: workers }, () => new DrillWorker(options, server.url));
  const seen = new Map<string, number | null>();
  let [again, killedWorkers, killedOthers, restarted] = [0, 0, 0, false];
  const look = (): number => {
    for (const [name, place] of pictures(output)) {
      if (seen.has(name) && seen.get(name) !== place) again++;
      seen.set(name, place);
    }
    return seen.size;
  };
  const begun = performance.now();
  // A kill whenever so many pictures more are there, so that all of them fall into the work.
  const total = 10 * Math.ceil(options.images / 10);
  for (let kill = 1; kill <= kills; kill++) {
    const due = Math.floor(kill * total * 0.9 / kills);
    while (look() < due) await new Promise((resolve) => setTimeout(resolve, 20));
    const at = Math.floor(next() * workers);
    if (crew[at]!.kill(next() < 0.5)) {
      killedWorkers++;
      crew[at] = new DrillWorker(options, server.url);
    } else killedOthers++;
    if (!restarted && kill >= kills / 2) {
      restarted = true;
      await server.restart();
    }
  }
  const ends = await Promise.all(crew.map(({ ended }) => ended));
  const seconds = (performance.now() - begun) / 1000;
  look();
  const single = `${folder}/single`;
  await finish(start(options, ["run", ...series(options), "--threads", "1", "-q", "-o", single], server.url));
  const wanted = [...pictures(single).keys()].sort();
  const missing = wanted.filter((name) => !seen.has(name)).length;
  const other = wanted.filter((name) => {
    return seen.has(name) &&
      Deno.readFileSync(`${output}/${name}`).toHex() !== Deno.readFileSync(`${single}/${name}`).toHex();
  }).length;
  const left = Array.from(Deno.readDirSync(output), ({ name }) => name).filter((name) =>
    /\.tmp$|^failed/.test(name)
  );
  const result = {
    ...{ images: wanted.length, shards, killedWorkers, killedOthers, restarts: 1, seconds },
    ...{ missing, other, again, left: left.length, ended: ends.every(Boolean) },
  };
  if (missing + other + again + left.length > 0 || !result.ended) {
    throw new Error(`The drill has failed: ${JSON.stringify(result)}`);
  }
  return result;
}

/** Workers beside one process with as many threads, and with one. */
async function overhead(options: DrillOptions): Promise<Record<string, unknown>> {
  const { workers } = options;
  const costs: Record<"workers" | "together" | "alone", Cost[]> = { workers: [], together: [], alone: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const ways = {
      workers: async () => {
        await using server = await Server.start();
        const add = ["queue", "add", "--shards", String(workers * SHARDS_EACH), "--"];
        await finish(start(options, [...add, ...series(options), "-o", `${server.folder}/out`], server.url));
        const crew = Array.from({ length: workers }, () => {
          return finish(start(options, ["worker", "--until-done", "--threads", "1", "-q"], server.url));
        });
        const each = await Promise.all(crew);
        return {
          wall: Math.max(...each.map(({ wall }) => wall)),
          processor: each.reduce((sum, { processor }) => sum + processor, 0),
        };
      },
      together: () => one(options, workers),
      alone: () => one(options, 1),
    };
    const order = Object.entries(ways) as [keyof typeof ways, () => Promise<Cost>][];
    for (const [name, way] of round % 2 === 0 ? order : order.reverse()) costs[name].push(await way());
  }
  return Object.fromEntries(
    Object.entries(costs).map(([name, each]) => [name, {
      wall: median(each.map(({ wall }) => wall)),
      processor: median(each.map(({ processor }) => processor)),
    }]),
  );
}

/** One run in one process. */
async function one(options: DrillOptions, threads: number): Promise<Cost> {
  const folder = await Deno.makeTempDir({ prefix: "varscale-queue-" });
  try {
    const args = ["run", ...series(options), "--threads", String(threads), "-q", "-o", `${folder}/out`];
    return await finish(start(options, args, ""));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Jobs a second that a server passes on to so many workers, whose jobs are nothing. */
async function coordination(): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  for (const workers of CROWDS) {
    await using server = await Server.start();
    const clients: Redis[] = [];
    const connect = () => {
      const client = new Redis(server.port, { maxRetriesPerRequest: null });
      clients.push(client.on("error", () => {}));
      return client;
    };
    const client = connect();
    const queue = new Queue("jobs", { connection: client });
    const jobs = Array.from(
      { length: JOBS },
      (_, i) => ({ name: "job", data: { i }, opts: { jobId: `j-${i}` } }),
    );
    for (let at = 0; at < JOBS; at += 500) await queue.addBulk(jobs.slice(at, at + 500));
    const used = async (): Promise<number> => {
      const info = await client.info("cpu");
      const of = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(info)![1]);
      return of("used_cpu_user") + of("used_cpu_sys");
    };
    const times = new Map<string, number>();
    let done = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const crew = Array.from({ length: workers }, () => {
      return new Worker("jobs", (job) => {
        times.set(job.id!, (times.get(job.id!) ?? 0) + 1);
        return Promise.resolve(0);
      }, { connection: connect(), autorun: false, lockDuration: 15_000, stalledInterval: 7500 })
        .on("completed", () => {
          if (++done === JOBS) resolve();
        });
    });
    await Promise.all(crew.map((worker) => worker.waitUntilReady()));
    const [before, begun] = [await used(), performance.now()];
    for (const worker of crew) worker.run();
    await promise;
    const seconds = (performance.now() - begun) / 1000;
    const microseconds = 1e6 * (await used() - before) / JOBS;
    const twice = [...times.values()].filter((count) => count > 1).length;
    rows.push({ workers, jobsPerSecond: JOBS / seconds, serverMicrosecondsPerJob: microseconds, twice });
    await Promise.all(crew.map((worker) => worker.close()));
    await queue.close();
    for (const client of clients) client.disconnect();
  }
  return rows;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      part: { type: "string", multiple: true, default: ["drill", "overhead", "coordination"] },
      program: { type: "string", default: "cli/main.ts" },
      workers: { type: "string", default: "4" },
      images: { type: "string", default: "500" },
      kills: { type: "string", default: "20" },
      seed: { type: "string", default: "1" },
      place: { type: "string", default: "wasm" },
      json: { type: "boolean", default: false },
    },
  });
  const numbers = Object.fromEntries((["workers", "images", "kills", "seed"] as const).map((name) => {
    const value = Number(values[name]);
    requireInteger(value, name, "measure the queue", { min: 1 });
    return [name, value];
  })) as Record<"workers" | "images" | "kills" | "seed", number>;
  const options: DrillOptions = { program: values.program, place: values.place, ...numbers };
  const parts: Record<string, () => Promise<unknown>> = {
    drill: () => drill(options),
    overhead: () => overhead(options),
    coordination,
  };
  for (const part of values.part) {
    const measure = parts[part];
    if (measure === undefined) {
      throw new RangeError(`Cannot measure "${part}": it must be one of ${Object.keys(parts).join(", ")}`);
    }
    const result = await measure();
    if (values.json) console.log(JSON.stringify({ part, result }));
    else {
      console.log(part);
      console.table(result);
    }
  }
  Deno.exit(0);
}
