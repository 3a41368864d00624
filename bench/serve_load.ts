/**
 * `varscale serve` under load: many clients that ask for a picture again and again, of a server that paints
 * them in batches and of one that paints them one at a time. What it must show: no answer but pictures and
 * 429, memory that does not grow, and by how much batches are faster.
 *
 *     deno task bench:serve [--clients=64] [--seconds=120] [--batch=16] [--model=demo] [--place=wasm]
 *         [--threads=N] [--queue=256] [--json]
 *
 * The task names the program that serves (`--program`). `--place` is `wasm`, `native` or `webgpu`. Each
 * server is a process of its own on this machine, asked for a while before it is watched. Where other work
 * runs beside, compare the processor's seconds an image: those of the server, all threads together. Linux
 * only, which tells them in /proc.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { requireChoice, requireInteger, requireText } from "../kernels/arguments.ts";
import { anonymousBytes, steadySlopeOf } from "./process_memory.ts";

/** How a server is asked. */
export interface LoadOptions {
  /** The program that serves, as a path or URL. */
  readonly program: string;
  /** Clients that ask at the same time, each for one picture after the other. */
  readonly clients: number;
  /** Seconds for which they ask. */
  readonly seconds: number;
  /** Images of a batch of the server that has batches. */
  readonly batch: number;
  /** Images that may wait. */
  readonly queue: number;
  readonly model: string;
  readonly place: Place;
  /** Threads of the model; all cores by default. */
  readonly threads: number | undefined;
}

/** Where the model may run. */
const PLACES = ["wasm", "native", "webgpu"] as const;
type Place = typeof PLACES[number];

/** What a server has done. */
export interface LoadResult {
  /** Images of a batch at the most. */
  readonly batch: number;
  /** Answers by status. */
  readonly answers: Readonly<Record<string, number>>;
  /** Requests without an answer. */
  readonly broken: number;
  /** Pictures. */
  readonly images: number;
  /** Images of a batch on average. */
  readonly together: number;
  /** Seconds for which it was watched. */
  readonly seconds: number;
  /** Seconds of the processor in that time. */
  readonly processor: number;
  /** Bytes of the server's memory, read each second. */
  readonly memory: readonly number[];
}

/** Seconds of asking before a server is watched, in which caches are made. */
const WARM_SECONDS = 20;
/** Milliseconds between two readings of the memory. */
const READING = 1000;
/** Ticks in which Linux counts processor's seconds. */
const TICKS = 100;

/** A server in a process of its own. */
async function start(batch: number, options: LoadOptions) {
  const { program, model, place, threads, queue } = options;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-lock", program, "serve"],
      ...["--port", "0", "--model", model, "--batch", String(batch), "--queue", String(queue)],
      ...place === "webgpu" ? ["--device", "webgpu"] : ["--device", "cpu", "--cpu-provider", place],
      ...threads === undefined ? [] : ["--threads", String(threads)],
    ],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (true) {
    const url = / on (http:\S+)\n/.exec(said)?.[1];
    if (url !== undefined) return { child, url, reader };
    const { done, value } = await reader.read();
    if (done) throw new Error("The server did not start");
    said += value;
  }
}

/** Seconds of the processor that a process has had, all threads together. */
export function processorSeconds(process: number): number {
  // What stands in parentheses may have spaces; behind it, the 12th and 13th numbers are of user and system.
  const text = Deno.readTextFileSync(`/proc/${process}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** A number of a server's by its name, in Prometheus' format. */
export function metricIn(text: string, name: string): number {
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1] ?? NaN);
}

/** Asks a server and watches it. */
async function load(batch: number, options: LoadOptions): Promise<LoadResult> {
  const { child, url, reader } = await start(batch, options);
  const numbers = async () => await (await fetch(`${url}/metrics`)).text();
  const { data: [{ varscale: { class_names: classes = ["two red spheres", "a blue cone"] } }] } =
    await (await fetch(`${url}/v1/models`)).json();
  const answers: Record<string, number> = {};
  let broken = 0;
  let asking = true;
  let watching = false;
  const client = async (number: number): Promise<void> => {
    for (let i = number; asking; i += options.clients) {
      try {
        const response = await fetch(`${url}/v1/images/generations`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ prompt: classes[i % classes.length] }),
        });
        await response.arrayBuffer();
        if (watching) answers[response.status] = (answers[response.status] ?? 0) + 1;
        if (response.status !== 429) continue;
        const seconds = Number(response.headers.get("retry-after"));
        await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
      } catch {
        if (watching) broken++;
      }
    }
  };
  const clients = Array.from({ length: options.clients }, (_, number) => client(number));
  await new Promise((resolve) => setTimeout(resolve, 1000 * WARM_SECONDS));
  watching = true;
  const before = { text: await numbers(), at: performance.now(), processor: processorSeconds(child.pid) };
  const memory: number[] = [];
  const timer = setInterval(() => memory.push(anonymousBytes(child.pid)), READING);
  await new Promise((resolve) => setTimeout(resolve, 1000 * options.seconds));
  clearInterval(timer);
  const after = { text: await numbers(), at: performance.now(), processor: processorSeconds(child.pid) };
  watching = false;
  asking = false;
  await Promise.all(clients);
  child.kill("SIGTERM");
  const { code } = await child.status;
  await reader.cancel();
  if (code !== 0) throw new Error(`The server ended with the code ${code}`);
  const grown = (name: string) => metricIn(after.text, name) - metricIn(before.text, name);
  return {
    ...{ batch, answers, broken, memory },
    images: grown("varscale_images_total"),
    together: grown("varscale_batch_images_sum") / grown("varscale_batch_images_count"),
    seconds: (after.at - before.at) / 1000,
    processor: after.processor - before.processor,
  };
}

/** What was seen, in a few lines. */
export function describe(results: readonly LoadResult[]): string {
  const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const lines = results.map(({ batch, answers, broken, images, together, seconds, processor, memory }) => {
    const counts = Object.entries(answers).map(([status, count]) => `${count} × ${status}`).join(", ");
    return `batch ${batch}: ${images} images in ${seconds.toFixed(0)} s, ${
      (images / seconds).toFixed(2)
    } a second, ${(1000 * processor / images).toFixed(0)} ms of the processor an image, ${
      together.toFixed(1)
    } together; answers ${counts}, ${broken} without; memory ${mebibytes(memory[0] ?? NaN)} to ${
      mebibytes(memory.at(-1) ?? NaN)
    }, ${memory.length < 6 ? "too short to tell" : `${mebibytes(60 * steadySlopeOf(memory))} a minute`}`;
  });
  const [one, many] = results;
  if (one === undefined || many === undefined) return lines.join("\n");
  const rate = ({ images, seconds }: LoadResult) => images / seconds;
  const cost = ({ images, processor }: LoadResult) => processor / images;
  const faster = (rate(many) / rate(one)).toFixed(2);
  const cheaper = (cost(one) / cost(many)).toFixed(2);
  return [
    ...lines,
    `batches: ${faster} times the images a second, ${cheaper} times the images for a second of the processor`,
  ].join("\n");
}

/**
 * Reads the command line.
 *
 * @throws {TypeError} If it has unknown options, names no program, or a place is none.
 * @throws {RangeError} If a number is out of bounds.
 */
export function parseLoadOptions(args: readonly string[]): LoadOptions & { readonly json: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      program: { type: "string" },
      clients: { type: "string", default: "64" },
      seconds: { type: "string", default: "120" },
      batch: { type: "string", default: "16" },
      queue: { type: "string", default: "256" },
      model: { type: "string", default: "demo" },
      place: { type: "string", default: "wasm" },
      threads: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const action = "ask a server";
  const number = (name: "clients" | "seconds" | "batch" | "queue" | "threads") =>
    requireInteger(Number(values[name]), `--${name}`, action, { min: 1, max: 1e6 });
  return {
    ...{
      clients: number("clients"),
      seconds: number("seconds"),
      batch: number("batch"),
      queue: number("queue"),
    },
    program: requireText(values.program!, "--program", action),
    model: values.model,
    place: requireChoice(values.place as Place, PLACES, "--place", action),
    threads: values.threads === undefined ? undefined : number("threads"),
    json: values.json,
  };
}

if (import.meta.main) {
  const { json, ...options } = parseLoadOptions(Deno.args);
  const results = [await load(1, options), await load(options.batch, options)];
  console.log(json ? JSON.stringify(results) : describe(results));
}
