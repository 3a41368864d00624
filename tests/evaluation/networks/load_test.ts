import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadMetricNetwork, METRIC_NETWORKS } from "../../../evaluation/networks/load.ts";
import { lookAtImages } from "../../../evaluation/networks/look_at_images.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import { goldenFile, maxDifference } from "../../fixtures/golden/golden.ts";
import { pytorchFile, stored } from "../../models/vision/formula.ts";
import { inceptionTensors } from "../../models/vision/inception_layout.ts";

const RECORDED = new URL("../../fixtures/evaluation/networks.safetensors", import.meta.url);
/** Products of the same numbers in another order, of values up to 20; two runtimes differ by 1e-5. */
const TOLERANCE = 1e-4;

async function recordedImages(): Promise<RgbaImage[]> {
  using golden = await openCheckpoint(goldenFile("demo/judges.safetensors"));
  const bytes = await golden.read("pictures");
  return Array.from({ length: 8 }, (_, i) => {
    const image = new RgbaImage(64, 64);
    for (let p = 0; p < 4096; p++) {
      const at = 3 * (i * 4096 + p);
      image.data.set([...bytes.subarray(at, at + 3), 255], 4 * p);
    }
    return image;
  });
}

Deno.test("loadMetricNetwork: the judges of the bundled models say what ONNX Runtime recorded", async () => {
  const images = await recordedImages();
  using features = await openCheckpoint(RECORDED);
  using golden = await openCheckpoint(goldenFile("demo/judges.safetensors"));
  await using oracle = await loadMetricNetwork("demo-oracle");
  assertEquals([oracle.outputs, oracle.flops], [["features", "logits"], 31_414_272]);
  assertEquals([oracle.classes!.length, oracle.classes![9]], [64, "orange cube"]);
  const said = await lookAtImages(oracle, images, oracle.outputs, { batch: 3 });
  assert(maxDifference(said.features!.values, await features.readFloat32("demo")) <= TOLERANCE);
  assert(maxDifference(said.logits!.values, await golden.readFloat32("oracle.logits")) <= TOLERANCE);
  await using detector = await loadMetricNetwork("demo-t2i-oracle");
  assertEquals([detector.outputs, detector.classes], [["features"], undefined]);
  const seen = await lookAtImages(detector, images, ["features"]);
  assert(maxDifference(seen.features!.values, await features.readFloat32("demo_t2i")) <= TOLERANCE);
});

Deno.test("loadMetricNetwork: a network of FID is found in its folder, and keeps its options", async () => {
  await using file = await pytorchFile(stored([
    ...inceptionTensors(8),
    { name: "fc.weight", shape: [1008, 256] },
    { name: "fc.bias", shape: [1008] },
  ]));
  const folder = await Deno.makeTempDir();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  await Deno.copyFile(file.path, `${folder}/pt_inception-2015-12-05-6726825d.pth`);
  const fingerprint = async (place: string, resize?: "tensorflow" | "clean"): Promise<string> => {
    await using network = await loadMetricNetwork(place, resize === undefined ? {} : { resize });
    assertEquals([network.name, network.outputs], ["inception-fid", ["features", "logits", "spatial"]]);
    return network.fingerprint;
  };
  const own = await fingerprint(`inception-fid:${folder}`);
  assertEquals(await fingerprint(`inception-fid:${file.path}`, "tensorflow"), own);
  assert(await fingerprint(`inception-fid:${file.path}`, "clean") !== own);
});

Deno.test("loadMetricNetwork: what names none, and options that do not suit, are refused with the cure", async () => {
  const refused = async (
    kind: typeof TypeError | typeof ModelFileError,
    message: string,
    place: unknown,
    options: object = {},
  ): Promise<void> => {
    await assertRejects(() => loadMetricNetwork(place as string, options), kind, message);
  };
  const names = METRIC_NETWORKS.map((name) => `"${name}"`).join(", ");
  await refused(TypeError, `its place must be ${names} or the place of a description`, "inception_fid");
  await refused(TypeError, "its place must be", "");
  await refused(TypeError, "its place must be", 3);
  await refused(TypeError, "its place must be", "toString");
  await refused(TypeError, 'the option "resizing" is unknown', "demo-oracle", { resizing: "clean" });
  await refused(TypeError, 'resize must be absent, as only "inception-fid"', "demo-oracle", {
    resize: "clean",
  });
  await refused(TypeError, 'cpuProvider must be one of "auto"', "demo-oracle", { cpuProvider: "gpu" });
  await refused(ModelFileError, "pt_inception", "inception-fid:absent/pt_inception.pth");
  await refused(ModelFileError, "absent/own.json", "absent/own.json");
  await using torchvision = await pytorchFile(stored([
    ...inceptionTensors(8),
    { name: "fc.weight", shape: [1000, 256] },
  ]));
  await refused(ModelFileError, "torchvision's Inception-v3", `inception-fid:${torchvision.path}`);
});

Deno.test("loadMetricNetwork: a device that is given stays the caller's, and nothing stays on it", async () => {
  using device = new CpuDevice();
  {
    await using network = await loadMetricNetwork("demo-oracle", { device, threads: 1 });
    assertEquals(network.device, device);
    await lookAtImages(network, [new RgbaImage(64, 64)], ["logits"]);
  }
  assertEquals(device.counters.liveArrays, 0);
  const network = await loadMetricNetwork("demo-oracle");
  await network[Symbol.asyncDispose]();
  const looking = () => lookAtImages(network, [new RgbaImage(64, 64)], ["logits"]);
  await assertRejects(looking, TypeError, "disposed");
});
