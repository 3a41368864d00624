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

/**
 * How the large products are computed: `"f32"` multiplies floats; `"int8"` rounds the large weights to
 * integers of 8 bits with a scale for each output, and what they are multiplied with to integers with a scale
 * for each row, whose products and sums are exact.
 */
export type Compute = "f32" | "int8";

/** All ways, the default first. */
export const COMPUTES: readonly Compute[] = ["f32", "int8"];

/** Type of the large weights where a model runs: as a file may have them, or as products of integers do. */
export type KeptDtype = Dtype | "int8";
