import { assertEquals, assertThrows } from "@std/assert";
import { byteLength, decodeFloat32, encodeFloat16 } from "../../../models/checkpoint/tensor.ts";

/** IEEE 754 by its definition: sign, exponent and fraction, for a format with this many bits of each. */
function valueOf(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = bits >> (exponentBits + fractionBits) ? -1 : 1;
  const exponent = (bits >> fractionBits) & ((1 << exponentBits) - 1);
  const fraction = (bits & ((1 << fractionBits) - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 * bias + 1) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

const everyPattern = Uint16Array.from({ length: 1 << 16 }, (_, bits) => bits);

Deno.test("decodeFloat32: every float16 and bfloat16 is decoded by the definition", () => {
  const halves = decodeFloat32("F16", new Uint8Array(everyPattern.buffer));
  const brains = decodeFloat32("BF16", new Uint8Array(everyPattern.buffer));
  assertEquals(halves, Float32Array.from(everyPattern, (bits) => valueOf(bits, 5, 10)));
  assertEquals(brains, Float32Array.from(everyPattern, (bits) => valueOf(bits, 8, 7)));
});

Deno.test("encodeFloat16: encoding to float16 rounds to the nearest, ties to even", () => {
  const values: number[] = [];
  const expected: number[] = [];
  const largest = 0x7bff;
  for (let bits = 0; bits <= largest; bits++) {
    const low = valueOf(bits, 5, 10);
    // Above the largest number the next step counts as infinity.
    const high = bits === largest ? 65536 : valueOf(bits + 1, 5, 10);
    const middle = (low + high) / 2;
    const step = (high - low) / 1024;
    values.push(low, middle - step, middle, middle + step);
    expected.push(bits, bits, bits % 2 === 0 ? bits : bits + 1, bits + 1);
  }
  const encode = (numbers: number[]): Uint16Array =>
    new Uint16Array(encodeFloat16(Float32Array.from(numbers)).buffer);
  assertEquals(encode(values), Uint16Array.from(expected));
  assertEquals(encode(values.map((value) => -value)), Uint16Array.from(expected, (bits) => bits | 0x8000));
  assertEquals(decodeFloat32("F16", encodeFloat16(new Float32Array([NaN])))[0], NaN);
});

Deno.test("decodeFloat32: bytes at any place in their buffer can be decoded", () => {
  const buffer = new ArrayBuffer(20);
  new DataView(buffer).setFloat32(3, 2.5, true);
  new DataView(buffer).setFloat64(9, -0.1, true);
  assertEquals(decodeFloat32("F32", new Uint8Array(buffer, 3, 4)), new Float32Array([2.5]));
  assertEquals(decodeFloat32("F64", new Uint8Array(buffer, 9, 8)), new Float32Array([-0.1]));
  assertEquals(decodeFloat32("BOOL", new Uint8Array([0, 1, 2])), new Float32Array([0, 1, 1]));
});

Deno.test("decodeFloat32: unsigned integers keep their highest bit", () => {
  assertEquals(decodeFloat32("U16", new Uint8Array([0, 0x80])), new Float32Array([2 ** 15]));
  assertEquals(decodeFloat32("U32", new Uint8Array([0, 0, 0, 0x80])), new Float32Array([2 ** 31]));
  assertEquals(
    decodeFloat32("U64", new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0x80])),
    new Float32Array([2 ** 63]),
  );
});

Deno.test("decodeFloat32: complex numbers and packed floats are refused", () => {
  for (const dtype of ["C128", "C64", "C32", "F6_E2M3", "F6_E3M2", "F4"] as const) {
    const text =
      `Cannot decode a tensor as its dtype must be one of real numbers of 8 bits or more: current value is "${dtype}"`;
    assertThrows(() => decodeFloat32(dtype, new Uint8Array(48)), TypeError, text);
  }
});

Deno.test("decodeFloat32: half an element is refused", () => {
  const text = "Cannot decode F32 as the bytes must be a multiple of 4: current length is 6";
  assertThrows(() => decodeFloat32("F32", new Uint8Array(6)), TypeError, text);
});

Deno.test("byteLength: an empty tensor has no bytes, however large its other sizes", () => {
  assertEquals(byteLength({ dtype: "F32", shape: [...Array(30).fill(2 ** 50), 0] }), 0);
});
