import { assertAlmostEquals, assertEquals } from "@std/assert";
import { shareDifference, shareInterval } from "../../../evaluation/sweep/shares.ts";

Deno.test("shareDifference: Newcombe's tenth method on his first example, 56 of 70 and 48 of 80", () => {
  const pictures = (right: number, count: number): number[] =>
    Array.from({ length: count }, (_, i) => Number(i < right));
  const { mean, low, high } = shareDifference([pictures(56, 70)], [pictures(48, 80)]);
  // Table II of the paper: 0.2000, from 0.0524 to 0.3339.
  assertEquals([mean, low, high].map((value) => value.toFixed(4)), ["0.2000", "0.0524", "0.3339"]);
});

Deno.test("shareInterval: groups have the same weight, and more of them are surer", () => {
  const one = shareInterval([[1, 1, 1, 1]]);
  const four = shareInterval(Array(4).fill([1, 1, 1, 1]));
  assertEquals([one.mean, four.mean, one.high, four.high], [1, 1, 1, 1]);
  assertAlmostEquals(1 - four.low, (1 - one.low) / 2, 1e-12);
  assertAlmostEquals(shareInterval([[1, 0.5], [0]]).mean, 0.375, 1e-12);
});
