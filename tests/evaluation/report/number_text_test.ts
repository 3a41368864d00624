/**
 * Numbers as text.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  counted,
  decimalsOf,
  fixed,
  operations,
  percent,
  probability,
  signed,
  withInterval,
} from "../../../evaluation/report/number_text.ts";

Deno.test("decimalsOf: as papers print FID, IS, shares and small distances", () => {
  assertEquals(decimalsOf([3.81, 2.25]), 2);
  assertEquals(decimalsOf([12.4]), 2);
  assertEquals(decimalsOf([227.2, 99]), 1);
  assertEquals(decimalsOf([0.912, 0.5]), 3);
  assertEquals(decimalsOf([-0.00123, 0.0004]), 5);
  assertEquals(decimalsOf([1e-30]), 10);
  assertEquals(decimalsOf([]), 0);
});

Deno.test("fixed: writes no negative zero", () => {
  assertEquals([fixed(-0.001, 2), fixed(-0, 0), fixed(-0.5, 0), fixed(-0.06, 1)], [
    "0.00",
    "0",
    "-1",
    "-0.1",
  ]);
});

Deno.test("signed: has a sign unless it is written as zero", () => {
  assertEquals([signed(0.041, 3), signed(-0.041, 3), signed(0.0001, 3)], ["+0.041", "-0.041", "0.000"]);
});

Deno.test("withInterval: shows the ends that there are", () => {
  assertEquals(withInterval({ value: 1, low: 0.5, high: 2 }, 1), "1.0 [0.5, 2.0]");
  assertEquals(withInterval({ value: 1 }, 1), "1.0");
  assertEquals(withInterval({ value: 1, low: -0.5 }, 1, signed), "+1.0 [-0.5, ?]");
});

Deno.test("probability: says no more of one below a thousandth", () => {
  assertEquals([0, 0.00099, 0.001, 0.0456, 0.5, 1].map(probability), [
    "< 0.001",
    "< 0.001",
    "0.001",
    "0.046",
    "0.50",
    "1.00",
  ]);
});

Deno.test("operations: three digits and the unit that suits", () => {
  assertEquals([0, 12, 597e9, 999.6e9, 1.12e12, 5e21].map(operations), [
    "0 FLOP",
    "12.0 FLOP",
    "597 GFLOP",
    "1.00 TFLOP",
    "1.12 TFLOP",
    "5000 EFLOP",
  ]);
});

Deno.test("counted: three digits that count", () => {
  assertEquals([0, 0.01234, 0.41, 2.4, 61.25, 1234].map(counted), [
    "0",
    "0.0123",
    "0.410",
    "2.40",
    "61.3",
    "1234",
  ]);
});

Deno.test("percent: has as many digits as the share", () => {
  assertEquals([0.95, 0.999, 0.6827, 0.07].map(percent), ["95 %", "99.9 %", "68.27 %", "7 %"]);
});
