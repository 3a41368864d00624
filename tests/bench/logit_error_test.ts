import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { LogitErrors } from "../../bench/logit_error.ts";

Deno.test("LogitErrors: divergences and errors are those of the textbook, in pieces too", () => {
  // Probabilities 1/6, 2/6, 3/6 against 2/6, 1/6, 3/6, and something that differs by a constant only.
  const right = Float32Array.from([1, 2, 3, 1, 1, 1], Math.log);
  const given = Float32Array.from([2, 1, 3, 5, 5, 5], Math.log);
  const whole = new LogitErrors(3);
  whole.add(right, given);
  const pieces = new LogitErrors(3);
  for (const i of [0, 3]) pieces.add(right.subarray(i, i + 3), given.subarray(i, i + 3));
  assertEquals(pieces.result(), whole.result());
  const { rms, greatest, flipped, divergence } = whole.result();
  assertAlmostEquals(divergence, (Math.log(0.5) / 6 + Math.log(2) / 3) / 2, 1e-6);
  assertEquals(flipped, 0);
  const mean = Math.log(6) / 6;
  const deviation = Math.sqrt((Math.log(2) ** 2 + Math.log(3) ** 2) / 6 - mean ** 2);
  assertAlmostEquals(greatest, Math.log(5) / deviation, 1e-6);
  assertAlmostEquals(rms, Math.sqrt((2 * Math.log(2) ** 2 + 3 * Math.log(5) ** 2) / 6) / deviation, 1e-6);
});

Deno.test("LogitErrors: what is no number is the greatest error, and other counts are refused", () => {
  const errors = new LogitErrors(2);
  errors.add(new Float32Array([0, 1, 0, 2]), new Float32Array([0, NaN, 0, 1]));
  assertEquals(errors.result().greatest, NaN);
  for (const [right, given] of [[4, 2], [3, 3]] as const) {
    assertThrows(
      () => new LogitErrors(2).add(new Float32Array(right), new Float32Array(given)),
      TypeError,
      `Cannot compare logits as both must be as many, and distributions of 2: there are ${right} and ${given}`,
    );
  }
});
