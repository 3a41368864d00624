import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import {
  FID_POOLS,
  foldedConvolutions,
  inceptionConvolutions,
  inceptionCost,
  inceptionGraph,
  type InceptionPools,
  TORCHVISION_POOLS,
} from "../../../models/vision/inception_graph.ts";
import { openWeightEntries } from "../../../models/vision/network_weights.ts";
import { elementsOf, type ModelTensor } from "../../../models/weights/model_tensor.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { maxDifference } from "../../fixtures/golden/golden.ts";
import { testOnDevices } from "../../devices.ts";
import { uniform, weight } from "./formula.ts";
import { inceptionTensors } from "./inception_layout.ts";

const RECORDED = new URL("../../fixtures/vision/inception.safetensors", import.meta.url);
/**
 * What f32 may be off, in units of the largest feature. 28 convolutions in a row at most, of at most 112 · 9
 * terms, whose roundings of 2^-24 add up like their root: 28 times 32 roundings are 5.3e-5.
 */
const TOLERANCE = 5.3e-5;

function setOf(tensors: readonly ModelTensor[]): WeightSet {
  return new WeightSet(
    "inception.pth",
    new Map(tensors.map(({ name, shape }) => [name, { shape, dtype: "F32" }])),
  );
}

async function featuresOf(device: Device, pools: InceptionPools): Promise<Float32Array> {
  const tensors = inceptionTensors(4);
  const shapes = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const convolutions = inceptionConvolutions(setOf(tensors));
  const reader = {
    file: "inception.pth",
    readFloat32: (name: string) => Promise.resolve(weight(shapes.get(name)!)),
  };
  using weights = await openWeightEntries(reader.file, foldedConvolutions(convolutions, reader));
  const graph = inceptionGraph(new WeightSet("folded", weights.tensors), weights.places, pools);
  await using session = await createGraphSession(device, graph, { externalFiles: weights.files });
  using planes = device.upload(uniform("planes", [2, 3, 83, 75]));
  const { result } = await session.run({ pictures: { array: planes, shape: [2, 3, 83, 75] } });
  using features = result!;
  return (await readFloats(features)).slice(0, 2 * 512);
}

testOnDevices("inceptionGraph: features are torchvision's, whichever way pools count", async (device) => {
  using recorded = await openCheckpoint(RECORDED);
  for (const [name, pools] of [["torchvision", TORCHVISION_POOLS], ["fid", FID_POOLS]] as const) {
    const wanted = await recorded.readFloat32(name);
    const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const difference = maxDifference(await featuresOf(device, pools), wanted) / largest;
    assert(difference <= TOLERANCE, `${name}: ${difference} of the largest feature`);
  }
});

Deno.test("inceptionConvolutions: all tensors of the published sizes are taken", () => {
  const tensors = inceptionTensors();
  const set = setOf(tensors);
  assertEquals(inceptionConvolutions(set).length, 94);
  set.requireAllTaken(/^$/);
  // Of the 27 161 264 parameters that torchvision states, 3 326 696 are of the second classifier and
  // 2 049 000 of the last layer; means and variances are none.
  const parameters = tensors.filter(({ name }) => !name.includes(".running_"));
  assertEquals(elementsOf(parameters), 27_161_264 - 3_326_696 - 2_049_000);
});

Deno.test("inceptionConvolutions: what is missing or of another shape is named", () => {
  const tensors = inceptionTensors(4);
  const changed = (name: string, shape?: readonly number[]): WeightSet => {
    return setOf(tensors.flatMap((tensor) => {
      if (tensor.name !== name) return [tensor];
      return shape === undefined ? [] : [{ name, shape }];
    }));
  };
  const name = "Mixed_7c.branch3x3_2b.conv.weight";
  assertThrows(() => inceptionConvolutions(changed(name)), ModelFileError, name);
  assertThrows(
    () => inceptionConvolutions(changed(name, [96, 96, 1, 3])),
    ModelFileError,
    "expected [any, 96, 3, 1], found [96, 96, 1, 3]",
  );
  const variance = "Mixed_5b.branch_pool.bn.running_var";
  assertThrows(() => inceptionConvolutions(changed(variance, [3])), ModelFileError, variance);
});

Deno.test("foldedConvolutions: a batch norm is in the convolution to the last bit of f32", async () => {
  const shape = [1, 2, 1, 1];
  const values: Record<string, number[]> = {
    "a.conv.weight": [3, -0.7],
    "a.bn.weight": [1.1],
    "a.bn.bias": [0.3],
    "a.bn.running_mean": [0.9],
    "a.bn.running_var": [0.25],
  };
  const reader = {
    file: "a.pth",
    readFloat32: (name: string) => Promise.resolve(Float32Array.from(values[name]!)),
  };
  const fold = async (): Promise<number[][]> => {
    using weights = await openWeightEntries(reader.file, foldedConvolutions([{ name: "a", shape }], reader));
    return [[...await weights.readFloat32("a.weight")], [...await weights.readFloat32("a.bias")]];
  };
  const { fround } = Math;
  const scale = fround(1.1) / Math.sqrt(0.25 + 1e-3);
  assertEquals(await fold(), [
    [fround(3 * scale), fround(fround(-0.7) * scale)],
    [fround(fround(0.3) - fround(0.9) * scale)],
  ]);
  values["a.bn.running_var"] = [-1];
  await assertRejects(
    fold,
    ModelFileError,
    "a.bn.running_var (expected variances from 0 on, found -1 in channel 0)",
  );
});

Deno.test("inceptionCost: a picture costs what torchvision states, 5.71 billion products", () => {
  const convolutions = inceptionConvolutions(setOf(inceptionTensors()));
  const { flops, channels } = inceptionCost(convolutions, 299);
  assertEquals(channels, 2048);
  // Torchvision counts the 2 048 000 products of the last layer, too.
  assertEquals(((flops / 2 + 2_048_000) / 1e9).toFixed(3), "5.713");
});
