/**
 * Models: reading checkpoints, converting them to model folders, loading those on a device.
 *
 * @module
 */

export * from "./checkpoint/mod.ts";
export {
  type CreateFolderOptions,
  createMemoryFolder,
  createModelFolder,
  type FileRecord,
  type FolderWriter,
  type ManifestFacts,
  type ModelFolder,
  type ModelManifest,
  type ModelTuning,
  openModelFolder,
  type WeightFiles,
} from "./folder.ts";
export { type Dtype, DTYPES } from "./dtype.ts";
export { DEMO_MODEL, loadModel, type LoadModelOptions, type ModelSource } from "./load.ts";
export type { CodeVectors, Encoding, Generation, Model, StartOptions } from "./model.ts";
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
  type VarCheckpointContent,
  type VarCheckpoints,
} from "./var/convert.ts";
