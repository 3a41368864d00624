/**
 * Floats of 8 bits, each of which a float32 holds exactly. Which bytes of a file are such floats is left to
 * the readers.
 *
 * The formats are OCP's (https://arxiv.org/abs/2209.05433), FNUZ (https://arxiv.org/abs/2206.02915) and the
 * power of two of OCP's microscaling, by the names that safetensors gives them.
 *
 * @module
 */

/** The names of the formats. */
export type Float8 = "F8_E5M2" | "F8_E5M2FNUZ" | "F8_E4M3" | "F8_E4M3FNUZ" | "F8_E8M0";

/** The 256 values of a format, by their bits. */
export function float8Values(format: Float8): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: 256 }, (_, bits) => VALUE_OF[format](bits));
}

const VALUE_OF: Readonly<Record<Float8, (bits: number) => number>> = {
  F8_E5M2: (bits) => {
    const magnitude = bits & 0x7f;
    if (magnitude < 0x7c) return finite(bits, 2, 15);
    return magnitude > 0x7c ? NaN : bits < 0x80 ? Infinity : -Infinity;
  },
  F8_E5M2FNUZ: (bits) => bits === 0x80 ? NaN : finite(bits, 2, 16),
  F8_E4M3: (bits) => (bits & 0x7f) === 0x7f ? NaN : finite(bits, 3, 7),
  F8_E4M3FNUZ: (bits) => bits === 0x80 ? NaN : finite(bits, 3, 8),
  F8_E8M0: (bits) => bits === 0xff ? NaN : 2 ** (bits - 127),
};

/** A sign, an exponent and a fraction, as in IEEE 754. */
function finite(bits: number, fractionBits: number, bias: number): number {
  const exponent = (bits & 0x7f) >> fractionBits;
  const fraction = (bits & ((1 << fractionBits) - 1)) / 2 ** fractionBits;
  const magnitude = exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias);
  return bits < 0x80 ? magnitude : -magnitude;
}
