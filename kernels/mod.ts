/**
 * The kernels of varscale, each as WGSL and as a TypeScript twin, and the two devices that run them. They serve without the rest: for
 * density estimation, nearest codes or truncated sampling in work of one's own.
 *
 * @example Drawing tokens from logits
 * ```ts
 * import { CpuDevice, readWords, sampleTokens, seedWords } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice(); // or: await WebGpuDevice.open()
 * using logits = device.upload(new Float32Array([0, 5, -Infinity, 0, 0, 9]));
 * using lanes = device.upload(new Uint32Array([0]));
 * using tokens = device.allocate(2);
 * const shape = { images: 1, positions: 2, vocabulary: 3 };
 * device.run(sampleTokens, { ...shape, logits, lanes, tokens, topK: 1, seed: seedWords(7), scale: 0 });
 * assertEquals([...await readWords(tokens)], [1, 2]);
 * ```
 *
 * @module
 */

export * from "./bandwidth.ts";
export { CpuDevice, floats, HostArray, words } from "./cpu_device.ts";
export * from "./bits.ts";
export * from "./code_distance.ts";
export * from "./density.ts";
export * from "./device.ts";
export * from "./distance.ts";
export * from "./errors.ts";
export * from "./gather.ts";
export { groupDensity, type GroupDensityArguments, runDensity } from "./group_density.ts";
export { type CandidateShape, groupSizes, groupTokens, type GroupTokensArguments } from "./group_tokens.ts";
export * from "./guidance.ts";
export { hammingBandwidth, type HammingBandwidthArguments } from "./hamming_bandwidth.ts";
export { hammingMatrix, type HammingMatrixArguments } from "./hamming.ts";
export {
  hammingDensity,
  type HammingDensityArguments,
  type HammingScoresArguments,
  runHammingDensity,
} from "./hamming_density.ts";
export type { LogitArguments } from "./logit.ts";
export { type FloatStorage, inverseLengths, type InverseLengthsArguments } from "./inverse_lengths.ts";
export * from "./lookup.ts";
export * from "./nearest.ts";
export * from "./open_device.ts";
export * from "./operations/candidates.ts";
export * from "./operations/codebook.ts";
export * from "./operations/distances.ts";
export * from "./operations/sampler.ts";
export type { FloatInput, Target, WordInput } from "./operations/input.ts";
export * from "./pack.ts";
export { measureRoof, profile, profileTurns } from "./profile.ts";
export type { Profile, ProfileOptions, ProfileSubject, Roof, TurnOptions, Work } from "./profile.ts";
export * from "./resample.ts";
export * from "./residual.ts";
export * from "./sample.ts";
export * from "./sample_bits.ts";
export * from "./select.ts";
export * from "./smooth.ts";
export { type ScratchOptions, sumDensities, type SumDensitiesArguments } from "./sum_densities.ts";
export * from "./threefry.ts";
export * from "./unit_rows.ts";
export { GpuArray, type GpuPlace, WebGpuDevice } from "./webgpu_device.ts";
