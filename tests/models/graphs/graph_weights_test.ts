import { assert } from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { GraphWeights } from "../../../models/graphs/graph_weights.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

const [ROWS, OUTPUTS] = [5, 48];

/**
 * What f32 may be off in a sum of `terms` products, in units of the sum of their sizes, in whatever order
 * they are added: (terms + 1) roundings of 2^-24. Providers differ within it, WebGPU's products by about ten
 * times as much as the CPU's, so a tolerance that is to hold on each must grow with the number of terms.
 */
function productBound(terms: number): number {
  const roundings = (terms + 1) * 2 ** -24;
  return roundings / (1 - roundings);
}

for (const inputs of [64, 1024, 4096]) {
  testOnDevices(`GraphWeights: a product of ${inputs} terms is as exact as f32 sums are`, async (device) => {
    const random = testRandom(29);
    const floats = (length: number): Float32Array<ArrayBuffer> => {
      return Float32Array.from({ length }, () => 2 * random() - 1);
    };
    const [x, weight, bias] = [floats(ROWS * inputs), floats(OUTPUTS * inputs), floats(OUTPUTS)];

    const shapes = { "layer.weight": [OUTPUTS, inputs], "layer.bias": [OUTPUTS] } as const;
    const set = new WeightSet(
      "made up",
      new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: "F32" }])),
    );
    const weights = new GraphWeights("product", set, (name) => ({
      file: "weights",
      offset: name === "layer.weight" ? 0 : weight.byteLength,
      length: name === "layer.weight" ? weight.byteLength : bias.byteLength,
      type: "float32",
      shape: shapes[name as keyof typeof shapes],
    }));
    const { graph } = weights;
    const input = graph.input({ name: "x", type: "float32", shape: ["rows", inputs] });
    const output = weights.linear(input, "layer", inputs, OUTPUTS);
    graph.output({ name: "y", type: "float32", shape: ["rows", OUTPUTS] }, output);

    const data = new Uint8Array(await new Blob([weight, bias]).arrayBuffer());
    await using session = await createGraphSession(device, graph.bytes(), {
      externalFiles: [{ path: "weights", data }],
    });
    using array = device.upload(x);
    const { y } = await session.run({ x: { array, shape: [ROWS, inputs] } });
    using result = y!;
    const found = await readFloats(result);
    for (let row = 0; row < ROWS; row++) {
      for (let column = 0; column < OUTPUTS; column++) {
        let [sum, size] = [bias[column]!, Math.abs(bias[column]!)];
        for (let i = 0; i < inputs; i++) {
          const term = x[row * inputs + i]! * weight[column * inputs + i]!;
          [sum, size] = [sum + term, size + Math.abs(term)];
        }
        const error = Math.abs(found[row * OUTPUTS + column]! - sum);
        assert(error <= productBound(inputs) * size, `row ${row}, column ${column}: ${error} of ${size}`);
      }
    }
  });
}
