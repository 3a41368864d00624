/**
 * Models: reading checkpoints, converting them to model folders, loading those on a device.
 *
 * @module
 */

export {
  byteLength,
  type ByteSource,
  bytesPerElement,
  type Checkpoint,
  decodeFloat32,
  type DiskPlace,
  type DType,
  encodeFloat16,
  openCheckpoint,
  type OpenSourceOptions,
  type SafetensorsEntry,
  type StoredBytes,
  type TensorInfo,
  writeSafetensors,
  type WriteSafetensorsOptions,
} from "./checkpoint/mod.ts";
export {
  type CheckpointDescription,
  type Checkpoints,
  type ConversionSource,
  convertModel,
  describeCheckpoint,
  type FolderSource,
  type OpenModelOptions,
  openModelSource,
} from "./convert.ts";
export { FAMILIES, familyNamed, registerFamily } from "./families.ts";
export type {
  CheckpointPart,
  Companion,
  CompanionFile,
  Fact,
  Family,
  FamilyLoading,
  FamilyOption,
  FileElsewhere,
  LoadFamilyOptions,
  ModelWeights,
  PartWeights,
  PublishedFiles,
  TunedRepository,
} from "./family.ts";
export {
  type FileRecord,
  type FolderTuning,
  type ManifestFacts,
  type ModelFolder,
  type ModelManifest,
  type ModelTuning,
  openModelFolder,
} from "./folder/model_folder.ts";
export {
  type CreateFolderOptions,
  createModelFolder,
  type FolderWriter,
  type WriteTensorsOptions,
} from "./folder/folder_writer.ts";
export type { ModelSize } from "./folder/sizes.ts";
export { type ConvertOptions, openFolderAs, type OpenFolderOptions } from "./folder_conversion.ts";
export { createVirtualFolder, type VirtualFolderOptions } from "./folder/virtual_folder.ts";
export { describeWeights, type StoredWeight, type WeightFiles } from "./weights/weight_files.ts";
export {
  type BlockOptions,
  dequantizeBlocks,
  quantizeBlocks,
  type QuantizedBlocks,
} from "./weights/quantize.ts";
export { type Compute, COMPUTES, type Dtype, DTYPES, type KeptDtype } from "./weights/dtype.ts";
export {
  type DownloadProgress,
  HubError,
  type HubFailure,
  type HubFile,
  hubFile,
  hubFileNames,
  hubModelFolder,
  type HubOptions,
  type HubPlace,
  parseHubPlace,
  suggestPlace,
} from "./hub/mod.ts";
export {
  type HubCheckpoints,
  type HubModel,
  hubModel,
  type HubModelOptions,
  hubNotice,
} from "./hub_model.ts";
export { IMAGENET_CLASSES } from "./class_conditional/imagenet.ts";
export {
  type ClassLabels,
  type ClassModel,
  isUnconditional,
  type Label,
  resolveClass,
  type ResolvedLabel,
  type TextLabels,
} from "./label.ts";
export {
  checkDevice,
  type CheckDeviceOptions,
  type DeviceCheck,
  type ModelForecast,
} from "./device_check.ts";
export type { Rates } from "./graphs/rates.ts";
export {
  fitModel,
  type FitModelOptions,
  type ModelFit,
  type ModelNeeds,
  modelNeeds,
  type ModelNeedsOptions,
  type TypeFit,
} from "./model_needs.ts";
export type { PublishedModel } from "./published_model.ts";
export { BUNDLED_MODELS, DEMO_MODEL, loadModel, type LoadModelOptions, type ModelSource } from "./load.ts";
export type { CacheDtype } from "./graphs/cache_values.ts";
export { type NativeLibrary, nativeLibrary, whyNotNative } from "./graphs/cpu_provider.ts";
export type { CpuProvider, ExternalFile } from "./graphs/graph_session.ts";
export type { Provider } from "./graphs/room.ts";
export type {
  DecodedPictures,
  DecodeOptions,
  EncodeOptions,
  EncodeTextOptions,
  Encoding,
  FeatureArray,
  Generation,
  LogitsOptions,
  Model,
  ModelFlops,
  PictureArray,
  SearchDefaults,
  SearchSettings,
  StartOptions,
} from "./model.ts";
export { ModelFileError, type ModelFileErrorDetails } from "./model_file_error.ts";
export type { ModelOutline } from "./outline.ts";
export { systemReason } from "./system_reason.ts";
export { describeGraph, type GraphDescription } from "./graphs/graph_file.ts";
export type { Dimension, GraphValue } from "./graphs/graph_builder.ts";
export type { ElementType, ExternalWeight, WeightPlaces } from "./weights/weight_places.ts";
export {
  type EncoderFingerprints,
  encodeTextFeatures,
  type PromptFeatures,
  readTextFeatures,
  TextFeatures,
  writeTextFeatures,
  type WriteTextFeaturesOptions,
} from "./text/text_features.ts";
export { RUNTIME_VERSION } from "./graphs/web_graph_session.ts";
export { adapterNote } from "./graphs/llvmpipe_loops.ts";
export {
  type BatchLimit,
  type DrawingSettings,
  GUIDANCE_FORMULAS,
  type GuidanceFormula,
  guidanceWeight,
  isGuided,
  type MapSize,
  ofScale,
  type PerScale,
  type PictureSize,
  type SamplingDefaults,
  samplingOfScale,
  type Scale,
  type ScaleSampling,
  type Schedule,
  type ScheduleRequest,
  type ScheduleSettings,
} from "./schedule.ts";
export type {
  CodeVectors,
  Distance,
  DrawArguments,
  EvidenceArguments,
  ExpectedTokenDensityArguments,
  MissingArguments,
  MixArguments,
  TokenDensityArguments,
  TokenSelectArguments,
  TokenSpace,
  VectorArguments,
} from "./tokens/token_space.ts";
export { BitTokens, type BitTokensOptions } from "./tokens/bit_tokens.ts";
export { CodebookTokens, type CodebookTokensOptions, type Mixing } from "./tokens/codebook_tokens.ts";
export type { StoredTensor } from "./weights/weight_set.ts";
export { WeightSet } from "./weights/weight_set.ts";
export {
  openTokenizer,
  type OpenTokenizerOptions,
  type TextIds,
  type WordTokenizer,
} from "./text/word_tokenizer.ts";
export { loadFeatures, type LoadNetworkOptions, loadVerifier } from "./vision/load.ts";
export type {
  Network,
  NetworkFile,
  NetworkFiles,
  NetworkKind,
  OpenNetworkOptions,
} from "./vision/network_kind.ts";
export { NETWORKS } from "./vision/networks.ts";
export type {
  FeatureExtractor,
  Features,
  JudgeOptions,
  Pictures,
  Scores,
  Verifier,
} from "./vision/verifier.ts";
