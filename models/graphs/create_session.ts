/**
 * Loads a graph by the runtime that follows from the device and, on the CPU, from who is to compute. Nobody
 * else opens a runtime; their doors are `web_graph_session.ts` and `native_graph_session.ts`.
 *
 * @module
 */

import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import type { Device } from "../../kernels/device/device.ts";
import type { CpuProvider, GraphSession, GraphSessionOptions } from "./graph_session.ts";
import { NativeGraphSession } from "./native_graph_session.ts";
import { startNativeRuntime } from "./native_runtime.ts";
import { buildFor, startRuntime, WebGraphSession } from "./web_graph_session.ts";

/**
 * Starts the runtime that graphs on a device will need, so that it does so while files are read. Whatever
 * keeps it from starting is told when the first graph is loaded.
 */
export function prepareRuntime(
  device: Device,
  { threads, cpuProvider, bytes = 0 }: {
    readonly threads?: number | undefined;
    readonly cpuProvider?: CpuProvider | undefined;
    /** Bytes of the largest file of weights; 0 by default. */
    readonly bytes?: number;
  } = {},
): void {
  const starting = isNative(device, cpuProvider)
    ? startNativeRuntime()
    : startRuntime(buildFor(device, bytes), threads);
  starting.catch(() => {});
}

function isNative(device: Device, cpuProvider: CpuProvider | undefined): device is CpuDevice {
  return cpuProvider === "native" && device instanceof CpuDevice;
}

/**
 * Loads a graph; its outputs stay on the device.
 *
 * @example
 * ```ts
 * import { createGraphSession } from "./create_session.ts";
 * import { GraphBuilder } from "./graph_builder.ts";
 * import { CpuDevice } from "../../kernels/device/cpu_device.ts";
 * import { readFloats } from "../../kernels/device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = new GraphBuilder("double");
 * const x = graph.input({ name: "x", type: "float32", shape: ["n"] });
 * graph.output({ name: "y", type: "float32", shape: ["n"] }, graph.add("Add", [x, x]));
 *
 * using device = new CpuDevice();
 * await using session = await createGraphSession(device, graph.bytes());
 * const { y } = await session.run({ x: { array: device.upload(new Float32Array([1, 2])), shape: [2] } });
 * assertEquals([...await readFloats(y!)], [2, 4]);
 * ```
 */
export function createGraphSession(
  device: Device,
  model: Uint8Array,
  options: GraphSessionOptions = {},
): Promise<GraphSession> {
  if (isNative(device, options.cpuProvider)) {
    return NativeGraphSession.create(device, model, options);
  }
  return WebGraphSession.create(device, model, options);
}
