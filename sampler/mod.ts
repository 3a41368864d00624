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
export {
  collaborate,
  type CollaborateRequest,
  type ModelOrLoader,
  PUBLISHED_COLLABORATION,
} from "./collaborate.ts";
export { type GridCell, gridImage, type GridOptions, stretchImage, viewScale } from "./pictures/grid.ts";
export type { Cost, CostCounts, JudgeMeter } from "./cost.ts";
export { plan, type PlannedMethod, type PlannedSearch, type PlanOptions, type SearchPlan } from "./plan.ts";
export { costOf, type PlannedCost } from "./planned_cost.ts";
export { type Look, type ScaleHook, scalesOf, type SearchEvent } from "./hook.ts";
export {
  describeLanes,
  type HostFeatures,
  judgeLanes,
  type LaneFeatureExtractor,
  type LaneVerifier,
  VerifierError,
} from "./judging.ts";
export {
  type Classification,
  classify,
  type ClassifyOptions,
  type ClassifyResult,
  type RankedLabel,
  type StageRanking,
} from "./likelihood/classify.ts";
export { type ClassifyStage, type ResolvedStage, usualStages } from "./likelihood/stages.ts";
export {
  type MapRequest,
  score,
  type ScoreOptions,
  type TokenScoreFacts,
  TokenScores,
} from "./likelihood/score.ts";
export { generateLive } from "./notebook/generate_live.ts";
export { type LongCell, longCell, type LongCellOptions } from "./notebook/long_cell.ts";
export type { MimeBundle } from "./notebook/output.ts";
export { type PngOptions, RgbaImage } from "./pictures/image.ts";
export { readPngText, type ReadPngTextOptions, withPngText } from "./pictures/png_text.ts";
export { Pace } from "./pace.ts";
export type { Box, EditMode, Mask, Region, Shares } from "./editing/mask.ts";
export type { GivenTokens, TokenMaps } from "./given_tokens.ts";
export { type GenerateRequest, type ResolvedRequest, resolveRequest } from "./request.ts";
export type { ShadowOptions, ShadowScale } from "./shadow_options.ts";
export {
  type PictureError,
  pictureError,
  reconstruct,
  ReconstructedImage,
  type ReconstructOptions,
  ReconstructResult,
} from "./editing/reconstruct.ts";
export {
  type Attempt,
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
  adaptiveGuidance,
  type AdaptiveGuidanceOptions,
  type ProjectedOver,
} from "./methods/adaptive_guidance.ts";
export { beamSearch, type BeamSearchDecision, type BeamSearchOptions } from "./methods/beam_search.ts";
export { bestOfN, type BestOfNDecision, type BestOfNOptions } from "./methods/best_of.ts";
export { latentFeatures, type LatentFeaturesOptions } from "./methods/latent_features.ts";
export { ownDensity, type OwnDensityOptions } from "./methods/own_density.ts";
export { ownEvidence, type OwnEvidenceOptions } from "./methods/own_evidence.ts";
export type { Judge } from "./methods/population.ts";
export {
  type Corruption,
  CORRUPTIONS,
  DEFAULT_PREFIX_WEIGHT,
  prefixGuidance,
  type PrefixGuidanceOptions,
  prefixWeightOf,
} from "./methods/prefix_guidance.ts";
export { type SearchTree, searchTree, type SearchTreeNote } from "./methods/search_tree.ts";
export type { Reduction } from "./methods/principal.ts";
export type { Potential } from "./methods/potentials.ts";
export { type Stepwise, stepwise, type StepwiseNote } from "./methods/stepwise.ts";
export { type TtsSchedule, ttsSchedule, type TtsScheduleOptions } from "./methods/tts_schedule.ts";
export { spatialGuidance, type SpatialGuidanceOptions } from "./methods/spatial_guidance.ts";
export {
  type ClusterPoint,
  ttsVar,
  type TtsVarDecision,
  type TtsVarOptions,
  type TtsVarPreset,
} from "./methods/tts_var.ts";
export { type OwnVerifierOptions, verifierOf } from "./methods/own_verifier.ts";
export {
  varScaling,
  type VarScalingDecision,
  type VarScalingOptions,
  type VarScalingPreset,
} from "./methods/var_scaling.ts";
