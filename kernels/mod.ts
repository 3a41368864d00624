/**
 * The kernels of varscale, each as WGSL and as a TypeScript twin, and the two devices that run them. They
 * serve without the rest: for density estimation, nearest codes, sampling or the choice among candidates in
 * work of one's own. There are three ways in:
 *
 * - **One call** on typed arrays: {@linkcode kde}, {@linkcode distances}, {@linkcode nearest},
 *   {@linkcode lookup}, {@linkcode sample}, {@linkcode representativeCandidate}.
 * - **Create once, run many**, with inputs and results on the device: {@linkcode createKde},
 *   {@linkcode createDistances}, {@linkcode createCodebook}, {@linkcode createTokenSampler},
 *   {@linkcode createBitSampler}, {@linkcode createCandidateDensity}. What they make is freed by `using`.
 * - **Kernels** by themselves: {@linkcode Device.run} with the arguments of one of them.
 *
 * @example One call
 * ```ts
 * import { kde } from "./mod.ts";
 * import { assert } from "@std/assert";
 *
 * const [middle, edge] = await kde(new Float32Array([-1, 0, 1]), {
 *   dimensions: 1,
 *   at: new Float32Array([0, 2]),
 * });
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
export * from "./candidates/bandwidth.ts";
export * from "./codebook/bits.ts";
export * from "./codebook/code_distance.ts";
export { CpuDevice, floats, HostArray, words } from "./device/cpu_device.ts";
export * from "./candidates/density.ts";
export * from "./device/device.ts";
export * from "./points/distance.ts";
export * from "./device/errors.ts";
export * from "./maps/gather.ts";
export { groupDensity, type GroupDensityArguments, runDensity } from "./candidates/group_density.ts";
export {
  type CandidateShape,
  groupSizes,
  groupTokens,
  type GroupTokensArguments,
} from "./candidates/group_tokens.ts";
export * from "./sampling/guidance.ts";
export { hammingBandwidth, type HammingBandwidthArguments } from "./candidates/hamming_bandwidth.ts";
export { hammingMatrix, type HammingMatrixArguments } from "./points/hamming.ts";
export {
  hammingDensity,
  type HammingDensityArguments,
  type HammingScoresArguments,
  runHammingDensity,
} from "./candidates/hamming_density.ts";
export { type FloatStorage, inverseLengths, type InverseLengthsArguments } from "./points/inverse_lengths.ts";
export { kernelDensity, type KernelDensityArguments, stretchLength } from "./points/kernel_density.ts";
export { kernelDensitySum, type KernelDensitySumArguments } from "./points/kernel_density_sum.ts";
export type { LogitArguments } from "./sampling/logit.ts";
export * from "./codebook/lookup.ts";
export * from "./maps/merge.ts";
export * from "./codebook/nearest.ts";
export * from "./device/open_device.ts";
export * from "./operations/candidates.ts";
export * from "./operations/codebook.ts";
export * from "./operations/distances.ts";
export * from "./operations/kde.ts";
export * from "./operations/sampler.ts";
export type { FloatInput, Target, WordInput } from "./operations/input.ts";
export * from "./maps/pack.ts";
export { measureRoof, profile, profileTurns } from "./profile/profile.ts";
export type { Profile, ProfileOptions, ProfileSubject, Roof, TurnOptions, Work } from "./profile/profile.ts";
export * from "./maps/resample.ts";
export * from "./maps/residual.ts";
export * from "./sampling/sample.ts";
export * from "./sampling/sample_bits.ts";
export * from "./candidates/select.ts";
export * from "./sampling/smooth.ts";
export { type ScratchOptions, sumDensities, type SumDensitiesArguments } from "./candidates/sum_densities.ts";
export * from "./exact/threefry.ts";
export * from "./codebook/unit_rows.ts";
export { GpuArray, type GpuPlace, WebGpuDevice } from "./device/webgpu_device.ts";
export { whitenRows, type WhitenRowsArguments } from "./points/whiten.ts";
