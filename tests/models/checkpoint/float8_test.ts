import { assertEquals } from "@std/assert";
import { float8Values } from "../../../models/checkpoint/float8.ts";

Deno.test("float8Values: the corners of each format are what its paper says", () => {
  const at = (format: Parameters<typeof float8Values>[0], ...bits: number[]): number[] => {
    const values = float8Values(format);
    return bits.map((pattern) => values[pattern]!);
  };
  // One, two, the largest, the smallest, minus one, both zeros or the one NaN.
  assertEquals(at("F8_E4M3", 0x38, 0x40, 0x7e, 0x01, 0xb8, 0x80), [1, 2, 448, 2 ** -9, -1, -0]);
  assertEquals(at("F8_E4M3", 0x7f, 0xff), [NaN, NaN]);
  assertEquals(at("F8_E5M2", 0x3c, 0x40, 0x7b, 0x01, 0xbc, 0x80), [1, 2, 57344, 2 ** -16, -1, -0]);
  assertEquals(at("F8_E5M2", 0x7c, 0xfc, 0x7d, 0xff), [Infinity, -Infinity, NaN, NaN]);
  assertEquals(at("F8_E4M3FNUZ", 0x40, 0x7f, 0x01, 0xc0, 0x80), [1, 240, 2 ** -10, -1, NaN]);
  assertEquals(at("F8_E5M2FNUZ", 0x40, 0x7f, 0x01, 0xc0, 0x80), [1, 57344, 2 ** -17, -1, NaN]);
  assertEquals(at("F8_E8M0", 127, 128, 0, 254, 255), [1, 2, 2 ** -127, 2 ** 127, NaN]);
});

Deno.test("float8Values: E5M2 is the upper half of float16", () => {
  const halves = new Float16Array(Uint16Array.from({ length: 256 }, (_, bits) => bits << 8).buffer);
  assertEquals(float8Values("F8_E5M2"), new Float32Array(halves));
});
