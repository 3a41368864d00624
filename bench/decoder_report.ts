/**
 * The decoder of a published VAR or FlexVAR model with random weights, each way of computing its convolutions
 * in a process of its own, all of them in turns: time, memory, and how far the pictures are apart.
 *
 *     deno run -A --no-lock bench/decoder_report.ts [--on=wasm] [--ways=plain,phases,winograd]
 *     [--channels=160] [--side=16] [--rounds=20] [--threads=1]
 *
 * `--channels` is the width of the finest level and `--side` that of the token map. Times are of the
 * processor, user and system together, beside those of the clock; a peak is that of the whole process, the
 * random weights included. What is compared with the first way are values from -1 to 1 before they are cut,
 * and levels of 8 bits.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { requireChoice, requireInteger } from "../kernels/arguments.ts";
import { CpuDevice } from "../kernels/device/cpu_device.ts";
import { type DeviceArray, readFloats } from "../kernels/device/device.ts";
import { percentile } from "../kernels/profile/profile.ts";
import {
  CONVOLUTIONS,
  type Convolutions,
  fastConvolutions,
  savesProducts,
} from "../models/autoencoder/convolutions.ts";
import { decoderGraph } from "../models/autoencoder/graph.ts";
import { autoencoderTensors } from "../models/autoencoder/tensors.ts";
import { createGraphSession } from "../models/graphs/create_session.ts";
import type { CpuProvider, GraphSession } from "../models/graphs/graph_session.ts";
import { VAR_LAYOUT } from "../models/var/config.ts";
import { WeightSet } from "../models/weights/weight_set.ts";
import type { ExternalWeight } from "../models/weights/weight_places.ts";
import { type Answering, workerOf } from "./answering.ts";
import { formatMachine, thisMachine } from "./machine.ts";
import { processBytes, processorTime } from "./process_costs.ts";
import { TensorList } from "./random_tensors.ts";

/** Channels of a code. */
const CODE_CHANNELS = 32;
/** Channels of the levels from the finest on, in units of the finest one's. */
const LEVELS = [1, 1, 2, 2, 4];

/** What one process is asked to run. */
interface Settings {
  readonly provider: CpuProvider;
  readonly way: Convolutions;
  readonly channels: number;
  readonly side: number;
  readonly threads: number;
}

/** Asks for a run. */
interface TurnRequest {
  /** The file to which pixels go, if they are wanted. */
  readonly output?: string;
}

/** What a process tells after a run. */
interface Turn {
  readonly cpu: number;
  readonly wall: number;
  readonly peak: number;
}

async function loadDecoder(device: CpuDevice, settings: Settings): Promise<GraphSession> {
  const { provider, way, channels, threads } = settings;
  const decoder = LEVELS.map((factor, level) => ({
    channels: factor * channels,
    blocks: 3,
    attention: level === LEVELS.length - 1,
  }));
  const autoencoder = { layout: VAR_LAYOUT, channels: CODE_CHANNELS, decoder, encoder: null };
  const list = new TensorList({ seed: 0 });
  for (const { name, shape } of autoencoderTensors(autoencoder)) {
    const [outputs, inputs, side] = shape;
    const layer = name.replace(/\.(weight|bias)$/, "");
    if (inputs !== undefined) list.convolution(layer, outputs!, inputs, side as 1 | 3);
    else if (/\bnorm/.test(name) && name.endsWith(".weight")) list.norm(layer, outputs!);
  }
  const places = new Map<string, ExternalWeight>();
  let size = 0;
  for (const { name, shape } of list.tensors) {
    const length = 4 * shape.reduce((product, side) => product * side, 1);
    places.set(name, { file: "weights", offset: size, length, type: "float32", shape });
    size += length;
  }
  const data = new Uint8Array(size);
  let end = 0;
  for (const { bytes } of list.tensors) {
    for (const piece of bytes()) {
      data.set(piece, end);
      end += piece.length;
    }
  }
  const set = new WeightSet("random weights", new Map(list.tensors.map((tensor) => [tensor.name, tensor])));
  const graph = decoderGraph(autoencoder, set, (name) => places.get(name)!, {
    convolutions: way,
    sizes: true,
  });
  const session = await createGraphSession(device, graph, {
    externalFiles: [{ path: "weights", data }],
    cpuProvider: provider,
    threads,
    optimize: savesProducts(autoencoder, way) ? "basic" : true,
  });
  data.buffer.transfer(0);
  return session;
}

/** Decodes once for each request. */
async function work(settings: Settings): Promise<void> {
  const { side, channels } = settings;
  using device = new CpuDevice();
  const start = processorTime();
  await using session = await loadDecoder(device, settings);
  const values = Float32Array.from({ length: CODE_CHANNELS * side ** 2 }, (_, i) => 1.5 * Math.sin(13 * i));
  using array = device.upload(values);
  const decode = async (): Promise<DeviceArray> => {
    const { image } = await session.run({
      features: { array, shape: [1, CODE_CHANNELS, side, side] },
      map_shape: { array: [0, -1, side, side], shape: [4] },
    });
    return image!;
  };
  console.log(JSON.stringify({ load: processorTime() - start, channels }));
  for await (const line of createInterface({ input: Readable.fromWeb(Deno.stdin.readable as never) })) {
    const [cpu, wall] = [processorTime(), performance.now()];
    using image = await decode();
    const turn: Turn = {
      cpu: processorTime() - cpu,
      wall: performance.now() - wall,
      peak: processBytes("VmHWM"),
    };
    const { output }: TurnRequest = JSON.parse(line);
    if (output !== undefined) {
      const pixels = await readFloats(image);
      await Deno.writeFile(output, new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength));
    }
    console.log(JSON.stringify(turn));
  }
}

/** A value of a picture as one of 256 levels. */
function level(value: number): number {
  return Math.floor(255 * Math.min(1, Math.max(0, 0.5 + 0.5 * value)));
}

/** How far pictures are apart. */
function differences(found: Float32Array, wanted: Float32Array): { worst: number; levels: number } {
  let [worst, levels] = [0, 0];
  for (const [i, value] of found.entries()) {
    worst = Math.max(worst, Math.abs(value - wanted[i]!));
    if (level(value) !== level(wanted[i]!)) levels++;
  }
  return { worst, levels };
}

async function report(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      on: { type: "string", default: "wasm" },
      ways: { type: "string" },
      channels: { type: "string", default: "160" },
      side: { type: "string", default: "16" },
      rounds: { type: "string", default: "20" },
      threads: { type: "string", default: "1" },
    },
  });
  const action = "measure decoders";
  const provider = requireChoice(values.on, ["wasm", "native"], "--on", action) as CpuProvider;
  const [channels, side, rounds, threads] = (["channels", "side", "rounds", "threads"] as const).map(
    (name) => {
      return requireInteger(Number(values[name]), `--${name}`, action, { min: 1 });
    },
  ) as [number, number, number, number];
  const asked = values.ways?.split(",") ?? ["plain", "phases", fastConvolutions(provider)];
  const ways = asked.map((way) => requireChoice(way, CONVOLUTIONS, "--ways", action) as Convolutions);

  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const workers: { readonly way: Convolutions; readonly process: Answering; readonly turns: Turn[] }[] = [];
  const pictures: Float32Array[] = [];
  for (const way of ways) {
    const settings: Settings = { provider, way, channels, side, threads };
    const process = stack.use(workerOf(`The process with ${way} convolutions`, import.meta.url, settings));
    const { load } = await process.answer<{ load: number }>();
    const output = `${folder}/${way}`;
    const { cpu } = await process.ask<Turn>({ output });
    pictures.push(new Float32Array((await Deno.readFile(output)).buffer));
    console.error(
      `${way}: loaded in ${load.toFixed(0)} ms of the processor, first picture in ${cpu.toFixed(0)}`,
    );
    workers.push({ way, process, turns: [] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { process, turns } of round % 2 === 0 ? workers : workers.toReversed()) {
      turns.push(await process.ask<Turn>({}));
    }
  }
  console.log(
    `${provider}, ${channels} channels, ${side}×${side} tokens, ${rounds} rounds in turns, ` +
      `threads: ${threads}; ${formatMachine(await thisMachine())}\n`,
  );
  console.log(
    "| convolutions | CPU ms | / first | wall ms | / first | peak MB | off by | levels that differ |",
  );
  console.log("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
  const [first] = workers;
  for (const [i, { way, turns }] of workers.entries()) {
    const row = (of: "cpu" | "wall"): string[] => {
      const ratio = percentile(turns.map((turn, round) => turn[of] / first!.turns[round]![of]), 0.5);
      return [percentile(turns.map((turn) => turn[of]), 0.5).toFixed(0), ratio.toFixed(2)];
    };
    const { worst, levels } = differences(pictures[i]!, pictures[0]!);
    const peak = (turns.at(-1)!.peak / 1e6).toFixed(0);
    const cells = [way, ...row("cpu"), ...row("wall"), peak, worst.toExponential(1)];
    console.log(`| ${cells.join(" | ")} | ${levels} of ${pictures[i]!.length} |`);
  }
}

if (import.meta.main) {
  const [mode, settings] = Deno.args;
  if (mode === "--worker") await work(JSON.parse(settings!));
  else await report(Deno.args);
}
