#!/usr/bin/env bash
# Mesa's software Vulkan driver (llvmpipe, of Mesa 22.3.6) compiles some compute shaders anew each time they
# are dispatched and keeps every copy until their pipeline goes: those that grow when a loop is unrolled of
# which the number of turns is in a uniform buffer. Nothing says that a dispatch may take memory for good;
# Vulkan has pipelines so that shaders are compiled once. The same loop whose bound is also a length of a
# buffer (`min(turns, arrayLength(&data))`, the same number) leaves nothing and takes a fraction of the time.
# We bound the convolutions of ONNX Runtime so (models/graphs/llvmpipe_loops.ts). Dispatches 200 times each
# and prints the memory of a dispatch; exits with 1 if it is others that grow.
#
# Needs Node with npx, and Debian 12's mesa-vulkan-drivers; another version of it likely ends with 1. Installs
# deno@2.9.6 in a folder of its own and removes it. Takes about 100 MB of memory for a few seconds.
# Pipelines: https://registry.khronos.org/vulkan/specs/latest/html/vkspec.html#pipelines
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export DENO_DIR="$folder/deno" NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$folder}"

cat >"$folder/dispatch.ts" <<'TS'
// Dispatches shaders with a loop of so many turns of so many lines, and prints a line each: how many bytes the
// process has grown by a dispatch, and how long one took, on stderr; whether it grew, on stdout.
const adapter = await navigator.gpu.requestAdapter();
if (!adapter.info.description.startsWith("llvmpipe")) {
  console.log(`no llvmpipe, but ${adapter.info.description}`);
  Deno.exit();
}
const device = await adapter.requestDevice();

const shader = (bound: string, lines: number): string => `
struct Parameters { turns: u32 }
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> data: array<f32>;
@compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  var sum = 0.0;
  for (var i = 0u; i < ${bound}; i++) {
${Array.from({ length: lines }, (_, j) => `sum = sum * 0.5 + data[(i * 7u + id.x * ${j + 1}u) % 64u];`).join("\n")}
  }
  data[id.x] = sum;
}`;

function anonymous(): number {
  return Number(/RssAnon:\s+(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))[1]);
}

async function dispatch(code: string, turns: number): Promise<{ kibibytes: number; milliseconds: number }> {
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } });
  const uniform = device.createBuffer({ size: 16, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
  device.queue.writeBuffer(uniform, 0, new Uint32Array([turns, 0, 0, 0]));
  const data = device.createBuffer({ size: 256, usage: GPUBufferUsage.STORAGE });
  const entries = [uniform, data].map((buffer, binding) => ({ binding, resource: { buffer } }));
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  const times = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(1);
      pass.end();
      device.queue.submit([encoder.finish()]);
    }
    await device.queue.onSubmittedWorkDone();
  };
  await times(20);
  const [before, begun] = [anonymous(), performance.now()];
  await times(200);
  return { kibibytes: (anonymous() - before) / 200, milliseconds: (performance.now() - begun) / 200 };
}

const UNIFORM = "parameters.turns";
const MINIMUM = "min(parameters.turns, arrayLength(&data))";
for (const [lines, turns] of [[1, 4], [16, 1], [16, 4], [16, 100]]) {
  for (const bound of [UNIFORM, MINIMUM]) {
    const { kibibytes, milliseconds } = await dispatch(shader(bound, lines), turns);
    const name = `${turns} turns of ${lines} lines, i < ${bound}`;
    console.error(`${name}: ${kibibytes.toFixed(0)} KiB, ${milliseconds.toFixed(2)} ms`);
    console.log(`${name}: ${kibibytes > 50 ? "grows" : "flat"}`);
  }
}
Deno.exit();
TS

deno() { npx --yes deno@2.9.6 "$@"; }
deno --version | head -n 1
dpkg-query --show mesa-vulkan-drivers 2>/dev/null || true
found=$(deno run --quiet --no-check --no-lock --allow-all "$folder/dispatch.ts")
echo "$found"

wanted="4 turns of 1 lines, i < parameters.turns: flat
4 turns of 1 lines, i < min(parameters.turns, arrayLength(&data)): flat
1 turns of 16 lines, i < parameters.turns: flat
1 turns of 16 lines, i < min(parameters.turns, arrayLength(&data)): flat
4 turns of 16 lines, i < parameters.turns: grows
4 turns of 16 lines, i < min(parameters.turns, arrayLength(&data)): flat
100 turns of 16 lines, i < parameters.turns: flat
100 turns of 16 lines, i < min(parameters.turns, arrayLength(&data)): flat"
if [ "$found" = "$wanted" ]; then
  echo "As described: a loop that is unrolled by the value of a uniform is compiled at each dispatch and kept."
else
  echo "The behaviour has changed."
  exit 1
fi
