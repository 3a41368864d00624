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

// Devices: where kernels run.
export { CpuDevice, floats, HostArray, words } from "./device/cpu_device.ts";
export type {
  Device,
  DeviceArray,
  DeviceCounters,
  DeviceKind,
  Kernel,
  Parameter,
  Plan,
  Timeline,
} from "./device/device.ts";
export { readFloats, readWords, spread } from "./device/device.ts";
export {
  DeviceLostError,
  NoAdapterError,
  OutOfMemoryError,
  ShaderCompilationError,
} from "./device/errors.ts";
export { type DeviceChoice, openDevice, whyNoGpu } from "./device/open_device.ts";
export { GpuArray, type GpuPlace, WebGpuDevice } from "./device/webgpu_device.ts";

// One call, or create once and run many.
export {
  type CandidateChoice,
  CandidateDensity,
  candidateDensity,
  type CandidateDensityCallOptions,
  type CandidateDensityOptions,
  type CandidateSizes,
  type ChooseOptions,
  createCandidateDensity,
  type Representative,
  representativeCandidate,
  type RepresentativeOptions,
  type ScoresOptions,
  type TokenCodes,
} from "./operations/candidates.ts";
export {
  bitsToCodes,
  type BitsToCodesOptions,
  Codebook,
  type CodebookLookupOptions,
  type CodebookMetric,
  type CodebookNearestOptions,
  type CodebookOptions,
  codesToBits,
  type CodesToBitsOptions,
  createCodebook,
  lookup,
  type LookupOptions,
  nearest,
  type NearestOptions,
} from "./operations/codebook.ts";
export {
  type BitDistanceOptions,
  createDistances,
  type DistanceInput,
  Distances,
  distances,
  type DistancesCallOptions,
  type DistancesOptions,
  type DistancesRunOptions,
  type DistanceTile,
  distanceTiles,
  type VectorDistanceOptions,
  type Vectors,
} from "./operations/distances.ts";
export type { FloatInput, Target, WordInput } from "./operations/input.ts";
export {
  type BandwidthRule,
  createKde,
  Kde,
  kde,
  type KdeCallOptions,
  type KdeOptions,
  type KdeRunOptions,
  type KernelCovariance,
} from "./operations/kde.ts";
export {
  BitSampler,
  type BitSamplerOptions,
  createBitSampler,
  createTokenSampler,
  type DrawingOptions,
  type RunOptions,
  sample,
  sampleBitTokens,
  type SampleBitTokensOptions,
  type SampleOptions,
  type SamplerOptions,
  TokenSampler,
  type TokenSamplerOptions,
} from "./operations/sampler.ts";

// Kernels by themselves, room by room.
export {
  PURPOSE,
  type Purpose,
  randomWords,
  type RandomWordsArguments,
  type Seed,
  seedWords,
  streamKey,
  threefry,
  threefry2x32,
  THREEFRY_WGSL,
} from "./exact/threefry.ts";

export {
  coarseContrast,
  type CoarseContrastArguments,
  createPriorTable,
  type PositionMap,
  type PriorTable,
  priorWeights,
} from "./sampling/coarse_contrast.ts";
export { guidance, type GuidanceArguments } from "./sampling/guidance.ts";
export type { LogitArguments } from "./sampling/logit.ts";
export {
  projectedGuidance,
  type ProjectedGuidanceArguments,
  type ProjectionRule,
  runProjectedGuidance,
} from "./sampling/projected_guidance.ts";
export { projectionSums, type ProjectionSumsArguments, sumsOfRow } from "./sampling/projection_sums.ts";
export {
  ALL_TIES,
  NO_TOKEN,
  sampleAndTruncate,
  type SampleAndTruncateArguments,
  type SampleArguments,
  sampleTokens,
} from "./sampling/sample.ts";
export type { BitTruncation } from "./sampling/bit_chance.ts";
export { missingBits, type MissingBitsArguments, NONE_MISSING } from "./sampling/missing_bits.ts";
export { sampleBits, type SampleBitsArguments } from "./sampling/sample_bits.ts";
export { type SmoothArguments, smoothCodes } from "./sampling/smooth.ts";
export { sumEvidence, type SumEvidenceArguments } from "./sampling/sum_evidence.ts";
export {
  bitEvidence,
  type BitEvidenceArguments,
  type EvidenceOutput,
  type EvidenceShape,
  runBitEvidence,
  runTokenEvidence,
  tokenEvidence,
  type TokenEvidenceArguments,
} from "./sampling/token_evidence.ts";

export {
  type BandwidthArguments,
  type FeatureGrouping,
  silvermanBandwidth,
  silvermanFactor,
} from "./candidates/bandwidth.ts";
export { type DensityArguments, gaussianDensity, logDensity } from "./candidates/density.ts";
export {
  expectedDensity,
  type ExpectedDensityArguments,
  type ExpectedScoresArguments,
  runExpectedDensity,
} from "./candidates/expected_density.ts";
export { groupDensity, type GroupDensityArguments, runDensity } from "./candidates/group_density.ts";
export {
  type CandidateShape,
  groupSizes,
  groupTokens,
  type GroupTokensArguments,
} from "./candidates/group_tokens.ts";
export { hammingBandwidth, type HammingBandwidthArguments } from "./candidates/hamming_bandwidth.ts";
export {
  hammingDensity,
  type HammingDensityArguments,
  type HammingScoresArguments,
  runHammingDensity,
} from "./candidates/hamming_density.ts";
export {
  type Decision,
  DECISION_WORDS,
  decisionLength,
  type DensityRule,
  type PickRule,
  PICKS,
  readDecision,
  RULES,
  type SelectArguments,
  selectCandidates,
  STRATEGIES,
  type Strategy,
} from "./candidates/select.ts";
export { type ScratchOptions, sumDensities, type SumDensitiesArguments } from "./candidates/sum_densities.ts";

export {
  DISTANCE_METRICS,
  distanceMatrix,
  type DistanceMatrixArguments,
  type DistanceMetric,
} from "./points/distance.ts";
export { hammingMatrix, type HammingMatrixArguments } from "./points/hamming.ts";
export { type FloatStorage, inverseLengths, type InverseLengthsArguments } from "./points/inverse_lengths.ts";
export { kernelDensity, type KernelDensityArguments, stretchLength } from "./points/kernel_density.ts";
export { kernelDensitySum, type KernelDensitySumArguments } from "./points/kernel_density_sum.ts";
export { whitenRows, type WhitenRowsArguments } from "./points/whiten.ts";

export {
  bitCodes,
  type BitCodesArguments,
  type BitsShape,
  signBits,
  type SignBitsArguments,
} from "./codebook/bits.ts";
export { codeDistances, type CodeDistancesArguments } from "./codebook/code_distance.ts";
export {
  type CodebookFormat,
  codebookLookup,
  type CodebookLookupArguments,
  type FeatureLayout,
} from "./codebook/lookup.ts";
export { nearestCodes, type NearestCodesArguments } from "./codebook/nearest.ts";
export { unitRows, type UnitRowsArguments } from "./codebook/unit_rows.ts";

export { gatherRows, type GatherRowsArguments } from "./maps/gather.ts";
export { mergeMaps, type MergeMapsArguments } from "./maps/merge.ts";
export { packPixels, type PackPixelsArguments, type PixelRule } from "./maps/pack.ts";
export {
  createResampleTable,
  resample,
  type ResampleArguments,
  type ResampleMethod,
  type ResampleTable,
  type ResampleWeights,
  resampleWeights,
} from "./maps/resample.ts";
export { residualUpdate, type ResidualUpdateArguments } from "./maps/residual.ts";
export {
  createPixelTable,
  type PixelFilter,
  type PixelRange,
  type PixelTable,
  type PixelWeights,
  pixelWeights,
  resizePixels,
  type ResizePixelsArguments,
} from "./maps/resize_pixels.ts";
export { type ShuffleArguments, shufflePixels, unshufflePixels } from "./maps/shuffle.ts";
export { unpackPixels, type UnpackPixelsArguments } from "./maps/unpack.ts";

// Whether a device keeps what they promise.
export { checkKernels, type CheckKernelsOptions, type KernelCheck } from "./check/check.ts";

// How long it takes.
export {
  measureRoof,
  type Profile,
  profile,
  type ProfileOptions,
  type ProfileSubject,
  profileTurns,
  type Roof,
  type TurnOptions,
  type Workload,
} from "./profile/profile.ts";
