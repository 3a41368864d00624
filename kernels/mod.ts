/**
 * The kernels of varscale, each as WGSL and as a TypeScript twin, and the two devices that run them. They serve without the rest: for
 * density estimation, nearest codes, sampling or the choice among candidates in work of one's own. There are three ways in:
 *
 * - **One call** on typed arrays: {@linkcode kde}, {@linkcode distances}, {@linkcode nearest}, {@linkcode lookup}, {@linkcode sample},
 *   {@linkcode representativeCandidate}.
 * - **Create once, run many**, with inputs and results on the device: {@linkcode createKde}, {@linkcode createDistances},
 *   {@linkcode createCodebook}, {@linkcode createTokenSampler}, {@linkcode createBitSampler}, {@linkcode createCandidateDensity}. What they
 *   make is freed by `using`.
 * - **Kernels** by themselves: {@linkcode Device.run} with the arguments of one of them.
 *
 * @example One call
 * ```ts
 * import { kde } from "./mod.ts";
 * import { assert } from "@std/assert";
 *
 * const [middle, edge] = await kde(new Float32Array([-1, 0, 1]), { dimensions: 1, at: new Float32Array([0, 2]) });
 * assert(middle! > edge!);
 * ```
 *
 * @example Create once, run many
 * ```ts
 * import { CpuDevice, createCodebook, readWords } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice(); // or: await WebGpuDevice.open()
 * using codebook = createCodebook(device, new Float32Array([0, 0, 1, 1]), { channels: 2 });
 * using tokens = codebook.nearest(new Float32Array([0.9, 0.8]));
 * assertEquals([...await readWords(tokens)], [1]);
 * ```
 *
 * @example A kernel by itself: drawing tokens from logits
 * ```ts
 * import { CpuDevice, readWords, sampleTokens, seedWords } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
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

export { requireChoice, requireInteger, requireNumber, requireOptions } from "./arguments.ts";
export * from "./bandwidth.ts";
export * from "./bits.ts";
export * from "./code_distance.ts";
export { CpuDevice, floats, HostArray, words } from "./cpu_device.ts";
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
export { type FloatStorage, inverseLengths, type InverseLengthsArguments } from "./inverse_lengths.ts";
export { kernelDensity, type KernelDensityArguments, stretchLength } from "./kernel_density.ts";
export { kernelDensitySum, type KernelDensitySumArguments } from "./kernel_density_sum.ts";
export type { LogitArguments } from "./logit.ts";
export * from "./lookup.ts";
export * from "./merge.ts";
export * from "./nearest.ts";
export * from "./open_device.ts";
export * from "./operations/candidates.ts";
export * from "./operations/codebook.ts";
export * from "./operations/distances.ts";
export * from "./operations/kde.ts";
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
export { whitenRows, type WhitenRowsArguments } from "./whiten.ts";
