/** The watch over kernels finds one that a driver compiles at each dispatch, and tells the others from it. */

import { assert, assertMatch } from "@std/assert";
import { isLlvmpipe } from "../../models/graphs/llvmpipe_loops.ts";
import { testOnGpu } from "../devices.ts";

const PROJECT = new URL("../../", import.meta.url);

testOnGpu("shaders: the watch over kernels names each call and says whether it grows", async ({ info }) => {
  if (Deno.build.os !== "linux") return;
  const from = (path: string): string => JSON.stringify(new URL(path, PROJECT).href);
  const source = `
    import { WebGpuDevice } from ${from("kernels/device/webgpu_device.ts")};
    const device = await WebGpuDevice.open();
    const data = device.upload(new Float32Array(64));
    const wgsl = (bound) => \`
      struct Parameters { turns: u32 }
      @group(0) @binding(0) var<uniform> parameters: Parameters;
      @group(0) @binding(1) var<storage, read_write> data: array<f32>;
      @compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        var sum = 0.0;
        for (var i = 0u; i < \${bound}; i++) {
          \${Array.from({ length: 16 }, (_, j) => \`sum = sum * 0.5 + data[(i * 7u + id.x * \${j}u) % 64u];\`).join(" ")}
        }
        data[id.x] = sum;
      }\`;
    const bounds = { unrolled: "parameters.turns", bounded: "min(parameters.turns, arrayLength(&data))" };
    for (const [name, bound] of Object.entries(bounds)) {
      device.run({ name, wgsl: wgsl(bound), plan: () => {
        return { arrays: [data], parameters: [["u32", 4]], workgroups: [1, 1, 1] };
      }, twin() {} });
    }
    await device.read([data]);
    Deno.exit();
  `;
  const file = await Deno.makeTempFile({ suffix: ".js" });
  try {
    await Deno.writeTextFile(file, source);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", "--preload", "bench/kernel_memory.ts", file],
      cwd: PROJECT,
      env: { NO_COLOR: "1" },
      stdout: "piped",
      stderr: "piped",
    }).output();
    const said = new TextDecoder().decode(stdout);
    assertMatch(said, /^flat -?\d+ KiB bounded \{\} \[\["u32",4\]\]$/m, new TextDecoder().decode(stderr));
    // Of Debian 12's version it is known; another driver is free not to grow.
    const known = isLlvmpipe(info) && info.description.includes("LLVM 15.0");
    assertMatch(said, known ? /^GROWS \d+ KiB unrolled/m : /^(GROWS|flat) -?\d+ KiB unrolled/m);
    assert(said.trim().split("\n").length === 2, said);
  } finally {
    await Deno.remove(file);
  }
});
