/**
 * Which of the runtime's shaders are given another bound, in the runtime's own words: whoever changes its
 * version hears whether they are still the words that are known.
 */

import { assert, assertEquals } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import { WebGpuDevice } from "../../../kernels/device/webgpu_device.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import type { GraphTensor } from "../../../models/graphs/graph_session.ts";
import { type Attribute, GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import { adapterNote, boundTiles, isLlvmpipe } from "../../../models/graphs/llvmpipe_loops.ts";
import { testOnGpu } from "../../devices.ts";
import { allKernels } from "../../shaders.ts";

/** A node of its own, the shapes of its inputs, and the name of the shader that computes it. */
interface Case {
  readonly operator: string;
  readonly shapes: readonly (readonly number[])[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly shader: string;
  readonly half?: boolean;
}

function convolution(
  [inputs, outputs, kernel]: readonly [number, number, number],
  attributes: Record<string, Attribute> = {},
  { bias = true, half = false, shader = "Conv2dMM", side = 9, group = 1 } = {},
): Case {
  const shapes = [[2, inputs, side, side], [outputs, inputs / group, kernel, kernel]];
  if (bias) shapes.push([outputs]);
  return { operator: "Conv", shapes, attributes: { ...attributes, group }, half, shader };
}

/** Convolutions by tiles of every kind: by vectors or single numbers, with borders or without, tiny ones. */
const BOUND: readonly Case[] = [
  convolution([32, 32, 3], { pads: [1, 1, 1, 1] }),
  convolution([32, 32, 2], { pads: [1, 1, 0, 0] }),
  convolution([8, 12, 5], { pads: [2, 2, 2, 2] }, { bias: false }),
  convolution([3, 32, 3], { pads: [1, 1, 1, 1] }),
  convolution([32, 3, 3], { pads: [1, 1, 1, 1] }),
  convolution([5, 7, 4], { dilations: [2, 2] }),
  convolution([64, 32, 1], { strides: [2, 2] }),
  convolution([1, 1, 1], { strides: [2, 2] }),
  convolution([1, 4, 2], {}, { bias: false }),
  convolution([3, 16, 3], { strides: [3, 3] }),
  {
    operator: "Conv",
    shapes: [[1, 16, 30], [16, 16, 3], [16]],
    attributes: { pads: [1, 1] },
    shader: "Conv2dMM",
  },
];
const BOUND_HALVES: readonly Case[] = [
  convolution([32, 32, 3], { pads: [1, 1, 1, 1] }, { half: true }),
  convolution([32, 3, 2], {}, { half: true, bias: false }),
];
/** What has such a loop, too, and does not grow, or has none. */
const LEFT: readonly Case[] = [
  convolution([32, 32, 1], {}, { shader: "MatMul" }),
  convolution([32, 32, 3], {}, { shader: "GroupedConv", group: 2 }),
  { operator: "MatMul", shapes: [[33, 77], [77, 36]], shader: "MatMul" },
  { operator: "Gemm", shapes: [[33, 64], [64, 36], [36]], shader: "Gemm" },
  { operator: "ConvTranspose", shapes: [[1, 8, 5, 5], [8, 8, 2, 2], [8]], shader: "ConvTranspose2D" },
];

/** Runs the node with small integers, whose sums are exact in any order; halves are told by their bits. */
async function compute(device: Device, { operator, shapes, attributes, half }: Case): Promise<number[]> {
  const type = half ? "float16" : "float32";
  const graph = new GraphBuilder("one");
  const inputs = shapes.map((shape, i) => graph.input({ name: `x${i}`, type, shape }));
  const rank = shapes[0]!.map((_, i) => `d${i}`);
  graph.output({ name: "y", type, shape: rank }, graph.add(operator, inputs, attributes));
  await using session = await createGraphSession(device, graph.bytes());
  using stack = new DisposableStack();
  const feeds: Record<string, GraphTensor> = {};
  for (const [i, shape] of shapes.entries()) {
    const length = shape.reduce((product, side) => product * side, 1);
    const values = Float32Array.from({ length }, (_, at) => (at * (i + 3)) % 5 - 1);
    const halves = new Float16Array(length + length % 2);
    halves.set(values);
    const array = stack.use(device.upload(half ? new Uint32Array(halves.buffer) : values));
    feeds[`x${i}`] = half ? { array, shape, type: "float16" } : { array, shape };
  }
  const { y } = await session.run(feeds);
  using result = y!;
  return [...half ? await readWords(result) : await readFloats(result)];
}

/** A device of its own, and the shaders that are compiled on it, by name and as the driver gets them. */
async function watched(): Promise<{ device: WebGpuDevice; shaders: Map<string, string> }> {
  const device = await WebGpuDevice.open();
  const shaders = new Map<string, string>();
  const compile = device.gpu.createShaderModule.bind(device.gpu);
  device.gpu.createShaderModule = (descriptor) => {
    shaders.set(descriptor.label ?? "", descriptor.code);
    return compile(descriptor);
  };
  return { device, shaders };
}

testOnGpu(
  "boundTiles: every convolution by tiles is known by its words, and computes what it did",
  async (shared) => {
    const halves = shared.gpu.features.has("shader-f16") ? BOUND_HALVES : [];
    for (const each of [...BOUND, ...halves]) {
      const { device, shaders } = await watched();
      using _ = device;
      using host = new CpuDevice();
      assertEquals(await compute(device, each), await compute(host, each), JSON.stringify(each));
      assert(shaders.has(each.shader), `${JSON.stringify(each)} is computed by ${[...shaders.keys()]}`);
      const given = shaders.get(each.shader)!;
      // Other drivers are given the runtime's words, of which the same is made here.
      const bound = isLlvmpipe(device.info) ? given : boundTiles(given);
      assertEquals(
        bound.match(/let num_tiles = min\(.+, arrayLength\(&w\)\);/g)?.length,
        1,
        `The runtime writes another loop than models/graphs/llvmpipe_loops.ts knows:\n${given}`,
      );
      assertEquals(given === bound, isLlvmpipe(device.info));
    }
  },
);

testOnGpu("boundTiles: other shaders are left as they are", async () => {
  const { device, shaders } = await watched();
  using _ = device;
  for (const each of LEFT) {
    await compute(device, each);
    assert(shaders.has(each.shader), `${each.operator} is computed by ${[...shaders.keys()]}`);
  }
  assert(shaders.get("MatMul")!.includes("let num_tiles = (uniforms.dim_inner - 1) / tileInner + 1;"));
  for (const code of shaders.values()) {
    assert(!code.includes("arrayLength(&w)"));
    assertEquals(boundTiles(code), code);
  }
});

Deno.test("boundTiles: a shader of ours is left as it is, and one that is bound already", async () => {
  for (const { kernel } of await allKernels()) assertEquals(boundTiles(kernel.wgsl), kernel.wgsl);
  const lines = [
    "@group(0) @binding(1) var<storage, read> w: array<vec4<f32>>;",
    "  let num_tiles = (uniforms.dim_inner - 1) / tileInner + 1;",
  ];
  const once = boundTiles(lines.join("\n"));
  assertEquals(
    once,
    `${lines[0]}\n  let num_tiles = min((uniforms.dim_inner - 1) / tileInner + 1, arrayLength(&w));`,
  );
  assertEquals(boundTiles(once), once);
  assertEquals(boundTiles(lines[1]!), lines[1]);
});

Deno.test("adapterNote: one adapter has one, whatever its compiler's version", () => {
  for (const description of ["llvmpipe (LLVM 15.0.6, 256 bits)", "llvmpipe (LLVM 19.1.7, 512 bits)"]) {
    assert(adapterNote({ description })?.includes("Mesa 22.3"));
  }
  for (const description of ["", "SwiftShader Device (LLVM 10.0.0)", "NVIDIA H200", "not llvmpipe"]) {
    assertEquals(adapterNote({ description }), undefined);
  }
});
