import { assert, assertEquals, assertRejects } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { Inception } from "../../../models/vision/inception.ts";
import { INCEPTION } from "../../../models/vision/networks.ts";
import { maxDifference } from "../../fixtures/golden/golden.ts";
import { testOnDevices } from "../../devices.ts";
import { pictures, pytorchFile, stored } from "./formula.ts";
import { inceptionTensors } from "./inception_layout.ts";

const RECORDED = new URL("../../fixtures/vision/inception.safetensors", import.meta.url);
/** As for the graph (`inception_graph_test.ts`); inputs are the same bits but for what cancels in them. */
const TOLERANCE = 5.3e-5;

/** What the published file holds beside: some of the second classifier, classes, counts of batches. */
const BESIDE = stored([
  { name: "AuxLogits.conv0.conv.weight", shape: [8, 192, 1, 1] },
  { name: "AuxLogits.fc.bias", shape: [1000] },
  { name: "fc.weight", shape: [10, 512] },
  { name: "fc.bias", shape: [10] },
  { name: "Mixed_5b.branch1x1.bn.num_batches_tracked", shape: [] },
]);

testOnDevices("Inception: features are those of the released TTS-VAR code", async (device) => {
  await using file = await pytorchFile([...stored(inceptionTensors(4)), ...BESIDE]);
  await using network = await INCEPTION.open(device, { weights: file.path }) as Inception;
  using shown = pictures(device, "pictures", { count: 2, width: 56, height: 40 });
  using recorded = await openCheckpoint(RECORDED);
  const wanted = await recorded.readFloat32("pictures");
  using found = await network.features(shown);
  assertEquals([found.tokens, found.channels, network.smallestEdge], [1, 512, 299]);
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const difference = maxDifference((await readFloats(found.array)).slice(0, 1024), wanted) / largest;
  assert(difference <= TOLERANCE, `${difference} of the largest feature`);
});

Deno.test("Inception: a file of something else, or with more in it, is refused", async () => {
  using device = new CpuDevice();
  await using other = await pytorchFile(BESIDE);
  await assertRejects(
    () => Inception.open(device, other.path),
    ModelFileError,
    "Cannot find an Inception-v3",
  );
  await using more = await pytorchFile([
    ...stored(inceptionTensors(4)),
    ...stored([{ name: "Mixed_7d.branch1x1.conv.weight", shape: [4, 4, 1, 1] }]),
  ]);
  await assertRejects(() => Inception.open(device, more.path), ModelFileError, '"Mixed_7d.');
  assertEquals(device.counters.liveArrays, 0);
});
