/**
 * How likely the two values of a bit are, as integers: twin of `bit_chance.wgsl`. Drawing is left to
 * `sample_bits.ts`, and what densities follow from it to `expected_density.ts`.
 *
 * @module
 */

import { requireInteger, requireNumber } from "../arguments.ts";
import { bitsFloat, exp2Negative, floatBits } from "../exact/exact.ts";
import { INFINITE_KEY, keyBits, LOGIT_WGSL, requireTemperature } from "./logit.ts";
import wgsl from "./bit_chance.wgsl" with { type: "text" };

/** The WGSL side with what it needs. */
export const BIT_CHANCE_WGSL: string = LOGIT_WGSL + wgsl;

/** What decides over the two values of a bit besides their logits. */
export interface BitTruncation {
  /** What logits are divided by, 1 by default: 0 for the likelier value (0 in a tie), or from 1e-6 to 1e6. */
  temperature?: number;
  /**
   * Values of a bit to draw from: 1 takes the likelier one (0 in a tie); 0 (default), 2 and more leave both.
   */
  topK?: number;
  /**
   * Takes the likelier value for certain where the probability of the other one is at most `1 - topP` (in
   * float32), and else leaves both as they are. That is what top-p comes to with two values in Infinity's
   * code. 0 (default) and 1 are off.
   */
  topP?: number;
  /**
   * Takes the likelier value for certain where the other one has less than this share of its probability: a
   * difference of the logits of more than `-ln(minP) * temperature`, both in float32. 0 (default) is off, 1
   * leaves only ties open.
   */
  minP?: number;
}

/**
 * Checks what decides over two values.
 *
 * @throws {TypeError} If a value has the wrong type.
 * @throws {RangeError} If one is out of range.
 */
export function requireTruncation(args: BitTruncation, action: string): void {
  requireTemperature(args.temperature ?? 1, action);
  requireInteger(args.topK ?? 0, "topK", action, { min: 0 });
  requireNumber(args.topP ?? 0, "topP", action, { min: 0, max: 1 });
  requireNumber(args.minP ?? 0, "minP", action, { min: 0, max: 1 });
}

/** What a difference of logits is multiplied by to be a power of 2; 0 stands for the likelier value. */
export function sharpness({ temperature = 1, topK = 0 }: BitTruncation): number {
  return temperature === 0 || topK === 1 ? 0 : Math.fround(Math.LOG2E / temperature);
}

/** Where no difference of logits makes a value certain. */
const NONE = 0xffffffff;

/** The difference of logits from which on the likelier value is certain, as the bits of a float32. */
export function certainFrom(args: BitTruncation): number {
  return Math.min(certainByTopP(args), certainByMinP(args));
}

function certainByTopP({ topP = 0, temperature = 1 }: BitTruncation): number {
  if (topP === 0 || topP === 1) return NONE;
  const rest = Math.fround(1 - topP);
  return floatBits(Math.max(0, Math.log((1 - rest) / rest)) * temperature);
}

/** A difference that reaches exactly as far as min-p leaves both values, so it begins with the next one. */
function certainByMinP({ minP = 0, temperature = 1 }: BitTruncation): number {
  return minP === 0 ? NONE : floatBits(Math.abs(Math.log(minP)) * temperature) + 1;
}

/** The weight of the less likely value in units of 2^-30 of the other's, from the keys of both. */
export function otherWeight(more: number, less: number, factor: number, certain: number): number {
  if (factor === 0 || less === 0 || (more === INFINITE_KEY && less !== INFINITE_KEY)) return 0;
  const difference = more === less ? 0 : Math.fround(bitsFloat(keyBits(more)) - bitsFloat(keyBits(less)));
  return floatBits(difference) >= certain ? 0 : exp2Negative(Math.fround(difference * factor));
}
