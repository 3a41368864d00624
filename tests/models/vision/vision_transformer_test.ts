import { assert, assertEquals, assertThrows } from "@std/assert";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { GraphWeights } from "../../../models/graphs/graph_weights.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import {
  activate,
  type Activation,
  blocksFlops,
  blocksTensors,
  inferVisionTransformer,
  type VisionTransformerConfig,
  visionTransformerTensors,
  widestActivation,
} from "../../../models/vision/vision_transformer.ts";
import { elementsOf } from "../../../models/weights/model_tensor.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { testOnDevices } from "../../devices.ts";
import { valuesOf } from "./published_networks.ts";

const SMALL: VisionTransformerConfig = {
  prefix: "visual.",
  layers: 3,
  width: 128,
  heads: 2,
  hidden: 320,
  activation: "gelu",
  epsilon: 1e-6,
  joined: true,
  layerScale: false,
  patch: 8,
  grid: 5,
  classToken: true,
  registers: 0,
  patchBias: true,
  firstNorm: false,
};

function setOf(
  config: VisionTransformerConfig,
  changes: Readonly<Record<string, readonly number[]>> = {},
): WeightSet {
  return new WeightSet(
    "vit.pth",
    new Map(
      visionTransformerTensors(config).map(({ name, shape }) => {
        return [name, { shape: changes[name] ?? shape, dtype: "F32" }];
      }),
    ),
  );
}

/** The error function by Gauss's integral: Simpson's rule of 400 steps is right to 1e-9 up to 8. */
function erf(x: number): number {
  const steps = 400;
  const sum = Array.from({ length: steps + 1 }, (_, i) => {
    return (i === 0 || i === steps ? 1 : i % 2 === 0 ? 2 : 4) * Math.exp(-((x * i / steps) ** 2));
  }).reduce((total, value) => total + value, 0);
  return 2 / Math.sqrt(Math.PI) * sum * x / steps / 3;
}

const FORMULAS: Readonly<Record<Exclude<Activation, "swiglu">, (x: number) => number>> = {
  "gelu": (x) => x * (1 + erf(x / Math.SQRT2)) / 2,
  "tanh-gelu": (x) => x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))) / 2,
  "quick-gelu": (x) => x / (1 + Math.exp(-1.702 * x)),
};

testOnDevices("activate: each kind is its formula", async (device) => {
  const values = Float32Array.from({ length: 321 }, (_, i) => (i - 160) / 20);
  const run = async (activation: Activation, input: Float32Array, shape: number[]): Promise<Float32Array> => {
    const weights = new GraphWeights("activation", new WeightSet("", new Map()), () => {
      throw new Error("no weights");
    });
    const x = weights.graph.input({ name: "x", type: "float32", shape: ["rows", "columns"] });
    const y = activate(weights, x, activation);
    weights.graph.output({ name: "y", type: "float32", shape: ["rows", "columns"] }, y);
    await using session = await createGraphSession(device, weights.graph.bytes());
    using array = device.upload(input);
    return await valuesOf((await session.run({ x: { array, shape } })).y!);
  };
  for (const [activation, formula] of Object.entries(FORMULAS)) {
    const found = await run(activation as Activation, values, [1, values.length]);
    for (const [i, x] of values.entries()) {
      // Error functions of runtimes are polynomials that are good to 2e-7, and are multiplied by x.
      const off = Math.abs(found[i]! - formula(x));
      assert(off <= 5e-7 * Math.max(1, Math.abs(x)), `${activation} of ${x} is off by ${off}`);
    }
  }
  const gates = new Float32Array([1, -2, 3, 5]);
  const silu = (x: number): number => x / (1 + Math.exp(-x));
  const found = await run("swiglu", gates, [1, 4]);
  assert(Math.abs(found[0]! - silu(1) * 3) < 1e-6 && Math.abs(found[1]! - silu(-2) * 5) < 1e-6);
});

Deno.test("inferVisionTransformer: sizes are those that the tensors have", () => {
  const kinds: Partial<VisionTransformerConfig>[] = [
    {},
    { joined: false, layerScale: true, registers: 3 },
    { classToken: false, patchBias: false, firstNorm: true },
    { activation: "swiglu", prefix: "" },
  ];
  for (const kind of kinds) {
    const config = { ...SMALL, ...kind };
    assertEquals(inferVisionTransformer(setOf(config), { prefix: config.prefix }), config);
  }
  const other = { ...SMALL, heads: 8, epsilon: 1e-5, activation: "quick-gelu" } as const;
  const options = { prefix: "visual.", headWidth: 16, epsilon: 1e-5, activation: "quick-gelu" } as const;
  assertEquals(inferVisionTransformer(setOf(other), options), other);
});

Deno.test("inferVisionTransformer: tensors that belong to no such network are refused", () => {
  const refused = (changes: Readonly<Record<string, readonly number[]>>, message: string): void => {
    const infer = (): unknown => inferVisionTransformer(setOf(SMALL, changes), { prefix: "visual." });
    assertThrows(infer, ModelFileError, message);
  };
  refused({ "visual.pos_embed": [1, 25, 128] }, "a square number of positions, and one more, found 25");
  refused({ "visual.pos_embed": [1, 1, 128] }, "found 1");
  refused({ "visual.pos_embed": [1, 26, 64] }, "expected [1, any, 128]");
  refused({ "visual.patch_embed.proj.weight": [128, 1, 8, 8] }, "expected [any, 3, any, any]");
  refused({ "visual.blocks.0.mlp.fc2.weight": [64, 320] }, "expected [128, any]");
  const odd = (): unknown => inferVisionTransformer(setOf(SMALL), { prefix: "visual.", headWidth: 48 });
  assertThrows(odd, ModelFileError, "a width that is a multiple of 48, found 128");
});

Deno.test("blocksFlops: matrices count twice for each token, and attention twice for each pair", () => {
  for (const activation of ["gelu", "swiglu"] as const) {
    const config = { ...SMALL, activation };
    const matrices = blocksTensors(config).filter(({ shape }) => shape.length === 2);
    const tokens = 26;
    const attention = config.layers * 2 * 2 * tokens * tokens * config.width;
    assertEquals(blocksFlops(config, tokens), 2 * tokens * elementsOf(matrices) + attention);
  }
});

Deno.test("widestActivation: of many tokens the scores of attention, of few what is between layers", () => {
  // 26 tokens of three times 128 numbers, gates of twice 320, and 1 + 40² tokens whose scores are in pairs.
  assertEquals(widestActivation(SMALL), 26 * 384);
  assertEquals(widestActivation({ ...SMALL, activation: "swiglu" }), 26 * 640);
  assertEquals(widestActivation({ ...SMALL, grid: 40 }), 2 * 1601 * 1601);
});
