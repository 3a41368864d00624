/**
 * Measures what loading a model from its checkpoints takes, beside PyTorch: processes of their own in turns,
 * in an order that changes, one thread each, and medians of their CPU time, which other work on the machine
 * disturbs less than wall time. `load` is loading alone, `process` the whole process with its imports and the
 * start of the runtime. Linux only.
 *
 *     deno run -A --no-lock bench/loading.ts var_d16.pth vae.pth --python PYTHON [--dtype f32] [--rounds 20]
 *       [--wasm] [--than OTHER_CHECKOUT]
 *
 * @module
 */

import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { percentile } from "../kernels/profile/profile.ts";
import { processBytes, processorTime } from "./process_costs.ts";

/** What a process says of itself: milliseconds, and bytes. */
interface Loading {
  readonly load: number;
  readonly process: number;
  readonly wall: number;
  readonly peak: number;
}

/** Loads the model, in this process. */
async function loadHere(root: string, checkpoints: readonly string[], options: object): Promise<Loading> {
  const { loadModel, openDevice } = await import(`${root}mod.ts`);
  using device = await openDevice("cpu");
  // The runtime starts before, as torch is imported before.
  await (await loadModel("demo", { device, threads: 1, ...options }))[Symbol.asyncDispose]();
  const [before, start] = [processorTime(), performance.now()];
  const [varFile, vaeFile] = checkpoints;
  await using _model = await loadModel({ var: varFile, vae: vaeFile }, { device, threads: 1, ...options });
  const after = processorTime();
  const wall = performance.now() - start;
  return { load: after - before, process: after, wall, peak: processBytes("VmHWM") };
}

async function run(command: string, args: readonly string[]): Promise<Loading> {
  const { success, stdout } = await new Deno.Command(command, { args: [...args], stderr: "inherit" })
    .output();
  if (!success) throw new Error(`Cannot measure the loading as ${command} failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

if (import.meta.main) {
  const { values, positionals: checkpoints } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "20" },
      dtype: { type: "string", default: "f32" },
      python: { type: "string", default: "python3" },
      wasm: { type: "boolean", default: false },
      than: { type: "string" },
      child: { type: "string" },
    },
  });
  const { rounds, dtype, python, wasm, than, child } = values;
  if (checkpoints.length !== 2) {
    throw new TypeError(
      `Cannot measure the loading as the checkpoints must be two: current number is ${checkpoints.length}`,
    );
  }
  const cpuProvider = wasm ? "wasm" : "native";
  if (child !== undefined) {
    console.log(JSON.stringify(await loadHere(child, checkpoints, { dtype, cpuProvider })));
  } else {
    const here = (root: string) => (): Promise<Loading> => {
      const own = fileURLToPath(import.meta.url);
      const flags = [`--child=${root}`, `--dtype=${dtype}`, ...(wasm ? ["--wasm"] : [])];
      return run(Deno.execPath(), ["run", "-A", "--no-lock", "-q", own, ...checkpoints, ...flags]);
    };
    const peer = fileURLToPath(new URL("pytorch_loading.py", import.meta.url));
    const ways = new Map([
      ["PyTorch", () => run(python, [peer, ...checkpoints])],
      [`varscale, ${cpuProvider}, ${dtype}`, here(new URL("../", import.meta.url).href)],
    ]);
    if (than !== undefined) ways.set("the other checkout", here(`${pathToFileURL(resolve(than)).href}/`));
    const found = new Map(Array.from(ways.keys(), (name): [string, Loading[]] => [name, []]));
    for (let round = 0; round < Number(rounds); round++) {
      const order = round % 2 === 0 ? [...ways] : [...ways].reverse();
      for (const [name, measure] of order) found.get(name)!.push(await measure());
    }
    for (const [name, loadings] of found) {
      const of = (key: keyof Loading): number => percentile(loadings.map((loading) => loading[key]), 0.5);
      const ratio = (key: keyof Loading): string => {
        const pairs = loadings.map((loading, i) => loading[key] / found.get("PyTorch")![i]![key]);
        return percentile(pairs, 0.5).toFixed(2);
      };
      const milliseconds = (["load", "process", "wall"] as const).map((key) => {
        return `${key} ${of(key).toFixed(0)} ms (${ratio(key)})`;
      });
      console.log(`${name}: ${milliseconds.join(", ")}, peak ${(of("peak") / 2 ** 20).toFixed(0)} MiB`);
    }
  }
}
