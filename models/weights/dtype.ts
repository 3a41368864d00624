/**
 * How the large weights of a model are stored and kept on the device. Which weights are large, and what a
 * graph does with them, is left to the families.
 *
 * @module
 */

/**
 * Type of the large weights: `"f32"` and `"f16"` are floats of 32 and 16 bits; `"q8"` and `"q4"` are integers
 * of 8 and 4 bits in blocks of 32 with one f32 scale each. Small weights, norms, codebooks and all
 * accumulators are f32 in any case.
 */
export type Dtype = "f32" | "f16" | "q8" | "q4";

/** All types, from the most precise on. */
export const DTYPES: readonly Dtype[] = ["f32", "f16", "q8", "q4"];
