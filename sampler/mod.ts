/**
 * The sampler: `generate()`, scale hooks, VAR-Scaling, and the pictures that come out.
 *
 * @module
 */

export { type EditRequest, type ResolvedEdit } from "./editing/edit.ts";
export { decodeImage } from "./pictures/decode.ts";
export { type Fit, fitImage, FITS } from "./pictures/fit.ts";
export {
  type AbortedEvent,
  type BatchEvent,
  type DoneEvent,
  generate,
  type GenerateEvent,
  type ImageEvent,
  type PreviewEvent,
  type PreviewImage,
  type ScaleEvent,
} from "./generate.ts";
export { type GridCell, gridImage, type GridOptions, stretchImage, viewScale } from "./pictures/grid.ts";
export { type ScaleHook, scalesOf } from "./hook.ts";
export { type MimeBundle, RgbaImage } from "./pictures/image.ts";
export { Pace } from "./pace.ts";
export type { Box, EditMode, Mask, Region, Shares } from "./editing/mask.ts";
export { type GenerateRequest, type ResolvedRequest, resolveRequest } from "./request.ts";
export {
  type PictureError,
  pictureError,
  reconstruct,
  ReconstructedImage,
  type ReconstructOptions,
  ReconstructResult,
} from "./editing/reconstruct.ts";
export {
  type BatchTimings,
  GeneratedImage,
  GenerateResult,
  type HookDecision,
  type ImageOrigin,
  type Trace,
} from "./result.ts";
export {
  generateSeries,
  type SeriesBatch,
  type SeriesFailure,
  type SeriesOptions,
  type SeriesProgress,
} from "./series.ts";
export type { SamplingSettings } from "./settings.ts";
export {
  type DensityOptions,
  type DrawOptions,
  type ExpectedDensityOptions,
  type Lane,
  type ScaleStep,
  type SelectOptions,
} from "./step.ts";
export {
  varScaling,
  type VarScalingDecision,
  type VarScalingOptions,
  type VarScalingPreset,
} from "./methods/var_scaling.ts";
