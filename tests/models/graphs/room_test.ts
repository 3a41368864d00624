/** How much memory is found for a model, by what is told, what may be asked, and what a runtime has. */

import { assert, assertEquals } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { roomOn, WASM_BYTES } from "../../../models/graphs/room.ts";
import { hasGpu, testOnGpu } from "../../devices.ts";

Deno.test("roomOn: memory that is told counts, except beyond what WebAssembly has", async () => {
  using device = new CpuDevice();
  const bytes = async (options: Parameters<typeof roomOn>[1]): Promise<(number | undefined)[]> => {
    const { available, most } = await roomOn(device, options);
    return [available, most];
  };
  const [wasm, most] = await bytes({});
  assert(wasm !== undefined && wasm <= WASM_BYTES && wasm === most);
  assertEquals(await bytes({ memory: 1e9 }), [1e9, 1e9]);
  assertEquals(await bytes({ memory: 1e11 }), [WASM_BYTES, WASM_BYTES]);
  assertEquals(await bytes({ memory: 1e11, cpuProvider: "native" }), [1e11, 1e11]);
  // What the host has beyond what is free just now may be had.
  const [free, all] = await bytes({ cpuProvider: "native" });
  assert(free! < all! && all! >= Deno.systemMemoryInfo().total);
});

Deno.test("roomOn: without permission to ask, WebAssembly's memory is assumed and nothing is asked", async () => {
  const from = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  const source = `
    import { roomOn } from ${from("../../../models/graphs/room.ts")};
    import { CpuDevice } from ${from("../../../kernels/device/cpu_device.ts")};
    using device = new CpuDevice();
    const rooms = [await roomOn(device), await roomOn(device, { cpuProvider: "native" })];
    console.log(...rooms.flatMap(({ available, most }) => [available, most]));
  `;
  const url = `data:application/typescript,${encodeURIComponent(source)}`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--quiet", "--no-check", "--allow-import", "--allow-read", url],
    stdout: "piped",
    stderr: "piped",
    cwd: new URL("../../..", import.meta.url),
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  assertEquals(new TextDecoder().decode(stdout).trim(), `${WASM_BYTES} ${WASM_BYTES} undefined undefined`);
});

testOnGpu("roomOn: an adapter in software has the host's memory", async (device) => {
  assert(hasGpu);
  const software = /llvmpipe|swiftshader|basic render/i.test(device.info.description);
  const { available, most } = await roomOn(device);
  assertEquals([available !== undefined, most !== undefined], [software, software]);
  const told = await roomOn(device, { memory: 5 });
  assertEquals([told.available, told.most], [5, 5]);
});
