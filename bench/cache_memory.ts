/**
 * What keys and values take, kept as floats and as halves: tokens that are made up are forced on some guided
 * lanes of a model, in a process of its own for each type, and the last scale's logits are compared.
 *
 * ```sh
 * deno run -A --no-lock bench/cache_memory.ts --lanes=8
 * deno run -A --no-lock bench/cache_memory.ts --provider=native --var=var_d16.pth --vae=vae_ch160v4096z32.pth
 * ```
 *
 * `--model` (demo), `--provider` (wasm, native or webgpu), `--threads` (1). The peak of the process is above
 * what it had when the model was loaded, on Linux only.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { type CacheDtype, type Device, loadModel, type Model } from "../mod.ts";
import { processBytes } from "./process_costs.ts";

const { values: options } = parseArgs({
  options: {
    model: { type: "string", default: "demo" },
    var: { type: "string" },
    vae: { type: "string" },
    provider: { type: "string", default: "wasm" },
    lanes: { type: "string", default: "4" },
    threads: { type: "string", default: "1" },
    run: { type: "string" },
    logits: { type: "string" },
  },
});

function load(cacheDtype: CacheDtype): Promise<Model> {
  const { model, var: transformer, vae, provider, threads } = options;
  return loadModel(transformer !== undefined && vae !== undefined ? { var: transformer, vae } : model, {
    cacheDtype,
    ...(provider === "webgpu"
      ? { device: "webgpu" }
      : { device: "cpu", threads: Number(threads), cpuProvider: provider as "wasm" | "native" }),
  });
}

/** Notes how many bytes of a device are alive when arrays are made. */
function watch(device: Device): () => number {
  let most = 0;
  const note = <Result>(result: Result): Result => {
    most = Math.max(most, device.counters.liveBytes);
    return result;
  };
  for (const name of ["allocate", "adopt"] as const) {
    const make = Reflect.get(device, name) as (...args: unknown[]) => unknown;
    Object.defineProperty(device, name, { value: (...args: unknown[]) => note(make.apply(device, args)) });
  }
  return () => most;
}

/** Forces tokens on all lanes; the logits of the last scale go to a file. */
async function runOnce(cacheDtype: CacheDtype, file: string): Promise<void> {
  await using model = await load(cacheDtype);
  const { device } = model;
  const schedule = model.schedule({});
  const labels = Array.from({ length: Number(options.lanes) }, (_, i) => model.resolveLabel(i));
  Deno.writeTextFileSync("/proc/self/clear_refs", "5");
  const [rest, atFirst, most] = [processBytes("VmRSS"), device.counters.liveBytes, watch(device)];
  {
    using generation = await model.start({ labels, guided: true, schedule });
    for (const [scale, { width, height }] of schedule.scales.entries()) {
      using logits = await generation.logits();
      const count = labels.length * width * height;
      using tokens = device.upload(
        Uint32Array.from({ length: count }, (_, i) => 7919 * i % model.tokens.logits),
      );
      if (scale === schedule.scales.length - 1) {
        const [words] = await device.read([logits]);
        await Deno.writeFile(file, new Uint8Array(words!.buffer));
      }
      generation.accept(tokens);
    }
  }
  const bytes = [labels.length * schedule.imageBytes, most() - atFirst, processBytes("VmHWM") - rest];
  console.log(JSON.stringify(bytes));
}

if (options.run !== undefined) {
  await runOnce(options.run as CacheDtype, options.logits!);
} else {
  const folder = await Deno.makeTempDir();
  const logits: Float32Array[] = [];
  console.log("| kept as | MB by the estimate | MB of arrays at most | MB of the process at most |");
  console.log("| ------- | -----------------: | -------------------: | ------------------------: |");
  for (const dtype of ["f32", "f16"]) {
    const file = `${folder}/${dtype}`;
    const args = [
      "run",
      "-A",
      "--no-lock",
      import.meta.url,
      ...Deno.args,
      `--run=${dtype}`,
      `--logits=${file}`,
    ];
    const { stdout, success } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
    if (!success) Deno.exit(1);
    const bytes: number[] = JSON.parse(new TextDecoder().decode(stdout));
    console.log(`| ${dtype} | ${bytes.map((count) => Math.round(count / 1e6)).join(" | ")} |`);
    logits.push(new Float32Array((await Deno.readFile(file)).buffer));
  }
  const [exact, rounded] = logits as [Float32Array, Float32Array];
  const mean = exact.reduce((sum, value) => sum + value, 0) / exact.length;
  const deviation = Math.sqrt(exact.reduce((sum, value) => sum + (value - mean) ** 2, 0));
  const off = Math.sqrt(exact.reduce((sum, value, i) => sum + (value - rounded[i]!) ** 2, 0));
  console.log(`\nLogits of halves are off by ${(off / deviation).toPrecision(2)} of their deviation, rms.`);
  await Deno.remove(folder, { recursive: true });
}
