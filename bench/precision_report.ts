/**
 * What types of weights, and products of integers, cost in precision: logits against those of f32 with the
 * same tokens; how many tokens become others, drawn by the same random numbers after the same scales; and the
 * pictures, whose tokens go ways of their own from the first one that is another. Of the bundled models an
 * oracle that has never seen a search tells how many pictures show what they should.
 *
 *     deno run -A --no-lock bench/precision_report.ts [--model=demo|demo-t2i|FOLDER] [--var=FILE --vae=FILE]
 *     [--ways=f16,q8,q4,int8] [--images=16] [--batch=8] [--rounds=20] [--threads=1]
 *     [--output=FILE]
 *
 * Each round paints a picture by f32 and by the way, in changing order; `--rounds=0` leaves that out.
 * All run on the native provider, as products of integers need it. `--output` takes every figure as JSON.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { requireInteger } from "../kernels/arguments.ts";
import { percentile } from "../kernels/profile/profile.ts";
import {
  type Dtype,
  DTYPES,
  generate,
  type GeneratedImage,
  type GenerateRequest,
  loadModel,
  type Model,
  type ModelSource,
  pictureError,
} from "../mod.ts";
import { parseMetadata } from "../evaluation/geneval/metadata.ts";
import { CaptionOracle } from "../evaluation/judges/caption_oracle.ts";
import { ClassOracle } from "../evaluation/judges/class_oracle.ts";
import { type LogitError, LogitErrors } from "./logit_error.ts";
import { words } from "./model_ways.ts";
import { processorTime } from "./process_costs.ts";
import { table } from "./tables.ts";

/** Captions in GenEval's form. */
const CAPTIONS = new URL("../evaluation/judges/demo_t2i_captions.jsonl", import.meta.url);

/** How a model is computed: with weights of a type, or by products of integers. */
type Way = Dtype | "int8";

/** All ways but the one that they are held against. */
const WAYS: readonly Way[] = [...DTYPES.slice(1), "int8"];

/** What the command line asks for. */
export interface PrecisionOptions {
  /** The model. */
  readonly source: ModelSource;
  /** How to compute it. */
  readonly ways: readonly Way[];
  /** Pictures, each of another label while there are some. */
  readonly images: number;
  /** Pictures at a time. */
  readonly batch: number;
  /** Rounds that are timed. */
  readonly rounds: number;
  /** Threads. */
  readonly threads: number;
  /** Path for every figure. */
  readonly output: string | undefined;
}

/**
 * Reads the command line.
 *
 * @throws {TypeError} If it has unknown options, a model twice, or one checkpoint without the other.
 * @throws {RangeError} If a number or a word is none of those that are allowed.
 */
export function parsePrecisionOptions(args: readonly string[]): PrecisionOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      model: { type: "string" },
      var: { type: "string" },
      vae: { type: "string" },
      ways: { type: "string", default: WAYS.join() },
      images: { type: "string", default: "16" },
      batch: { type: "string", default: "8" },
      rounds: { type: "string", default: "20" },
      threads: { type: "string", default: "1" },
      output: { type: "string" },
    },
  });
  const { model, var: transformer, vae, ways, output } = values;
  if ((transformer === undefined) !== (vae === undefined)) {
    throw new TypeError("Cannot report as --var and --vae go together: one of them is missing");
  }
  if (model !== undefined && transformer !== undefined) {
    throw new TypeError(`Cannot report with --var as --model names another model: it is ${model}`);
  }
  const integer = (name: "images" | "batch" | "rounds" | "threads", max: number, min = 1): number => {
    return requireInteger(Number(values[name]), `--${name}`, "report", { min, max });
  };
  return {
    source: transformer !== undefined && vae !== undefined ? { var: transformer, vae } : model ?? "demo",
    ways: words(ways, "--ways", WAYS),
    images: integer("images", 10_000),
    batch: integer("batch", 1000),
    rounds: integer("rounds", 1000, 0),
    threads: integer("threads", 1024),
    output,
  };
}

/** What one way loses. */
export interface PrecisionRow extends LogitError {
  /** The way. */
  readonly way: Way;
  /** Share of tokens that become others, after scales that are the same. */
  readonly tokens: number;
  /** The median picture's peak signal-to-noise ratio against the same of f32, in decibels. */
  readonly psnr: number;
  /** Share of pictures that show what they should, where somebody can tell. */
  readonly right?: number;
  /** What a picture takes as a share of what one of f32 does, the median of all rounds, if there were any. */
  readonly time?: Share;
}

/** Shares of two times of a picture. */
export interface Share {
  /** Of the time that passes. */
  readonly wall: number;
  /** Of the time that processors work for it, which other work on the machine leaves alone. */
  readonly cpu: number;
}

/** Every figure of a run. */
export interface PrecisionRecord {
  /** The model's name. */
  readonly model: string;
  /** Pictures. */
  readonly images: number;
  /** Share of those of f32 that show what they should, where somebody can tell. */
  readonly right?: number;
  /** What the ways lose. */
  readonly rows: readonly PrecisionRow[];
}

/** What is painted, and who tells what it shows. */
interface Subject extends AsyncDisposable {
  readonly labels: readonly (number | string)[];
  readonly judge?: (images: readonly GeneratedImage[]) => Promise<number>;
}

async function subjectOf({ source, images }: PrecisionOptions, model: Model): Promise<Subject> {
  await using owned = new AsyncDisposableStack();
  const share = (verdicts: readonly { readonly right: boolean }[]): number => {
    return verdicts.filter(({ right }) => right).length / verdicts.length;
  };
  const indices = Array.from({ length: images }, (_, i) => i);
  if (model.labels.kind === "classes") {
    const { count } = model.labels;
    // Any will do, of every kind.
    const labels = indices.map((i) => (7 + 373 * i) % count);
    if (source !== "demo") return { labels, [Symbol.asyncDispose]: () => Promise.resolve() };
    const oracle = owned.use(await ClassOracle.open({ cpuProvider: "native" }));
    const kept = owned.move();
    return {
      labels,
      judge: async (pictures) => share(await oracle.judge(pictures, labels)),
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    };
  }
  const all = parseMetadata(await Deno.readTextFile(CAPTIONS));
  const captions = indices.map((i) => all[7 * i % all.length]!);
  const labels = captions.map(({ prompt }) => prompt);
  if (source !== "demo-t2i") return { labels, [Symbol.asyncDispose]: () => Promise.resolve() };
  const oracle = owned.use(await CaptionOracle.open({ cpuProvider: "native" }));
  const kept = owned.move();
  return {
    labels,
    judge: async (pictures) => share(await oracle.judge(pictures, captions)),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function load({ source, threads }: PrecisionOptions, way: Way): Promise<Model> {
  return await loadModel(source, {
    ...{ device: "cpu", cpuProvider: "native", threads },
    ...(way === "int8" ? { compute: way } : { dtype: way }),
  });
}

/** Raw logits of every scale of a batch, with the tokens that its pictures have. */
async function* logitsOf(
  model: Model,
  images: readonly GeneratedImage[],
): AsyncGenerator<Float32Array<ArrayBuffer>, void, void> {
  const { device } = model;
  const schedule = model.schedule();
  const labels = images.map(({ label }) => label);
  using generation = await model.start({ labels, guided: true, schedule });
  for (const scale of schedule.scales.keys()) {
    using logits = await generation.logits();
    const [read] = await device.read([logits]);
    yield new Float32Array(read!.buffer);
    using tokens = device.upload(tokensOf(images, scale));
    generation.accept(tokens);
  }
}

/** Tokens of a scale, picture by picture. */
function tokensOf(images: readonly GeneratedImage[], scale: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(images.flatMap(({ tokens }) => [...tokens[scale]!]));
}

/** Share of tokens that are drawn otherwise, when all scales before are the same. */
async function changedTokens(
  model: Model,
  request: GenerateRequest,
  images: readonly GeneratedImage[],
): Promise<number> {
  const { words: length } = model.tokens;
  let [changed, count] = [0, 0];
  await generate(model, {
    ...request,
    hooks: [{
      name: "force",
      async choose(step) {
        const here = step.lanes.map(({ image }) => images[image]!);
        const wanted = tokensOf(here, step.scale);
        const [drawn] = await step.device.read([step.draw(1)]);
        for (let i = 0; i < wanted.length; i += length, count++) {
          const differs = wanted.subarray(i, i + length).some((word, part) => word !== drawn![i + part]);
          if (differs) changed++;
        }
        const tokens = step.allocate(wanted.length, "tokens");
        using given = step.device.upload(wanted);
        step.device.copy(given, tokens, { length: wanted.length });
        step.choose(tokens);
      },
    }],
  });
  return changed / count;
}

/** Times a picture of two models, in turns and in changing order. */
async function timeInTurns(model: Model, right: Model, { labels, rounds }: {
  readonly labels: readonly (number | string)[];
  readonly rounds: number;
}): Promise<Share> {
  const time = async (one: Model): Promise<Share> => {
    const [wall, cpu] = [performance.now(), processorTime()];
    await generate(one, { labels, seed: 0 });
    return { wall: performance.now() - wall, cpu: processorTime() - cpu };
  };
  const shares: Share[] = [];
  for (let round = -1; round < rounds; round++) {
    const [first, second] = round % 2 === 0 ? [model, right] : [right, model];
    const [one, other] = [await time(first), await time(second)];
    const [own, whole] = first === model ? [one, other] : [other, one];
    // The first round is not like the others.
    if (round >= 0) shares.push({ wall: own.wall / whole.wall, cpu: own.cpu / whole.cpu });
  }
  const median = (part: keyof Share): number => percentile(shares.map((share) => share[part]), 0.5);
  return { wall: median("wall"), cpu: median("cpu") };
}

/** Measures everything that is asked for. */
export async function measurePrecision(
  options: PrecisionOptions,
  progress?: (line: string) => void,
): Promise<PrecisionRecord> {
  const { ways, batch, rounds } = options;
  await using right = await load(options, "f32");
  await using subject = await subjectOf(options, right);
  const { labels, judge } = subject;
  const request: GenerateRequest = { labels, seed: 0, batch };
  const { images } = await generate(right, request);
  const shown = judge === undefined ? {} : { right: await judge(images) };
  const bits = right.labels.kind === "texts";
  const rows: PrecisionRow[] = [];
  for (const way of ways) {
    progress?.(`${way} …`);
    await using model = await load(options, way);
    const errors = new LogitErrors(bits ? 2 : model.tokens.logits);
    for (let begin = 0; begin < images.length; begin += batch) {
      const some = images.slice(begin, begin + batch);
      const theirs = logitsOf(right, some);
      for await (const logits of logitsOf(model, some)) errors.add((await theirs.next()).value!, logits);
      await theirs.return();
    }
    const tokens = await changedTokens(model, request, images);
    const { images: own } = await generate(model, request);
    const ratios = own.map((image, i) => pictureError(image, images[i]!).psnr).sort((a, b) => a - b);
    rows.push({
      way,
      ...errors.result(),
      tokens,
      psnr: ratios[ratios.length >> 1]!,
      ...(judge === undefined ? {} : { right: await judge(own) }),
      ...(rounds === 0 ? {} : {
        time: await timeInTurns(model, right, { labels: labels.slice(0, 1), rounds }),
      }),
    });
  }
  return { model: right.name, images: images.length, ...shown, rows };
}

/** The figures as Markdown. */
export function formatPrecision({ model, images, right, rows }: PrecisionRecord): string {
  const percent = (share: number | undefined): string => {
    return share === undefined ? "" : `${Number((100 * share).toPrecision(2))} %`;
  };
  const judged = right === undefined ? [] : [`right, f32: ${percent(right)}`];
  const timed = rows.some(({ time }) => time !== undefined) ? ["CPU time", "time"] : [];
  const heads = ["", "rms error / std", "largest / std", "another likeliest", "KL divergence, mean"];
  return [
    `${model}, ${images} pictures, against f32`,
    table(
      [...heads, "other tokens", "PSNR, median", ...judged, ...timed],
      rows.map((row) => [
        ...[row.way, row.rms.toExponential(1), row.greatest.toExponential(1), percent(row.flipped)],
        ...[row.divergence.toExponential(1), percent(row.tokens), `${row.psnr.toFixed(1)} dB`],
        ...(right === undefined ? [] : [percent(row.right)]),
        ...(row.time === undefined ? [] : [row.time.cpu.toFixed(2), row.time.wall.toFixed(2)]),
      ]),
      1,
    ),
  ].join("\n\n");
}

if (import.meta.main) {
  const options = parsePrecisionOptions(Deno.args);
  const record = await measurePrecision(options, (line) => console.error(line));
  console.log(formatPrecision(record));
  if (options.output !== undefined) {
    await Deno.writeTextFile(options.output, JSON.stringify(record, undefined, 2) + "\n");
  }
}
