/**
 * How far VAR mixes the vectors of likely tokens for smoother pictures, its `more_smooth`: the numbers that
 * grow from scale to scale. The mixing itself is a kernel's.
 *
 * @module
 */

import type { Mixing } from "../tokens/codebook_tokens.ts";

/**
 * As in the released code: `autoregressive_infer_cfg` in
 * https://github.com/FoundationVision/VAR/blob/main/models/var.py. The temperature, after MaskGIT (arXiv
 * 2202.04200), falls from 0.27 to 5 % of it, and the logits are sharpened up to twice; the last scales so
 * come near to the likeliest token. With ten scales the floor of 0.005 is never reached.
 *
 * @param ratio Place of the scale among all, from 0 for the first to 1 for the last.
 *
 * @example
 * ```ts
 * import { varMixing } from "./smoothing.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(varMixing(0), { sharpness: 1, tau: 0.27 });
 * assertEquals(varMixing(1).sharpness, 2);
 * ```
 */
export function varMixing(ratio: number): Mixing {
  return { sharpness: 1 + ratio, tau: Math.max(0.27 * (1 - 0.95 * ratio), 0.005) };
}
