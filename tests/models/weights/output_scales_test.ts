/** Integers with a scale for each output: rounded as a formula says, in a product's order, at extremes. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { dequantizeOutputs, quantizeOutputs } from "../../../models/weights/output_scales.ts";
import { testRandom } from "../../devices.ts";

Deno.test("quantizeOutputs: each weight is at most half a step off, and the largest of an output not at all", () => {
  const random = testRandom(11);
  for (const [outputs, inputs] of [[1, 1], [3, 7], [64, 5], [65, 33], [200, 130]] as const) {
    const values = Float32Array.from(
      { length: outputs * inputs },
      () => (random() - 0.5) * 10 ** (3 * random()),
    );
    const { integers, scales } = quantizeOutputs(values, { outputs, inputs });
    assertEquals([integers.length, scales.length], [outputs * inputs, outputs]);
    for (let output = 0; output < outputs; output++) {
      const row = values.subarray(output * inputs, (output + 1) * inputs);
      const most = Math.max(...row.map(Math.abs));
      assertEquals(scales[output], Math.fround(most / 127));
      for (const [input, value] of row.entries()) {
        const level = integers[input * outputs + output]!;
        // Half a step, and what rounding the scale itself to f32 makes of 127 of them.
        assert(Math.abs(level * scales[output]! - value) <= scales[output]! * (0.5 + 127 * 2 ** -23));
        if (Math.abs(value) === most) assertEquals(Math.abs(level), 127);
      }
    }
  }
});

Deno.test("quantizeOutputs: outputs of zeros, of numbers near zero and of the largest ones are harmless", () => {
  const largest = Math.fround(3.4e38);
  const values = new Float32Array([0, -0, 1e-45, -1e-45, 1e-38, -1e-39, largest, -largest]);
  const sizes = { outputs: 4, inputs: 2 };
  const { integers, scales } = quantizeOutputs(values, sizes);
  // A step of the smallest number there is would be 1/127 of it: it counts as zero.
  assertEquals([...integers.subarray(0, 2), ...integers.subarray(4, 6)], [0, 0, 0, 0]);
  assertEquals([...scales.subarray(0, 2)], [0, 0]);
  assertEquals([integers[2], integers[6], integers[3], integers[7]], [127, -13, 127, -127]);
  assert(dequantizeOutputs({ integers, scales }, sizes).every(Number.isFinite));
});

Deno.test("quantizeOutputs: values that are not finite, and too few, are refused", () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    assertThrows(
      () => quantizeOutputs(new Float32Array([1, 2, 3, value]), { outputs: 2, inputs: 2 }),
      RangeError,
      `Cannot quantize the values as they must be finite: value 3 is ${value}`,
    );
  }
  assertThrows(
    () => quantizeOutputs(new Float32Array(5), { outputs: 2, inputs: 3 }),
    TypeError,
    "Cannot quantize the weights of a layer as its sizes need 6 values: current length is 5",
  );
});

Deno.test("dequantizeOutputs: weights come back as they were rounded, and what does not fit is refused", () => {
  const sizes = { outputs: 2, inputs: 3 };
  const weights = new Float32Array([127, -64, 3, 0.5, 0.25, -63.5]);
  assertEquals(
    dequantizeOutputs(quantizeOutputs(weights, sizes), sizes),
    new Float32Array([127, -64, 3, 0.5, 0.5, -63.5]),
  );
  const integers = new Int8Array(6);
  for (
    const [given, message] of [
      [{ integers, scales: new Float32Array(3) }, "as its sizes need 2 values: current length is 3"],
      [
        { integers: integers.subarray(1), scales: new Float32Array(2) },
        "as its sizes need 6 values: current length is 5",
      ],
    ] as const
  ) {
    assertThrows(
      () => dequantizeOutputs(given, sizes),
      TypeError,
      `Cannot read the weights of a layer ${message}`,
    );
  }
});
