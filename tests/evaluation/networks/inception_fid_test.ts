import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { openInceptionFid } from "../../../evaluation/networks/inception_fid.ts";
import type { MetricNetwork, MetricOutput } from "../../../evaluation/networks/metric_network.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { Device } from "../../../kernels/device/device.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import type { ModelTensor } from "../../../models/weights/model_tensor.ts";
import { testOnDevices } from "../../devices.ts";
import { maxDifference } from "../../fixtures/golden/golden.ts";
import { pictures, pytorchFile, stored } from "../../models/vision/formula.ts";
import { inceptionTensors } from "../../models/vision/inception_layout.ts";

const RECORDED = new URL("../../fixtures/evaluation/inception_fid.safetensors", import.meta.url);
/**
 * What f32 may be off, in units of the largest number: as for the graph (`inception_graph_test.ts`), and what
 * PyTorch's resizing is off, whose positions are rounded to f32: up to 2^-24 of 330 pixels, so that a pixel
 * among its neighbours, which are up to 2 apart, moves by 4e-5, in either direction for each.
 */
const TOLERANCE = 1e-4;

const SIZES = {
  small: { count: 2, width: 56, height: 40 },
  large: { count: 1, width: 310, height: 330 },
  exact: { count: 1, width: 299, height: 299 },
} as const;

const CLASSES: readonly ModelTensor[] = [
  { name: "fc.weight", shape: [1008, 512] },
  { name: "fc.bias", shape: [1008] },
];
const TENSORS: readonly ModelTensor[] = [...inceptionTensors(4), ...CLASSES];

async function look(
  device: Device,
  network: MetricNetwork,
  name: keyof typeof SIZES,
  wanted: readonly MetricOutput[],
): Promise<Partial<Record<MetricOutput, Float32Array>>> {
  using shown = pictures(device, name, SIZES[name]);
  const rows = await network.look(shown, wanted);
  assertEquals(Object.keys(rows), wanted);
  return Object.fromEntries(
    Object.entries(rows).map(([output, { values, count, dimensions }]) => {
      assertEquals([count, count * dimensions], [SIZES[name].count, values.length]);
      return [output, values];
    }),
  );
}

async function assertRecorded(name: string, found: Float32Array): Promise<void> {
  using recorded = await openCheckpoint(RECORDED);
  const wanted = await recorded.readFloat32(name);
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const difference = maxDifference(found, wanted) / largest;
  assert(difference <= TOLERANCE, `${name}: ${difference} of the largest number`);
}

Deno.test("openInceptionFid: a file that cannot be downloaded is told with the way around", async () => {
  using device = new CpuDevice();
  // A port that no fetch asks.
  await assertRejects(
    () => openInceptionFid(device, new URL("http://127.0.0.1:9/inception.pth")),
    ModelFileError,
    'expected the file there, or "inception-fid:PATH" of one that is here already',
  );
});

testOnDevices(
  "openInceptionFid: says what the published network says, of all three kinds",
  async (device) => {
    await using file = await pytorchFile(stored(TENSORS));
    await using network = await openInceptionFid(device, file.path);
    assertEquals(network.outputs, ["features", "logits", "spatial"]);
    assertEquals(network.device, device);
    const { liveArrays } = device.counters;
    const said = await look(device, network, "small", network.outputs);
    for (const output of network.outputs) await assertRecorded(`small.tensorflow.${output}`, said[output]!);
    assertEquals(device.counters.liveArrays, liveArrays);
  },
);

for (const resize of ["tensorflow", "pytorch", "clean"] as const) {
  Deno.test(`openInceptionFid: pictures are resized as "${resize}" resizes them`, async () => {
    using device = new CpuDevice();
    await using file = await pytorchFile(stored(TENSORS));
    await using network = await openInceptionFid(device, file.path, { resize });
    for (const name of Object.keys(SIZES) as (keyof typeof SIZES)[]) {
      const { features } = await look(device, network, name, ["features"]);
      await assertRecorded(`${name}.${resize}.features`, features!);
    }
  });
}

Deno.test("openInceptionFid: numbers are told apart by the weights and by the resizing", async () => {
  using device = new CpuDevice();
  await using file = await pytorchFile(stored(TENSORS));
  const fingerprint = async (
    path: string | Uint8Array,
    options: Parameters<typeof openInceptionFid>[2] = {},
  ): Promise<string> => {
    await using network = await openInceptionFid(device, path, options);
    return network.fingerprint;
  };
  const own = await fingerprint(file.path);
  assertEquals(await fingerprint(await Deno.readFile(file.path), { resize: "tensorflow" }), own);
  assertNotEquals(await fingerprint(file.path, { resize: "pytorch" }), own);
  await using other = await pytorchFile(stored([...TENSORS].reverse()));
  assertNotEquals(await fingerprint(other.path), own);
});

Deno.test("openInceptionFid: what the file lacks, and what it has not been made for, is named", async () => {
  using device = new CpuDevice();
  const refused = async (tensors: readonly ModelTensor[], message: string): Promise<void> => {
    await using file = await pytorchFile(stored(tensors));
    await assertRejects(() => openInceptionFid(device, file.path), ModelFileError, message);
  };
  const without = (name: string): readonly ModelTensor[] => TENSORS.filter((tensor) => tensor.name !== name);
  await refused(
    [...inceptionTensors(4), { name: "fc.weight", shape: [1000, 512] }, { name: "fc.bias", shape: [1000] }],
    "expected 1008 classes, as in pt_inception-2015-12-05-6726825d.pth, found 1000",
  );
  await refused(without("Mixed_6d.branch7x7_2.bn.bias"), "Mixed_6d.branch7x7_2.bn.bias");
  await refused(without("fc.weight"), "fc.weight");
  await refused([...without("fc.bias"), { name: "fc.bias", shape: [1007] }], "expected [1008], found [1007]");
  await refused([...TENSORS, { name: "AuxLogits.fc.bias", shape: [1000] }], '"AuxLogits.fc.bias"');
  await refused(CLASSES, "Cannot find the Inception-v3 of FID in the file");
  await assertRejects(
    () => openInceptionFid(device, "absent.pth", { resize: "legacy" as "clean" }),
    TypeError,
    'resize must be one of "tensorflow", "pytorch", "clean": current value is "legacy"',
  );
  assertEquals(device.counters.liveArrays, 0);
});

Deno.test("openInceptionFid: a file on a web server comes once, and is the same network", async () => {
  using device = new CpuDevice();
  await using file = await pytorchFile(stored(TENSORS));
  const content = await Deno.readFile(file.path);
  let bytes = 0;
  await using server = Deno.serve({ port: 0, onListen() {} }, (request) => {
    const [, from = "0", to = `${content.length - 1}`] = /bytes=(\d+)-(\d*)/.exec(
      request.headers.get("range") ?? "",
    ) ?? [];
    const body = content.slice(Number(from), Number(to || content.length - 1) + 1);
    if (request.method === "GET") bytes += body.length;
    const headers = {
      "accept-ranges": "bytes",
      "content-length": `${body.length}`,
      "content-range": `bytes ${from}-${Number(from) + body.length - 1}/${content.length}`,
    };
    return new Response(request.method === "HEAD" ? null : body, { status: 206, headers });
  });
  const address = `http://localhost:${server.addr.port}/pt_inception-2015-12-05-6726825d.pth`;
  await using network = await openInceptionFid(device, address);
  await using local = await openInceptionFid(device, file.path);
  assertEquals(network.fingerprint, local.fingerprint);
  assert(bytes < 1.01 * content.length, `${bytes} bytes for ${content.length}`);
});
