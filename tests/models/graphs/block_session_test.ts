/** A transformer in parts: the same bits as in one graph, and no more in memory than there is room for. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { Device } from "../../../kernels/device/device.ts";
import { BlockwiseSession } from "../../../models/graphs/block_session.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import { testOnDevices, testOnGpu } from "../../devices.ts";
import { assertSameInParts, runOnce } from "./blocks.ts";
import { DEPTH, partGraphs, runTiny, tinyBytes, tinyFile } from "./tiny_transformer.ts";

const BLOCK = tinyBytes("block.0.");

function createTiny(device: Device, memory: number = 0): Promise<BlockwiseSession> {
  return BlockwiseSession.create(device, partGraphs(), { memory, externalFiles: [tinyFile()] });
}

testOnDevices("BlockwiseSession: parts compute to the bit what the whole does", async (device) => {
  await assertSameInParts(device);
  if (device.kind === "cpu") await assertSameInParts(device, { prepack: false });
});

Deno.test("BlockwiseSession: as many parts stay loaded as there is room for", async () => {
  using device = new CpuDevice();
  const [embed, head] = [tinyBytes("embed."), tinyBytes("head.")];
  const all = tinyBytes();
  const wanted: number[][] = [];
  const rows: [memory: number, resident: number, bytesRead: number][] = [
    [0, 0, all],
    [BLOCK, 0, all],
    // The smaller parts, beside one block for its turn.
    [BLOCK + embed, 1, all - embed],
    [BLOCK + embed + head, 2, all - embed - head],
    [2 * BLOCK + embed, 2, all - embed - BLOCK],
    [all - 1, 3, BLOCK + head],
    [all, DEPTH + 2, 0],
  ];
  for (const [memory, resident, bytesRead] of rows) {
    await using session = await createTiny(device, memory);
    assertEquals(session.resident, resident, `${memory} bytes`);
    wanted.push(await runOnce(session, device));
    const counters = { runs: 1, loads: DEPTH + 2 - resident, bytesRead };
    assertEquals(session.counters, counters, `${memory} bytes`);
  }
  for (const found of wanted) assertEquals(found, wanted[0]);
});

Deno.test("BlockwiseSession: what nobody wants is neither loaded nor kept", async () => {
  using device = new CpuDevice();
  await using session = await createTiny(device);
  const before = device.counters.liveArrays;
  // The keys of the first block need neither the other blocks nor the head.
  await runOnce(session, device, ["new_key.0"]);
  assertEquals(session.counters.loads, 2);
  // What goes from part to part can be asked for, too.
  await runOnce(session, device, ["hidden.1", "logits"]);
  assertEquals(session.counters.loads, 2 + DEPTH + 2);
  assertEquals(device.counters.liveArrays, before);
  await assertRejects(
    () => session.run({}, ["logit"]),
    TypeError,
    'the name of an output must be one that a part gives: current value is "logit"',
  );
});

Deno.test("BlockwiseSession: runs take turns, and unloading waits for them", async () => {
  using device = new CpuDevice();
  const session = await createTiny(device, BLOCK + tinyBytes("embed."));
  const wanted = await runOnce(session, device);
  const running = Promise.all([runOnce(session, device), runOnce(session, device)]);
  const ending = session[Symbol.asyncDispose]();
  // The runs came first.
  const outcomes = await Promise.allSettled([running, ending]);
  assertEquals(outcomes.map(({ status }) => status), ["fulfilled", "fulfilled"]);
  assertEquals(await running, [wanted, wanted]);
  await assertRejects(() => runOnce(session, device), TypeError, "it has been disposed");
  await session[Symbol.asyncDispose]();
});

Deno.test("BlockwiseSession: a failure in the middle leaves nothing behind", async () => {
  using device = new CpuDevice();
  const before = device.counters.liveArrays;
  {
    // A block that cannot be loaded, and one that is not fed what it takes.
    const graphs = partGraphs();
    const damaged = tinyFile();
    const short = { ...damaged, data: (damaged.data as Uint8Array).slice(0, tinyBytes() - BLOCK) };
    await using broken = await BlockwiseSession.create(device, graphs, { externalFiles: [short] });
    await assertRejects(() => runOnce(broken, device), Error);
    assertEquals([broken.counters.runs, broken.counters.loads], [0, 3]);
    await using session = await createTiny(device);
    await assertRejects(() => runOnce(session, device, undefined, ["gate.1"]), Error, "gate.1");
    assertEquals([session.counters.runs, session.counters.loads], [0, 3]);
    assertEquals(device.counters.liveArrays, before);
    // It goes on afterwards.
    await runTiny(session, device);
  }
  assertEquals(device.counters.liveArrays, before);
});

/** y = x + 1 under other names and shapes. */
function addOne(
  from: string,
  to: string,
  shapes: { readonly from: readonly string[]; readonly to: readonly string[] } = { from: ["n"], to: ["n"] },
): Uint8Array {
  const graph = new GraphBuilder(`${from} to ${to}`);
  const x = graph.input({ name: from, type: "float32", shape: shapes.from });
  const y = graph.add("Add", [x, graph.constant("float32", [1])]);
  graph.output({ name: to, type: "float32", shape: shapes.to }, y);
  return graph.bytes();
}

Deno.test("BlockwiseSession: parts that do not go together are refused", async () => {
  using device = new CpuDevice();
  const rows: [Uint8Array[], string][] = [
    [[addOne("x", "y"), addOne("x", "y")], 'both "x to y" and "x to y" give "y"'],
    [[addOne("y", "z"), addOne("x", "y")], '"y to z" takes "y", which "x to y" gives later'],
    [
      [addOne("x", "y", { from: ["n"], to: ["m"] }), addOne("y", "z")],
      'nothing that is fed tells "m" of "y", which "x to y" gives',
    ],
  ];
  for (const [parts, message] of rows) {
    await assertRejects(() => BlockwiseSession.create(device, parts), TypeError, message);
  }
  await assertRejects(() => BlockwiseSession.create(device, [], { memory: -1 }), RangeError, "memory");
  // The last one is not taken, so nobody needs its shape; two that differ are noticed.
  const sum = new GraphBuilder("sum");
  const inputs = ["y", "w"].map((name) => sum.input({ name, type: "float32", shape: ["n"] }));
  sum.output({ name: "z", type: "float32", shape: ["any"] }, sum.add("Add", inputs));
  await using session = await BlockwiseSession.create(device, [addOne("x", "y"), sum.bytes()]);
  using x = device.upload(new Float32Array(3));
  await assertRejects(
    () => session.run({ x: { array: x, shape: [3] }, w: { array: x, shape: [1] } }),
    TypeError,
    '"n" must be the same in all that is fed: it is 3, and 1 in "w"',
  );
  assert(session.counters.runs === 0);
});

testOnGpu(
  "BlockwiseSession: on a GPU, which keeps the weights, all parts stay loaded or none is",
  async (device) => {
    const all = tinyBytes();
    for (const memory of [0, all - 1]) {
      await assertRejects(
        () => createTiny(device, memory),
        RangeError,
        `as ONNX Runtime keeps their weights there; use device: "cpu", or memory for all ${all} bytes`,
      );
    }
    await using session = await createTiny(device, all);
    const before = device.counters.liveArrays;
    await runOnce(session, device);
    await runOnce(session, device, ["new_key.0", "hidden.1"]);
    await assertRejects(() => runOnce(session, device, undefined, ["gate.1"]), Error, "gate.1");
    assertEquals(device.counters.liveArrays, before);
    assertEquals(session.counters, { runs: 2, loads: 0, bytesRead: 0 });
  },
);
