import { assertEquals, assertRejects } from "@std/assert";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import { PictureSession } from "../../../models/vision/picture_session.ts";
import { openWeightFiles } from "../../../models/weights/weight_files.ts";
import type { Device } from "../../../kernels/device/device.ts";
import { testOnDevices } from "../../devices.ts";
import { randomPictures, valuesOf } from "./published_networks.ts";

const EDGE = 4;

/** The sum of a picture's reds, and of a number beside it. */
async function sums(device: Device, widest: number): Promise<PictureSession> {
  const graph = new GraphBuilder("sums");
  const pictures = graph.input({ name: "pictures", type: "float32", shape: ["count", 3, EDGE, EDGE] });
  const beside = graph.input({ name: "beside", type: "float32", shape: ["count", 1] });
  const sum = graph.add("ReduceSum", [
    graph.reshape(graph.split(pictures, 3, 1)[0]!, [0, -1]),
    graph.constant("int64", [1]),
  ], {
    keepdims: 1,
  });
  graph.output({ name: "result", type: "float32", shape: ["count", 1] }, graph.add("Add", [sum, beside]));
  using weights = await openWeightFiles("none", []);
  return await PictureSession.create(device, {
    name: "sums",
    graph: graph.bytes(),
    weights,
    preprocessing: {
      size: { width: EDGE, height: EDGE },
      resize: "none",
      fit: "squash",
      mean: [0, 0, 0],
      std: [1, 1, 1],
    },
    results: 1,
    widest,
  });
}

testOnDevices("PictureSession: any number of pictures at a time makes the same results", async (device) => {
  const count = 5;
  const pictures = randomPictures(device, { seed: 3, count, edge: EDGE });
  using _pixels = pictures.array;
  const [pixels] = await device.read([pictures.array]);
  const values = Float32Array.from({ length: count }, (_, i) => 100 * i);
  // At most 2^27 bytes: all at once, two at a time, one at a time though it is too large.
  for (const widest of [1, 2 ** 24 - 1, 2 ** 30]) {
    await using session = await sums(device, widest);
    const found = await valuesOf(await session.run(pictures, {}, { beside: { values, width: 1 } }));
    for (const [i, value] of found.entries()) {
      const reds = pixels!.subarray(i * EDGE * EDGE, (i + 1) * EDGE * EDGE).map((pixel) => pixel & 255);
      const wanted = reds.reduce((sum, red) => sum + red, 0) / 255 + 100 * i;
      // 16 sums in f32 of numbers up to 500.
      assertEquals(Math.abs(value - wanted) < 5e-4, true, `${value} for ${wanted}`);
    }
  }
});

testOnDevices("PictureSession: what fails or is aborted leaves nothing on the device", async (device) => {
  await using session = await sums(device, 1);
  const pictures = randomPictures(device, { seed: 3, count: 2, edge: EDGE });
  using _pixels = pictures.array;
  const before = device.counters.liveBytes;
  const reason = new Error("enough");
  await assertRejects(() => session.run(pictures, { signal: AbortSignal.abort(reason) }), Error, "enough");
  await assertRejects(() => session.run(pictures));
  await assertRejects(() => session.run({ ...pictures, width: 2, height: 8 }), RangeError, "4×4 pixels");
  assertEquals(device.counters.liveBytes, before);
});
