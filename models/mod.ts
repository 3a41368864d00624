/**
 * Models: reading checkpoints, converting them to model folders, loading those on a device.
 *
 * @module
 */

export * from "./checkpoint/mod.ts";
export {
  type FileRecord,
  type ManifestFacts,
  type ModelFolder,
  type ModelManifest,
  type ModelTuning,
  openModelFolder,
} from "./folder.ts";
export {
  type CreateFolderOptions,
  createModelFolder,
  type FolderWriter,
  type WriteTensorsOptions,
} from "./folder_writer.ts";
export { createVirtualFolder, type VirtualFolderOptions } from "./virtual_folder.ts";
export { describeWeights, type StoredWeight, type WeightFiles } from "./weight_files.ts";
export { type BlockOptions, dequantizeBlocks, quantizeBlocks, type QuantizedBlocks } from "./quantize.ts";
export { type Dtype, DTYPES } from "./dtype.ts";
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
} from "./hub/mod.ts";
export { DEMO_MODEL, loadModel, type LoadModelOptions, type ModelSource } from "./load.ts";
export type { CpuProvider, ExternalFile } from "./graph_session.ts";
export type {
  CodeVectors,
  EncodeOptions,
  Encoding,
  Generation,
  Model,
  ModelMemory,
  StartOptions,
} from "./model.ts";
export { ModelFileError, type ModelFileErrorDetails } from "./model_file_error.ts";
export {
  describeGraph,
  type Dimension,
  type ElementType,
  type ExternalWeight,
  type GraphDescription,
  type GraphValue,
  type WeightPlaces,
} from "./onnx.ts";
export { RUNTIME_VERSION } from "./ort.ts";
export type { TokenizerConfig, TokenizerLevel, VarConfig } from "./var/config.ts";
export {
  convertVar,
  type ConvertVarOptions,
  describeVarCheckpoint,
  type OpenVarOptions,
  openVarSource,
  type VarCheckpointContent,
  type VarCheckpoints,
  type VarFolder,
  type VarSource,
} from "./var/convert.ts";
export { IMAGENET_CLASSES, publishedClassNames } from "./var/imagenet.ts";
export { hubModel, type OfficialVarFiles, officialVarFiles } from "./var/official.ts";
