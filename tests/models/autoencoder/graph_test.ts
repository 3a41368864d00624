import { FLEXVAR_LAYOUT } from "../../../models/flexvar/config.ts";
import { VAR_LAYOUT } from "../../../models/var/config.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import {
  type Autoencoder,
  levelName,
  pixelsPerToken,
  readLevels,
} from "../../../models/autoencoder/config.ts";
import { decoderGraph, encoderGraph } from "../../../models/autoencoder/graph.ts";
import { CONVOLUTIONS } from "../../../models/autoencoder/convolutions.ts";
import { autoencoderTensors, takeQuantConvolutions } from "../../../models/autoencoder/tensors.ts";
import { openModelFolder } from "../../../models/folder/model_folder.ts";
import { openFolderAs } from "../../../models/folder_conversion.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { DEMO_MODEL } from "../../../models/load.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { describeGraph } from "../../../models/graphs/graph_file.ts";
import type { WeightPlaces } from "../../../models/weights/weight_places.ts";
import { VAR } from "../../../models/var/family.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { testOnDevices, testRandom } from "../../devices.ts";
import { randomTensors, storeTensors } from "./made_up_weights.ts";
import { maxDifference } from "../../fixtures/golden/golden.ts";

const LEVELS = [
  { channels: 32, blocks: 1, attention: false },
  { channels: 64, blocks: 2, attention: false },
  { channels: 64, blocks: 1, attention: true },
];
const SIZES = { channels: 4, decoder: LEVELS, encoder: LEVELS };
/** Levels with channels enough for every way of computing convolutions. */
const WIDE = [128, 256, 512].map((channels) => ({ channels, blocks: 1, attention: false }));
const LAYOUTS: readonly Autoencoder[] = [
  { ...SIZES, layout: VAR_LAYOUT },
  { ...SIZES, latentChannels: 8, layout: FLEXVAR_LAYOUT },
];

function setOf(autoencoder: Autoencoder): WeightSet {
  const tensors = autoencoderTensors(autoencoder);
  return new WeightSet("made up", new Map(tensors.map(({ name, shape }) => [name, { shape, dtype: "F32" }])));
}

const nowhere: WeightPlaces = () => ({ file: "", offset: 0, length: 0, type: "float32", shape: [] });

Deno.test("openModelFolder: the graphs of the demo come out byte for byte", async () => {
  using folder = await openModelFolder(DEMO_MODEL);
  using again = await openFolderAs(VAR, folder, { dtype: folder.manifest.dtype });
  for (const file of ["condition", "transformer", "decoder", "encoder"]) {
    assertEquals(await again.read(`${file}.onnx`), await folder.read(`${file}.onnx`), file);
  }
});

Deno.test("decoderGraph: the tensors that are listed are those that the graphs take, and tell the levels", () => {
  for (const autoencoder of LAYOUTS) {
    const { layout } = autoencoder;
    const set = setOf(autoencoder);
    assertEquals(readLevels("decoder", set, layout), LEVELS);
    assertEquals(readLevels("encoder", set, layout), LEVELS);
    const fresh = setOf(autoencoder);
    decoderGraph(autoencoder, fresh, nowhere);
    assertThrows(() => fresh.requireAllTaken(/^$/), ModelFileError, "has no place for some tensors");
    encoderGraph(autoencoder, fresh, nowhere);
    fresh.requireAllTaken(/^$/);
  }
});

Deno.test("autoencoderTensors: the layouts name tensors as they were published", () => {
  const [ours, flex] = LAYOUTS.map((autoencoder) => {
    return new Map(autoencoderTensors(autoencoder).map(({ name, shape }) => [name, shape]));
  });
  assertEquals(ours!.get("decoder.up.2.attn.0.qkv.weight"), [192, 64, 1, 1]);
  assertEquals(ours!.get("decoder.up.0.block.0.nin_shortcut.weight"), [32, 64, 1, 1]);
  assertEquals(ours!.get("decoder.up.1.upsample.conv.weight"), [64, 64, 3, 3]);
  assertEquals(ours!.has("decoder.up.0.upsample.conv.weight"), false);
  assertEquals(ours!.get("encoder.mid.block_2.conv1.weight"), [64, 64, 3, 3]);
  assertEquals(ours!.get("post_quant_conv.weight"), [4, 4, 3, 3]);

  assertEquals(flex!.get("decoder.conv_blocks.0.attn.0.q.weight"), [64, 64, 1, 1]);
  assertEquals(flex!.get("decoder.conv_blocks.0.attn.0.proj_out.bias"), [64]);
  assertEquals(flex!.get("decoder.conv_blocks.2.res.0.nin_shortcut.weight"), [32, 64, 1, 1]);
  assertEquals(flex!.get("decoder.conv_blocks.1.upsample.conv.weight"), [64, 64, 3, 3]);
  assertEquals(flex!.has("decoder.conv_blocks.2.upsample.conv.weight"), false);
  assertEquals(flex!.get("encoder.conv_blocks.1.downsample.conv.weight"), [64, 64, 3, 3]);
  assertEquals(flex!.get("encoder.mid.1.k.weight"), [64, 64, 1, 1]);
  assertEquals(flex!.get("decoder.conv_in.weight"), [64, 8, 3, 3]);
  assertEquals(flex!.get("encoder.conv_out.weight"), [8, 64, 3, 3]);
  assertEquals(flex!.get("post_quant_conv.weight"), [8, 4, 1, 1]);
  assertEquals(flex!.get("quant_conv.weight"), [4, 8, 1, 1]);
});

Deno.test("levelName: levels are numbered from the finest, or in the order in which they are passed", () => {
  const names = (layout: typeof VAR_LAYOUT, network: "decoder" | "encoder"): string[] => {
    return [0, 1, 2].map((level) => levelName(layout, network, { level, levels: 3 }));
  };
  assertEquals(names(VAR_LAYOUT, "decoder"), ["decoder.up.0", "decoder.up.1", "decoder.up.2"]);
  assertEquals(names(VAR_LAYOUT, "encoder"), ["encoder.down.0", "encoder.down.1", "encoder.down.2"]);
  assertEquals(names(FLEXVAR_LAYOUT, "decoder"), [
    "decoder.conv_blocks.2",
    "decoder.conv_blocks.1",
    "decoder.conv_blocks.0",
  ]);
  assertEquals(names(FLEXVAR_LAYOUT, "encoder"), [
    "encoder.conv_blocks.0",
    "encoder.conv_blocks.1",
    "encoder.conv_blocks.2",
  ]);
});

Deno.test("decoderGraph: a network that is not there has no levels, but the convolution beside it may be there", () => {
  const autoencoder = { ...LAYOUTS[1]!, encoder: null };
  const set = setOf(autoencoder);
  assertEquals(readLevels("encoder", set, FLEXVAR_LAYOUT), null);
  assertEquals(readLevels("decoder", set, VAR_LAYOUT), null);
  assertEquals(pixelsPerToken(autoencoder), 4);
  assertEquals(pixelsPerToken({ decoder: null, encoder: null }), 0);
  decoderGraph(autoencoder, set, nowhere);
  assertThrows(() => set.requireAllTaken(/^$/), ModelFileError, '"quant_conv.weight", "quant_conv.bias"');
  takeQuantConvolutions(autoencoder, set);
  set.requireAllTaken(/^$/);
  const narrow = { ...autoencoder, latentChannels: 16 };
  assertThrows(() => takeQuantConvolutions(narrow, set), ModelFileError, "expected [4, 16, 1, 1]");
});

Deno.test("decoderGraph: maps are said to be square where they always are", () => {
  const [square, free] = LAYOUTS.map((autoencoder) => {
    const { inputs } = describeGraph(decoderGraph(autoencoder, setOf(autoencoder), nowhere));
    return inputs.find(({ name }) => name === "features")!.shape;
  });
  assertEquals(square, ["images", 4, "side", "side"]);
  assertEquals(free, ["images", 4, "rows", "columns"]);
});

async function run(
  device: Device,
  graph: Uint8Array<ArrayBuffer>,
  { data, input, shape, map }: {
    readonly data: Uint8Array<ArrayBuffer>;
    readonly input: { readonly name: string; readonly values: Float32Array<ArrayBuffer> };
    readonly shape: readonly number[];
    readonly map: readonly [height: number, width: number];
  },
): Promise<Float32Array> {
  await using session = await createGraphSession(device, graph, {
    externalFiles: [{ path: "weights", data }],
  });
  using array = device.upload(input.values);
  const outputs = await session.run({
    [input.name]: { array, shape },
    map_shape: { array: [0, -1, ...map], shape: [4] },
  });
  const [output] = Object.values(outputs);
  using result = output!;
  return await readFloats(result);
}

/** Name of a tensor in FlexVAR's layout, of one in VAR's with three levels. */
function flexName(name: string): string {
  return name
    .replace(/^decoder\.up\.(\d)/, (_, level) => `decoder.conv_blocks.${2 - Number(level)}`)
    .replace(/^encoder\.down\./, "encoder.conv_blocks.")
    .replace(".block.", ".res.")
    .replace("mid.block_1", "mid.0")
    .replace("mid.attn_1", "mid.1")
    .replace("mid.block_2", "mid.2");
}

Deno.test("decoderGraph: pictures are the same however convolutions are computed, in any size and batch", async () => {
  using device = new CpuDevice();
  const sizes = { ...LAYOUTS[0]!, decoder: WIDE, encoder: null };
  const stored = storeTensors(randomTensors(sizes, 11));
  for (const [images, height, width] of [[2, 3, 3], [1, 1, 1]] as const) {
    const random = testRandom(height);
    const values = Float32Array.from({ length: images * 4 * height * width }, () => 2 * random() - 1);
    const [plain, ...others] = await Promise.all(CONVOLUTIONS.map((way) => {
      return run(device, decoderGraph(sizes, stored.set, stored.places, { convolutions: way, sizes: true }), {
        data: stored.data,
        input: { name: "features", values },
        shape: [images, 4, height, width],
        map: [height, width],
      });
    }));
    // Each of the sums is off by some 1e-6 of its size, which is about 1, and norms keep that.
    for (const found of others) assert(maxDifference(found, plain!) < 2e-5);
  }
});

Deno.test("decoderGraph: doubled maps are stored in no way but the plain one", () => {
  const sizes = { ...LAYOUTS[0]!, decoder: WIDE };
  const operators = CONVOLUTIONS.map((way) => {
    return describeGraph(decoderGraph(sizes, setOf(sizes), nowhere, { convolutions: way })).operators;
  });
  assertEquals(operators.map(({ Resize = 0 }) => Resize), [2, 0, 0, 0]);
  assertEquals(operators.map(({ DepthToSpace = 0 }) => DepthToSpace > 0), [false, true, true, true]);
  assertEquals(operators.map(({ Gemm = 0 }) => Gemm > 0), [false, false, true, true]);
});

Deno.test("decoderGraph: a graph that tells how large its maps are computes the same", async () => {
  using device = new CpuDevice();
  const sizes = { ...LAYOUTS[0]!, decoder: WIDE, encoder: null };
  const stored = storeTensors(randomTensors(sizes, 11));
  const random = testRandom(5);
  const values = Float32Array.from({ length: 2 * 4 * 6 }, () => 2 * random() - 1);
  for (const convolutions of CONVOLUTIONS) {
    const [told, untold] = await Promise.all([true, false].map((sizesTold) => {
      return run(device, decoderGraph(sizes, stored.set, stored.places, { convolutions, sizes: sizesTold }), {
        data: stored.data,
        input: { name: "features", values },
        shape: [2, 4, 2, 3],
        map: [2, 3],
      });
    }));
    // The runtime fuses more where it knows more, so sums may come in another order.
    assert(maxDifference(told!, untold!) < 2e-5);
  }
});

testOnDevices("decoderGraph: both layouts compute the same from the same values", async (device) => {
  const random = testRandom(3);
  const flexLayout = { ...SIZES, layout: FLEXVAR_LAYOUT };
  const varLayout = { ...SIZES, layout: VAR_LAYOUT };
  const flex = randomTensors(flexLayout, 3);
  const ours = new Map(
    autoencoderTensors(varLayout).map(({ name, shape }) => {
      const theirs = flexName(name);
      if (name.includes(".qkv.")) {
        const parts = ["q", "k", "v"].map((part) => flex.get(theirs.replace(".qkv.", `.${part}.`))!.values);
        return [name, { shape, values: Float32Array.from(parts.flatMap((values) => [...values])) }];
      }
      const { values } = flex.get(theirs)!;
      if (!/^(post_)?quant_conv\.weight$/.test(name)) return [name, { shape, values }];
      // A kernel of one value is one of nine with zeros around it.
      const padded = new Float32Array(9 * values.length);
      for (const [i, value] of values.entries()) padded[9 * i + 4] = value;
      return [name, { shape, values: padded }];
    }),
  );
  const models = [{ ...varLayout, ...storeTensors(ours) }, { ...flexLayout, ...storeTensors(flex) }];
  const features = Float32Array.from({ length: 2 * 4 * 9 }, () => 2 * random() - 1);
  const image = Float32Array.from({ length: 2 * 3 * 144 }, () => 2 * random() - 1);
  const runs = models.map(async (model) => [
    await run(device, decoderGraph(model, model.set, model.places), {
      data: model.data,
      input: { name: "features", values: features },
      shape: [2, 4, 3, 3],
      map: [3, 3],
    }),
    await run(device, encoderGraph(model, model.set, model.places), {
      data: model.data,
      input: { name: "image", values: image },
      shape: [2, 3, 12, 12],
      map: [3, 3],
    }),
  ]);
  const [[decodedByOurs, encodedByOurs], [decodedByFlex, encodedByFlex]] = await Promise.all(runs) as [
    Float32Array[],
    Float32Array[],
  ];
  assertEquals(decodedByOurs!.length, 2 * 3 * 144);
  assertEquals(encodedByOurs!.length, 2 * 4 * 9);
  assert(Math.max(...decodedByOurs!) > 0.1);
  assert(maxDifference(decodedByFlex!, decodedByOurs!) < 1e-4);
  assert(maxDifference(encodedByFlex!, encodedByOurs!) < 1e-4);
});
