import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { MetricOutput } from "../../../evaluation/networks/metric_network.ts";
import { columnsOf, metricNetworkOf, type OwnNetwork } from "../../../evaluation/networks/own_network.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";

function countingNetwork(device: CpuDevice, changes: Partial<OwnNetwork> = {}): OwnNetwork {
  return {
    name: "counting",
    fingerprint: "1",
    outputs: ["features"],
    device,
    look: ({ count }) => {
      const values = Float32Array.from({ length: count }, (_, i) => i);
      return Promise.resolve({ features: { values, count, dimensions: 1 } });
    },
    ...changes,
  };
}

Deno.test("metricNetworkOf: what the network cannot say, and nothing, is refused", async () => {
  using device = new CpuDevice();
  using array = device.allocate(4);
  const pictures = { array, count: 2, width: 2, height: 1 };
  await using network = metricNetworkOf(countingNetwork(device, { classes: ["a"], flops: 2 }));
  assertEquals([network.classes, network.flops, network.device], [["a"], 2, device]);
  const { features } = await network.look(pictures, ["features"]);
  assertEquals([...features!.values], [0, 1]);
  const refused = (count: number, wanted: readonly string[], message: string) => {
    return assertRejects(
      () => network.look({ ...pictures, count }, wanted as readonly MetricOutput[]),
      RangeError,
      message,
    );
  };
  await refused(
    2,
    ["features", "spatial"],
    'wanted of "counting" must be "features": current value is "spatial"',
  );
  await refused(2, [], 'what is wanted of "counting" must be "features"');
  await refused(0, ["features"], "the number of pictures must be an integer >= 1");
});

Deno.test("metricNetworkOf: what is no network is refused", () => {
  using device = new CpuDevice();
  const refused = (changes: object, message: string) => {
    assertThrows(() => metricNetworkOf({ ...countingNetwork(device), ...changes }), TypeError, message);
  };
  refused({ outputs: [] }, "outputs must be at least one output");
  refused({ look: 3 }, "look must be a function");
});

Deno.test("metricNetworkOf: disposing waits for what it is at, and nothing is begun afterwards", async () => {
  using device = new CpuDevice();
  using array = device.allocate(1);
  const pictures = { array, count: 1, width: 1, height: 1 };
  const events: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const network = metricNetworkOf(countingNetwork(device, {
    async look() {
      await promise;
      events.push("looked");
      return {};
    },
    dispose: () => void events.push("disposed"),
  }));
  const looking = network.look(pictures, ["features"]);
  const disposing = network[Symbol.asyncDispose]();
  resolve();
  await Promise.all([looking, disposing]);
  assertEquals(events, ["looked", "disposed"]);
  await assertRejects(() => network.look(pictures, ["features"]), TypeError, '"counting" has been disposed');
});

Deno.test("metricNetworkOf: an aborted request is not begun", async () => {
  using device = new CpuDevice();
  using array = device.allocate(1);
  await using network = metricNetworkOf(countingNetwork(device));
  const reason = new Error("enough");
  const options = { signal: AbortSignal.abort(reason) };
  const pictures = { array, count: 1, width: 1, height: 1 };
  assertEquals(await assertRejects(() => network.look(pictures, ["features"], options)), reason);
});

Deno.test("columnsOf: columns are cut out of rows, and what follows the rows is left", () => {
  const values = Float32Array.from({ length: 8 }, (_, i) => i);
  const rows = columnsOf(values, { count: 2, width: 3, first: 1, dimensions: 2 });
  assertEquals(rows, { values: new Float32Array([1, 2, 4, 5]), count: 2, dimensions: 2 });
});
