/**
 * varscale: inference-time scaling of visual autoregressive image models, on WebGPU or the CPU.
 *
 * This is what a script or a notebook uses: load a model, generate, search, edit, save. Kernels for work of
 * one's own have a door of theirs, `kernels/mod.ts`; what a new family of models is built of comes from
 * `models/mod.ts`.
 *
 * @example
 * ```ts
 * import { generate, loadModel, varScaling } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { images } = await generate(model, { labels: "red torus", seed: 7, hooks: [varScaling()] });
 * assertEquals([images[0]!.width, images[0]!.height], [64, 64]);
 * ```
 *
 * @module
 */

// Where it runs.
export {
  CpuDevice,
  type Device,
  type DeviceArray,
  type DeviceChoice,
  type DeviceKind,
  DeviceLostError,
  NoAdapterError,
  openDevice,
  OutOfMemoryError,
  readFloats,
  readWords,
  type Seed,
  seedWords,
  ShaderCompilationError,
  threefry,
  WebGpuDevice,
  whyNoGpu,
} from "./kernels/mod.ts";
export { PICKS, RULES, STRATEGIES } from "./kernels/mod.ts";

// Models: loaded, converted, looked into.
export {
  type BatchLimit,
  BUNDLED_MODELS,
  type CacheDtype,
  type Checkpoint,
  type CheckpointDescription,
  type Checkpoints,
  type ClassLabels,
  type ConversionSource,
  convertModel,
  type ConvertOptions,
  type CpuProvider,
  createModelFolder,
  DEMO_MODEL,
  describeCheckpoint,
  describeGraph,
  describeWeights,
  type DownloadProgress,
  type DrawingSettings,
  type Dtype,
  DTYPES,
  encodeTextFeatures,
  type EncodeTextOptions,
  type Fact,
  FAMILIES,
  type Family,
  type FamilyOption,
  type GraphDescription,
  type GraphValue,
  GUIDANCE_FORMULAS,
  HubError,
  hubModel,
  type HubOptions,
  type HubPlace,
  IMAGENET_CLASSES,
  type Label,
  loadModel,
  type LoadModelOptions,
  type Model,
  ModelFileError,
  type ModelFolder,
  type ModelOutline,
  type ModelSize,
  type ModelSource,
  type ModelTuning,
  openCheckpoint,
  openModelFolder,
  parseHubPlace,
  type PerScale,
  type PictureSize,
  type PromptFeatures,
  readTextFeatures,
  registerFamily,
  type ResolvedLabel,
  RUNTIME_VERSION,
  type SamplingDefaults,
  type Scale,
  type Schedule,
  type ScheduleSettings,
  type SearchSettings,
  type StoredWeight,
  suggestPlace,
  systemReason,
  TextFeatures,
  type TextLabels,
  writeTextFeatures,
  type WriteTextFeaturesOptions,
} from "./models/mod.ts";

// Pictures, and methods that act while they are painted.
export {
  type BatchTimings,
  type Box,
  decodeImage,
  type DensityOptions,
  type DrawOptions,
  type EditMode,
  type EditRequest,
  type ExpectedDensityOptions,
  type Fit,
  fitImage,
  FITS,
  generate,
  GeneratedImage,
  type GenerateEvent,
  type GenerateRequest,
  GenerateResult,
  generateSeries,
  type GridCell,
  gridImage,
  type GridOptions,
  type HookDecision,
  type Lane,
  type Mask,
  Pace,
  pictureError,
  type PreviewImage,
  reconstruct,
  ReconstructedImage,
  type ReconstructOptions,
  ReconstructResult,
  type ResolvedEdit,
  type ResolvedRequest,
  resolveRequest,
  RgbaImage,
  type SamplingSettings,
  type ScaleHook,
  type ScaleStep,
  type SelectOptions,
  type SeriesBatch,
  type SeriesFailure,
  type SeriesOptions,
  type SeriesProgress,
  type Trace,
  varScaling,
  type VarScalingDecision,
  type VarScalingOptions,
  type VarScalingPreset,
  viewScale,
} from "./sampler/mod.ts";
