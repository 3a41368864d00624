/**
 * Cases as groups of `deno bench`: the kernel, its naive version and its twin, the same number of calls each,
 * and the wait that is in the times of the first two. Outside of `deno bench` nothing is registered, so that
 * other programs can import the cases.
 *
 * @module
 */

import { type BenchCase, Subject, type Variant, verify } from "./case.ts";
import { finish, openDevices } from "./devices.ts";

const LABELS: Readonly<Record<Variant, string>> = {
  webgpu: "WebGPU",
  naive: "naive WGSL",
  twin: "CPU twin",
};

/**
 * `--calls=1000` after `--` on the command line: for GPUs on which the cases' own numbers vanish beside the
 * wait.
 */
const CALLS = Number(
  Deno.args.find((argument) => argument.startsWith("--calls="))?.slice("--calls=".length) ?? 0,
);

const hasGpu = await navigator.gpu.requestAdapter() !== null;

/** Registers one group per case. */
export function benchCases(cases: readonly BenchCase[]): void {
  for (const item of cases) {
    const group = `${item.kernel} ${item.size}`;
    const calls = CALLS || item.calls;
    const times = calls === 1 ? "" : `, ${calls} calls`;
    for (const variant of ["webgpu", "naive", "twin"] as const) {
      if (variant !== "twin" && !hasGpu) continue;
      let subject: Promise<Subject> | undefined;
      Deno.bench({
        name: `${group}: ${LABELS[variant]}${times}`,
        group,
        baseline: variant === "webgpu",
        // Cases of one call last long enough to be timed once; checking them has warmed them up.
        n: calls === 1 ? 1 : 4,
        warmup: calls === 1 ? 0 : 1,
        fn: async (b) => {
          const { device, call } = await (subject ??= prepare(item, variant));
          b.start();
          for (let i = 0; i < calls; i++) call();
          await finish(device);
          b.end();
        },
      });
    }
    if (!hasGpu) continue;
    Deno.bench({ name: `${group}: idle wait`, group, n: 4, warmup: 1, fn: wait });
  }
}

async function wait(b: Deno.BenchContext): Promise<void> {
  const { gpu } = await openDevices();
  b.start();
  await finish(gpu!);
  b.end();
}

/** Sets a case up and makes sure that it computes the right thing, all before the clock starts. */
async function prepare(item: BenchCase, variant: Variant): Promise<Subject> {
  const { cpu, gpu } = await openDevices();
  const device = variant === "twin" ? cpu : gpu!;
  if (variant !== "twin") await verify(item, variant, device);
  return new Subject(item, variant, device);
}
