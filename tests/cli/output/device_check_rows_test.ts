import { assertEquals } from "@std/assert";
import { deviceCheckRows } from "../../../cli/output/device_check_rows.ts";
import type { DeviceCheck } from "../../../mod.ts";

const CHECK: DeviceCheck = {
  device: "any",
  kernels: [
    { kernel: "gather rows", promise: "bits", values: 300, off: 0, passed: true },
    { kernel: "residual update", promise: 1e-5, values: 1690, off: 1e-8, passed: true },
  ],
  roof: { gigabytesPerSecond: 812.34, gigaopsPerSecond: 20123 },
  rates: { products: { f32: 9876.5, q8: 1234.5 }, convolutions: 4321 },
  forecasts: [
    { model: "VAR-d16", picture: "256×256", dtype: "f32", bytes: 1, seconds: 0.3456 },
    { model: "VAR-d16", picture: "256×256", dtype: "q8", bytes: 1, seconds: 61 },
    { model: "VAR-d20", picture: "256×256", dtype: "q8", bytes: 1, seconds: 2 },
  ],
  seconds: 12.34,
};

Deno.test("deviceCheckRows: what was found, with a row for each model", () => {
  assertEquals(deviceCheckRows(CHECK), [
    ["kernels", "✓ 2 calls give what their twins give, 1 of them bit for bit"],
    ["roof", "812 GB/s copied, 20100 Gop/s"],
    ["products", "f32 9880, q8 1230 Gop/s; convolutions 4320"],
    ["a picture takes", "at the least, with guidance"],
    ["  VAR-d16", "256×256: f32 346 ms, q8 1 min 01 s"],
    ["  VAR-d20", "256×256: q8 2.0 s"],
    ["checked in", "12.3 s"],
  ]);
});

Deno.test("deviceCheckRows: kernels that failed are named with how", () => {
  const kernels = [
    CHECK.kernels[1]!,
    { kernel: "gather rows", promise: "bits", values: 300, off: 0.25, passed: false },
    { kernel: "resample", promise: 1e-6, values: 9, off: 0.0123456, passed: false },
    { kernel: "select", promise: "bits", values: 0, off: NaN, passed: false, error: "no\nbecause\nof that" },
  ] as const;
  const [head, ...rows] = deviceCheckRows({ ...CHECK, kernels, forecasts: [] });
  assertEquals(head, ["kernels", "✗ 3 of 4 calls do not give what their twins give"]);
  assertEquals(rows.slice(0, 3), [
    ["  gather rows", "✗ 25 % of the words differ"],
    ["  resample", "✗ off by 0.0123 of the largest value, allowed are 0.000001"],
    ["  select", "✗ no because"],
  ]);
  assertEquals(rows.at(-2), ["a picture takes", "no published model fits"]);
});
