/**
 * What happens when a person gets something wrong: one table of bad calls and bad files over the whole public
 * face, each with the class of its error and the words that name the wanted and the given value. Nothing may
 * stay behind on the device.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { decisionLength, gaussianDensity, guidance, type Kernel, sampleTokens } from "../kernels/mod.ts";
import {
  adaptiveGuidance,
  bestOfN,
  BUNDLED_MODELS,
  classify,
  collaborate,
  convertModel,
  costOf,
  CpuDevice,
  createModelFolder,
  decodeImage,
  type Device,
  type DeviceArray,
  DeviceLostError,
  encodeTextFeatures,
  generate,
  generateLive,
  type GenerateRequest,
  gridImage,
  loadModel,
  loadVerifier,
  longCell,
  type Model,
  ModelFileError,
  openCheckpoint,
  openDevice,
  openModelFolder,
  ownEvidence,
  plan,
  prefixGuidance,
  readTextFeatures,
  type ResolvedLabel,
  RgbaImage,
  type ScaleHook,
  type ScaleStep,
  score,
  seedWords,
  ShaderCompilationError,
  spatialGuidance,
  TextFeatures,
  varScaling,
  type VarScalingOptions,
  type Verifier,
  verifierOf,
  WebGpuDevice,
  writeTextFeatures,
} from "../mod.ts";
import {
  accuracy,
  bootstrapInterval,
  clipScore,
  compareEvaluations,
  evaluatePictures,
  frechetDistance,
  inceptionScore,
  jackknifeInterval,
  kernelDistance,
  loadDetector,
  loadMetricNetwork,
  lookAtImages,
  meanDistance,
  openNpz,
  openPictures,
  pairedTest,
  parseGenEvalResults,
  parseMetadata,
  plotDensities,
  precisionRecall,
  readReference,
  readRows,
  type Rows,
  rowsAt,
  spearman,
  wilsonInterval,
  writeReference,
  writeRows,
} from "../evaluation/mod.ts";
import { createVirtualFolder } from "../models/mod.ts";
import { alphaPreset } from "../models/var/alpha.ts";
import { testOnGpu } from "./devices.ts";
import { holdings, testOnModel, TINY_NAMES, tinyCheckpoints } from "./sampler/models.ts";

/** Classes of errors. */
// deno-lint-ignore no-explicit-any -- constructors of different errors
type ErrorClass = new (...parameters: any[]) => Error;

/** A bad call: what it is, the call, and the error that it must end with. */
type Row = readonly [
  what: string,
  run: (model: Model) => unknown,
  type: ErrorClass,
  message: string | RegExp,
];

/** A value of the wrong type, for callers who do not check types. */
// deno-lint-ignore no-explicit-any -- that is the point
const wrong = (value: unknown): any => value;

const request = (given: unknown) => (model: Model): Promise<unknown> =>
  generate(model, given as GenerateRequest);
const hook = (given: unknown) => request({ hooks: [given] });
const inHook = (choose: (step: ScaleStep) => void) => hook({ name: "mine", scales: [1], choose });
const gathering = (order: unknown) => hook({ name: "mine", lanes: 2, gather: () => order });
const search = (options: unknown) => (): ScaleHook => varScaling(options as VarScalingOptions);
/** Runs with arrays that go away afterwards. */
const onArrays = (...lengths: number[]) => (run: (device: Device, ...arrays: DeviceArray[]) => unknown) => {
  return async ({ device }: Model): Promise<void> => {
    using stack = new DisposableStack();
    await run(device, ...lengths.map((length, i) => stack.use(device.allocate(length, `array ${i}`))));
  };
};
const draw = (options: object) =>
  onArrays(8, 2, 1)((device, logits, tokens, lanes) => {
    const shape = { images: 1, positions: 2, vocabulary: 4 };
    const row = { logits: logits!, tokens: tokens!, lanes: lanes!, ...shape, seed: seedWords(1), scale: 0 };
    device.run(sampleTokens, { ...row, ...options });
  });
/** Scores of maps of the tiny model, 1×1 and 2×2 tokens. */
const scoring = (tokens: unknown, labels: unknown = 0, options: unknown = {}) => (model: Model) =>
  score(model, wrong(tokens), wrong(labels), wrong(options));
const MAPS = [[0], [1, 2, 3, 4]];
const dot = new RgbaImage(1, 1);
const classifying = (labels: unknown, options: unknown = {}) => (model: Model) =>
  classify(model, dot, wrong(labels), wrong(options));
const grid = (options: object, cells = [{ image: dot }]) => () =>
  gridImage(cells, { columns: 1, ...options });
/** Features of one prompt, of channels that no bundled model has. */
const features = (...numbers: number[]): TextFeatures => {
  return new TextFeatures(2, new Map([["a red cube", Float32Array.from(numbers)]]));
};
/** A request for pictures of a text, to a model that takes texts. */
const paint = (options: object) => request({ labels: "a red cube", ...options });
const paintAs = (familyOptions: object) => paint({ familyOptions });
const encode = (prompts: unknown, options?: unknown) => (model: Model): unknown => {
  return model.encodeText!(wrong(prompts), wrong(options));
};
/** Uses the bundled model of texts without its text encoder. */
const withoutEncoder = (use: (model: Model) => unknown) => async (): Promise<void> => {
  await using model = await loadModel("demo-t2i", { device: "cpu", without: ["t5"] });
  await use(model);
};
const decimals = /\d+/.source;

const REQUESTS: readonly Row[] = [
  [
    "no model",
    () => generate(wrong(undefined)),
    TypeError,
    "Cannot generate as the model must be what loadModel() resolves to: current value is undefined",
  ],
  [
    "a model that was not waited for",
    (model) => generate(wrong(Promise.resolve(model))),
    TypeError,
    "Cannot generate as the model must be what loadModel() resolves to: current value is Promise",
  ],
  [
    "a request that is none",
    request(null),
    TypeError,
    "Cannot generate as the request must be an object: current value is null",
  ],
  [
    "a label for a request",
    request("sea"),
    TypeError,
    'Cannot generate as the request must be an object: current value is "sea"',
  ],
  [
    "a misspelt option",
    request({ lables: "sea" }),
    TypeError,
    /^Cannot generate as the option "lables" is unknown: options are labels, count, indices, seed, /,
  ],
  [
    "no labels",
    request({ labels: [] }),
    RangeError,
    "Cannot generate as labels must not be empty: current value is []",
  ],
  [
    "a class beyond the last",
    request({ labels: 5 }),
    RangeError,
    "Cannot generate as a label must be a class from 0 to 4: current value is 5",
  ],
  [
    "half a class",
    request({ labels: [0, 1.5] }),
    RangeError,
    "Cannot generate as a label must be a class from 0 to 4: current value is 1.5",
  ],
  [
    "a label of the wrong type",
    request({ labels: 1n }),
    TypeError,
    "Cannot generate as a label must be a number or a name: current value is 1n",
  ],
  [
    "a list with a hole",
    request({ labels: ["sea", undefined] }),
    TypeError,
    "Cannot generate as a label must be a number or a name: current value is undefined",
  ],
  [
    "an unknown name",
    request({ labels: "red sand" }),
    RangeError,
    'Cannot find the class "red sand" in the model "VAR-d1"; did you mean "sand", "Red Rock"?',
  ],
  [
    "a negative seed",
    request({ seed: -1 }),
    RangeError,
    "Cannot use seed as it must be an integer from 0 to 2^64 - 1: current value is -1",
  ],
  [
    "a seed with a fraction",
    request({ seed: 0.5 }),
    RangeError,
    "Cannot use seed as it must be an integer below 2^53, or a bigint: current value is 0.5",
  ],
  [
    "a seed of 65 bits",
    request({ seed: 2n ** 64n }),
    RangeError,
    "Cannot use seed as it must be an integer from 0 to 2^64 - 1: current value is 18446744073709551616n",
  ],
  [
    "a seed as text",
    request({ seed: "7" }),
    TypeError,
    /^Cannot use seed as it must be a number or a bigint: current value is "?7"?$/,
  ],
  [
    "negative guidance",
    request({ cfg: -1 }),
    RangeError,
    "Cannot generate as cfg must be from 0 to 1000000: current value is -1",
  ],
  [
    "guidance that is no number",
    request({ cfg: NaN }),
    RangeError,
    "Cannot generate as cfg must be from 0 to 1000000: current value is NaN",
  ],
  [
    "guidance as text",
    request({ cfg: "4" }),
    TypeError,
    'Cannot generate as cfg must be a number: current value is "4"',
  ],
  [
    "guidance for too few scales",
    request({ cfg: [4, 4, 3] }),
    RangeError,
    "Cannot generate as cfg must hold a number for each of 4 scales: current number is 3",
  ],
  [
    "a temperature of a scale as text",
    request({ temperature: [1, 1, "hot", 1] }),
    TypeError,
    'Cannot generate as temperature[2] must be a number: current value is "hot"',
  ],
  [
    "a broken top-k",
    request({ topK: 1.5 }),
    RangeError,
    "Cannot generate as topK must be an integer from 0 to 2147483647: current value is 1.5",
  ],
  [
    "top-p as a percentage",
    request({ topP: 96 }),
    RangeError,
    "Cannot generate as topP must be from 0 to 1: current value is 96",
  ],
  [
    "min-p as a percentage",
    request({ minP: 5 }),
    RangeError,
    "Cannot generate as minP must be from 0 to 1: current value is 5",
  ],
  [
    "a temperature next to 0",
    request({ temperature: 1e-9 }),
    RangeError,
    "Cannot generate as temperature must be 0 or at least 1e-6: current value is 1e-9",
  ],
  [
    "no images",
    request({ count: 0 }),
    RangeError,
    "Cannot generate as count must be an integer from 1 to 2147483647: current value is 0",
  ],
  [
    "too many images",
    request({ labels: [1, 2], count: 2 ** 30 }),
    RangeError,
    "Cannot generate more than 16777216 images at once: the request is for 2147483648",
  ],
  [
    "another formula of guidance",
    request({ guidance: "linear" }),
    TypeError,
    'Cannot generate as guidance must be one of "ramp", "constant": current value is "linear"',
  ],
  [
    "token maps that the model does not have",
    request({ patchNumbers: [1, 2, 4] }),
    RangeError,
    'Cannot generate as patchNumbers must be [1, 2, 3, 4] for the model "VAR-d1", which knows no others: current value is [1, 2, 4]',
  ],
  [
    "a size that the model does not paint",
    request({ size: { width: 16, height: 8 } }),
    RangeError,
    'Cannot generate as size must be 8×8 for the model "VAR-d1", which knows no others: current value is { width: 16, height: 8 }',
  ],
  [
    "what only other families know",
    request({ published: true }),
    TypeError,
    /^Cannot generate as published must be false for a VAR model/,
  ],
  [
    "an option of another family",
    request({ familyOptions: { maxpn: 16 } }),
    TypeError,
    /^Cannot generate .*maxpn/,
  ],
  [
    "features of texts for a model of classes",
    request({ textFeatures: features(1, 2) }),
    TypeError,
    'Cannot generate with textFeatures as the model "VAR-d1" takes no texts: leave them out',
  ],
  [
    "an empty batch",
    request({ batch: 0 }),
    RangeError,
    "Cannot generate as batch must be an integer from 1 to 2147483647: current value is 0",
  ],
  [
    "a number for a switch",
    request({ moreSmooth: 1 }),
    TypeError,
    "Cannot generate as moreSmooth must be a boolean: current value is 1",
  ],
  [
    "a controller for a signal",
    request({ signal: new AbortController() }),
    TypeError,
    "Cannot generate as signal must be an AbortSignal: current value is AbortController",
  ],
  [
    "a preview of a scale that is not there",
    request({ previews: [4] }),
    RangeError,
    "Cannot generate as each scale of previews must be an integer from -4 to 3: current value is 4",
  ],
  [
    "previews as text",
    (model) => generate.stream(model, { previews: wrong("all") }).next(),
    TypeError,
    'Cannot generate as previews must be a boolean or a list of scales: current value is "all"',
  ],
  [
    "an option that live painting does not have",
    (model) => generateLive(model, {}, wrong({ timeout: 5 })),
    TypeError,
    /Cannot generate as the option "timeout" is unknown/,
  ],
  [
    "a long cell without work",
    () => longCell(wrong("generate")),
    TypeError,
    'Cannot work in a long cell as the work must be a function: current value is "generate"',
  ],
  [
    "less than no time for a long cell",
    () => longCell(() => 1, { seconds: -1 }),
    RangeError,
    "Cannot work in a long cell as seconds must be from 0 to 2000000: current value is -1",
  ],
];

const HOOKS: readonly Row[] = [
  [
    "a hook instead of a list",
    request({ hooks: varScaling() }),
    TypeError,
    'Cannot generate as hooks must be a list: current value is { name: "var-scaling", scales: a function, coupled: false, settings: {…}, … 1 more }',
  ],
  [
    "a hook that is none",
    hook(null),
    TypeError,
    "Cannot generate as a hook must be an object with a name: current value is null",
  ],
  [
    "a hook that does nothing",
    hook({ name: "mine" }),
    TypeError,
    'Cannot generate as the hook "mine" has none of combine, guide, choose and gather',
  ],
  [
    "a hook with a text for a function",
    hook({ name: "mine", guide: "strong" }),
    TypeError,
    'Cannot generate as guide of the hook "mine" must be a function: current value is "strong"',
  ],
  [
    "one scale instead of a list",
    hook({ name: "mine", scales: 1, guide() {} }),
    TypeError,
    'Cannot generate as scales of the hook "mine" must be a list: current value is 1',
  ],
  [
    "lanes that nothing thins",
    hook({ name: "mine", lanes: 3, guide() {} }),
    TypeError,
    'Cannot generate as the hook "mine" starts 3 lanes of each image and no hook has a gather to thin them: for 3 pictures of each label there is count',
  ],
  [
    "tokens of a scale that has none yet",
    inHook((step) => void step.tokensOf(1)),
    RangeError,
    "Cannot tell the tokens of a scale as scale 1 has none yet: ask in gather",
  ],
  [
    "tokens of a later scale",
    inHook((step) => void step.tokensOf(2)),
    RangeError,
    "Cannot tell the tokens of a scale as scale must be an integer from 0 to 1: current value is 2",
  ],
  [
    "maps that are none",
    scoring(7),
    TypeError,
    "Cannot score tokens as tokens must be a list of token maps for each picture: current value is 7",
  ],
  [
    "no maps",
    scoring([]),
    RangeError,
    "Cannot score tokens as the number of pictures must be an integer >= 1: current value is 0",
  ],
  [
    "maps of no scale",
    scoring([[]]),
    RangeError,
    "Cannot score tokens as the number of maps must be an integer >= 1: current value is 0",
  ],
  [
    "a token that is none",
    scoring([[[48]]]),
    RangeError,
    "Cannot score tokens as tokens[0][0][0] must be an integer from 0 to 47: current value is 48",
  ],
  [
    "fewer tokens than a scale has",
    scoring([[[0], [1, 2]]]),
    RangeError,
    "Cannot score tokens as tokens[0][1] must hold 4 numbers for 2×2 tokens: current number is 2",
  ],
  [
    "fewer maps than are to be weighed",
    scoring([MAPS], 0, { until: 2 }),
    RangeError,
    "Cannot score tokens as tokens[0] must hold at least 3 maps: current number is 2",
  ],
  [
    "pictures of different numbers of maps",
    scoring([MAPS, [[0]]]),
    RangeError,
    "Cannot score tokens as tokens must hold as many maps for each image, at most 4: tokens[1] holds 1",
  ],
  [
    "labels that the model has not",
    scoring([MAPS], "moon"),
    RangeError,
    'Cannot find the class "moon" in the model "VAR-d1"; class names are like "sand"',
  ],
  [
    "no labels",
    scoring([MAPS], []),
    RangeError,
    "Cannot score tokens as the number of labels must be an integer >= 1: current value is 0",
  ],
  [
    "a batch of no rows",
    scoring([MAPS], 0, { batch: 0 }),
    RangeError,
    "Cannot score tokens as batch must be an integer from 1 to 2147483647: current value is 0",
  ],
  [
    "a scale to score until",
    scoring([MAPS], 0, { until: 4 }),
    RangeError,
    "Cannot score tokens as until must be an integer from -4 to 3: current value is 4",
  ],
  [
    "a temperature of scores",
    scoring([MAPS], 0, { temperature: 1 }),
    TypeError,
    'Cannot score tokens as the option "temperature" is unknown: options are patchNumbers, size, published, familyOptions, cfg, guidance, until, batch, textFeatures, signal',
  ],
  [
    "features of texts for scores of classes",
    scoring([MAPS], 0, { textFeatures: features(1, 2) }),
    TypeError,
    'Cannot score tokens with textFeatures as the model "VAR-d1" takes no texts: leave them out',
  ],
  [
    "one label to classify by",
    classifying([0]),
    RangeError,
    "Cannot classify pictures as labels must be at least two different ones, each once: current value is [0]",
  ],
  [
    "a label twice",
    classifying([0, "sand", 1]),
    RangeError,
    'Cannot classify pictures as labels must be at least two different ones, each once: current value is [0, "sand", 1]',
  ],
  [
    "noise below 0",
    classifying([0, 1], { noise: -1 }),
    RangeError,
    "Cannot classify pictures as noise must be a finite number >= 0: current value is -1",
  ],
  [
    "stages that are none",
    classifying([0, 1], { stages: 4 }),
    TypeError,
    "Cannot classify pictures as stages must be a list of stages: current value is 4",
  ],
  [
    "a stage of more scales than there are",
    classifying([0, 1], { stages: [{ scales: 5 }] }),
    RangeError,
    "Cannot classify pictures as stages[0].scales must be an integer from 1 to 4: current value is 5",
  ],
  [
    "pictures for a model that has no encoder",
    classifying([0, 1]),
    TypeError,
    'Cannot encode as the model "VAR-d1" has no encoder',
  ],
  [
    "a picture that is none",
    (model) => classify(model, wrong("picture.png"), [0, 1]),
    TypeError,
    'Cannot fit the picture as it must be an RgbaImage, such as decodeImage() makes of a file: current value is "picture.png"',
  ],
  [
    "scales of evidence that are no list",
    () => ownEvidence({ scales: wrong(3) }),
    TypeError,
    "Cannot make a judge by evidence as scales must be a list of scales: current value is 3",
  ],
  [
    "no scale of evidence",
    () => ownEvidence({ scales: [] }),
    RangeError,
    "Cannot make a judge by evidence as the number of scales must be an integer >= 1: current value is 0",
  ],
  [
    "a model's place instead of the model",
    () => ownEvidence({ model: wrong("demo") }),
    TypeError,
    'Cannot make a judge by evidence as model must be a loaded model: current value is "demo"',
  ],
  [
    "a scale of evidence that is not there",
    request({ hooks: [bestOfN({ verifier: ownEvidence({ scales: [4] }) })] }),
    RangeError,
    "Cannot judge lanes as a scale of the evidence must be an integer from -4 to 3: current value is 4",
  ],
  [
    "a note about a lane that is not there",
    inHook((step) => step.note(1, "good")),
    RangeError,
    "Cannot note a value as lane must be an integer from 0 to 0: current value is 1",
  ],
  [
    "a scale that is not there",
    hook({ name: "mine", scales: [0, 4], guide() {} }),
    RangeError,
    'Cannot generate as a scale of the hook "mine" must be an integer from -4 to 3: current value is 4',
  ],
  [
    "too many lanes",
    hook({ name: "mine", lanes: 257, gather() {} }),
    RangeError,
    'Cannot generate as lanes of the hook "mine" must be an integer from 1 to 256: current value is 257',
  ],
  [
    "tokens for one position of four",
    inHook((step) => step.choose(step.allocate(1))),
    RangeError,
    "Cannot choose tokens for scale 1 as 4 are needed: the array holds 1",
  ],
  [
    "tokens of another device",
    inHook((step) => step.choose(new CpuDevice().allocate(4, "mine"))),
    TypeError,
    'Cannot use "mine" here as it belongs to another device',
  ],
  [
    "tokens that are gone",
    inHook((step) => {
      using tokens = step.device.allocate(4, "mine");
      step.choose(tokens);
    }),
    TypeError,
    'Cannot use "mine" as it has been disposed',
  ],
  [
    "a draw with a share above one",
    inHook((step) => void step.draw(1, { topP: 2 })),
    RangeError,
    "Cannot draw tokens as topP must be from 0 to 1: current value is 2",
  ],
  [
    "fewer than no draws",
    inHook((step) => void step.draw(-1)),
    RangeError,
    'Cannot allocate "candidates" as length must be an integer >= 0: current value is -4',
  ],
  [
    "a density of nothing",
    inHook((step) => void step.density(step.draw(), 0)),
    RangeError,
    "Cannot estimate bandwidths as draws must be an integer from 1 to 8192: current value is 0",
  ],
  [
    "an unknown distance",
    inHook((step) => void step.density(step.draw(2), 2, { distance: wrong("city block") })),
    TypeError,
    'Cannot estimate densities as distance must be one of "euclidean", "cosine": current value is "city block"',
  ],
  [
    "an unknown bandwidth",
    inHook((step) => void step.density(step.draw(2), 2, { bandwidth: wrong("row") })),
    TypeError,
    'Cannot estimate densities as bandwidth must be one of "image", "batch": current value is "row"',
  ],
  [
    "more candidates than were drawn",
    inHook((step) => void step.density(step.draw(2), 3)),
    RangeError,
    'Cannot estimate bandwidths as "candidates" must hold at least 12 words: it holds 8',
  ],
  [
    "a report longer than its array",
    inHook((step) => step.report(step.allocate(1), 2, (words) => words)),
    RangeError,
    `Cannot copy words as offset + length must be <= 1, the words of "hook's array": offset is 0 and length is 2`,
  ],
  [
    "a lane that is not there",
    gathering([2]),
    RangeError,
    'Cannot gather lanes as the hook "mine" asked for lane 2: there are lanes 0 to 1',
  ],
  [
    "an image without a lane",
    gathering([]),
    RangeError,
    'Cannot gather lanes as the hook "mine" left no lane of image 0',
  ],
  [
    "an order that is no list",
    gathering(new Uint32Array(1)),
    TypeError,
    'Cannot gather lanes as the hook "mine" must return a list of lanes: current value is Uint32Array(1)',
  ],
];

const SEARCHES: readonly Row[] = [
  [
    "options that are none",
    search(null),
    TypeError,
    "Cannot make the VAR-Scaling hook as the options must be an object: current value is null",
  ],
  [
    "a misspelt option",
    search({ sample: 50 }),
    TypeError,
    /^Cannot make the VAR-Scaling hook as the option "sample" is unknown: options are preset, scale, samples, alpha, /,
  ],
  ["an option that every object has", search({ toString: 1 }), TypeError, /the option "toString" is unknown/],
  [
    "an unknown preset",
    search({ preset: "best" }),
    TypeError,
    'Cannot make the VAR-Scaling hook as preset must be one of "default", "published", "paper": current value is "best"',
  ],
  [
    "a preset that every object has",
    search({ preset: "constructor" }),
    TypeError,
    /current value is "constructor"$/,
  ],
  [
    "an unknown density",
    search({ density: "closed" }),
    TypeError,
    'Cannot make the VAR-Scaling hook as density must be one of "sampled", "analytic": current value is "closed"',
  ],
  [
    "a nominal number for sampled densities",
    search({ nominal: 3000 }),
    RangeError,
    'Cannot make the VAR-Scaling hook as density must be "analytic" where nominal is given: current value is "sampled"',
  ],
  [
    "a nominal number beyond the most",
    search({ density: "analytic", nominal: 8193 }),
    RangeError,
    "Cannot make the VAR-Scaling hook as nominal must be an integer from 1 to 8192: current value is 8193",
  ],
  [
    "an analytic density with the bandwidth of the batch",
    search({ density: "analytic", preset: "published" }),
    RangeError,
    'Cannot make the VAR-Scaling hook as bandwidth must be "image" where density is "analytic": current value is "batch"',
  ],
  [
    "an analytic density of a codebook",
    request({ hooks: [varScaling({ density: "analytic" })] }),
    RangeError,
    /^Cannot expect densities as only tokens of bits have a closed form, not those of the model ".+": use density$/,
  ],
  [
    "an unknown strategy",
    search({ strategy: "top" }),
    TypeError,
    'Cannot make the VAR-Scaling hook as strategy must be one of "var-scaling", "top-k", "small-k", "random-k": current value is "top"',
  ],
  [
    "no candidates",
    search({ samples: 0 }),
    RangeError,
    "Cannot make the VAR-Scaling hook as samples must be an integer from 1 to 8192: current value is 0",
  ],
  [
    "candidates as text",
    search({ samples: "50" }),
    TypeError,
    /^Cannot make the VAR-Scaling hook as samples must be a number: current value is "?50"?$/,
  ],
  [
    "a negative threshold",
    search({ alpha: -1 }),
    RangeError,
    "Cannot make the VAR-Scaling hook as alpha must be from 0 to 1048576: current value is -1",
  ],
  [
    "no representatives",
    search({ representatives: 0 }),
    RangeError,
    "Cannot make the VAR-Scaling hook as representatives must be an integer from 1 to 8192: current value is 0",
  ],
  [
    "a negative distance",
    search({ conflictThreshold: -0.1 }),
    RangeError,
    "Cannot make the VAR-Scaling hook as conflictThreshold must be from 0 to 1099511627776: current value is -0.1",
  ],
  [
    "no scale",
    search({ scale: [] }),
    TypeError,
    "Cannot make the VAR-Scaling hook as scale must be a number or a list of numbers: current value is []",
  ],
  [
    "half a scale",
    search({ scale: [0, 1.5] }),
    RangeError,
    "Cannot make the VAR-Scaling hook as scale must be an integer from -1000 to 1000: current value is 1.5",
  ],
  [
    "a scale beyond the last",
    request({ hooks: [varScaling({ scale: 7 })] }),
    RangeError,
    'Cannot generate as a scale of the hook "var-scaling" must be an integer from -4 to 3: current value is 7',
  ],
  [
    "the deviation of one candidate",
    request({ hooks: [varScaling({ samples: 1, deviation: "sample" })] }),
    RangeError,
    "Cannot estimate bandwidths as a sample's deviation needs at least 2 draws: draws is 1",
  ],
  [
    "alpha before the first scale",
    () => alphaPreset({ depth: 30, scale: -1, samples: 50 }),
    RangeError,
    "Cannot find alpha as scale must be an integer >= 0: current value is -1",
  ],
];

/** What guides, and two models for one picture. */
const GUIDING: readonly Row[] = [
  [
    "a share of more than all positions",
    () => prefixGuidance({ share: 2 }),
    RangeError,
    "Cannot make the prefix guidance hook as share must be from 0 to 1: current value is 2",
  ],
  [
    "a corruption that there is not",
    () => prefixGuidance({ corruption: wrong("twice") }),
    TypeError,
    /corruption must be one of "once", "anew": current value is "twice"/,
  ],
  [
    "weights of prefix guidance for too few scales",
    hook(prefixGuidance({ weight: [1, 2] })),
    RangeError,
    "Cannot guide by the prefix as weight must hold a number for each of 4 scales: current number is 2",
  ],
  [
    "prefix guidance of mixed vectors",
    request({ moreSmooth: true, hooks: [prefixGuidance()] }),
    RangeError,
    /moreSmooth and the hook "prefix-guidance" as what it runs beside the batch is fed tokens/,
  ],
  [
    "spatial guidance of no strength that there could be",
    () => spatialGuidance({ strength: 2000 }),
    RangeError,
    "Cannot make the spatial guidance as strength must be from 0 to 1024: current value is 2000",
  ],
  [
    "spatial guidance on no scale",
    () => spatialGuidance({ scales: [] }),
    RangeError,
    "Cannot make the spatial guidance as scales must be a list of at least one scale: current value is []",
  ],
  [
    "strengths of spatial guidance for too few scales",
    hook(spatialGuidance({ strength: [0, 1] })),
    RangeError,
    "Cannot guide by the scale before as strength must hold a number for each of 4 scales: current number is 2",
  ],
  [
    "spatial guidance on a scale beyond the last",
    hook(spatialGuidance({ scales: [4] })),
    RangeError,
    "Cannot guide by the scale before as a scale must be an integer from -4 to 3: current value is 4",
  ],
  [
    "a share of guidance beyond all bounds",
    () => adaptiveGuidance({ eta: 2000 }),
    RangeError,
    "Cannot make the adaptive guidance as eta must be from -1024 to 1024: current value is 2000",
  ],
  [
    "a cap of guidance that no float could tell from none",
    () => adaptiveGuidance({ normThreshold: 1e-9 }),
    RangeError,
    "Cannot make the adaptive guidance as normThreshold must be 0 or at least 1e-6: current value is 1e-9",
  ],
  [
    "a projection over what there is not",
    () => adaptiveGuidance({ over: wrong("batch") }),
    TypeError,
    'Cannot make the adaptive guidance as over must be one of "map", "position": current value is "batch"',
  ],
  [
    "two who combine the logits of a scale",
    request({ hooks: [adaptiveGuidance(), adaptiveGuidance({ eta: 0.5 })] }),
    TypeError,
    /one hook may combine the logits of a scale/,
  ],
  [
    "a first scale of the refiner beyond all",
    (model) => collaborate(model, model, { from: 5 }),
    RangeError,
    "Cannot generate with two models as from must be an integer from -4 to 4: current value is 5",
  ],
  [
    "an edit by two models",
    (model) => collaborate(model, model, wrong({ edit: {} })),
    TypeError,
    "Cannot generate with two models and edit: what is kept would have to be encoded by both",
  ],
];

/** A judge that costs something. */
const JUDGE: Verifier = {
  name: "judge",
  needsPrompt: false,
  flops: 1,
  score: ({ count }) => Array(count).fill(0),
};
const planning = (options: unknown) => (model: Model): Promise<unknown> => {
  return plan(model, { verifier: JUDGE, ...wrong(options) });
};

const COSTS: readonly Row[] = [
  [
    "a plan without a budget",
    planning({}),
    TypeError,
    'Cannot plan as budget must be like "4x", "8 s" or 2.5e12: current value is undefined',
  ],
  [
    "a budget in something else",
    planning({ budget: "4 EUR" }),
    RangeError,
    'Cannot plan as budget must be like "4x", "8 s" or 2.5e12: current value is "4 EUR"',
  ],
  [
    "a budget of nothing",
    planning({ budget: 0 }),
    RangeError,
    'Cannot plan as budget must be like "4x", "8 s" or 2.5e12: current value is 0',
  ],
  [
    "a method that there is not",
    planning({ budget: "4x", methods: ["best-of-n", "luck"] }),
    TypeError,
    'Cannot plan as a method must be one of "best-of-n", "beam", "tts-var", "var-scaling", "var-scaling+tts-var": current value is "luck"',
  ],
  [
    "a plan of a request with hooks",
    planning({ budget: "4x", request: { hooks: [varScaling()] } }),
    TypeError,
    /^Cannot plan as hooks of the request must be left out, as methods are hooks: current value is \[/,
  ],
  [
    "a plan of a request that cannot be made",
    planning({ budget: "4x", request: { labels: "nowhere" } }),
    RangeError,
    /"nowhere"/,
  ],
  [
    "a verifier that does not tell what it costs",
    planning({ budget: "4x", verifier: { ...JUDGE, flops: undefined } }),
    TypeError,
    'Cannot plan as "judge" does not tell how many operations a picture takes: give it "flops", 0 if they are few',
  ],
  [
    "TTS-VAR for a number of scales without a list",
    planning({ budget: "4x", methods: ["tts-var"] }),
    RangeError,
    "Cannot schedule TTS-VAR as sizes must be given for 4 scales, as there are presets for 5, 6, 7, 10, 13: current value is undefined",
  ],
  [
    "the cost of a hook that rearranges lanes as it likes",
    (model) => costOf(model, { labels: 0, hooks: [{ name: "mine", lanes: 2, gather: () => undefined }] }),
    TypeError,
    'Cannot tell the cost as the hook "mine" must say in plan what its gather does to lanes: it has no plan',
  ],
  [
    "the cost of decoding a scale that is not there",
    (model) => model.flops!(model.schedule()).decode(4),
    RangeError,
    "Cannot count operations as a scale must be an integer from 0 to 3: current value is 4",
  ],
];

const KERNELS: readonly Row[] = [
  [
    "an array of negative length",
    ({ device }) => device.allocate(-1, "mine"),
    RangeError,
    'Cannot allocate "mine" as length must be an integer >= 0: current value is -1',
  ],
  [
    "words beyond the end",
    onArrays(2)((device, a) => device.write(a!, new Uint32Array(2), 1)),
    RangeError,
    'Cannot write words as offset + length must be <= 2, the words of "array 0": offset is 1 and length is 2',
  ],
  [
    "a copy beyond the end",
    onArrays(3, 2)((device, a, b) => device.copy(a!, b!)),
    RangeError,
    'Cannot copy words as offset + length must be <= 2, the words of "array 1": offset is 0 and length is 3',
  ],
  [
    "a copy onto itself",
    onArrays(2)((device, a) => device.copy(a!, a!)),
    TypeError,
    'Cannot copy words as source and target must be two arrays: both are "array 0"',
  ],
  [
    "a reading of what is gone",
    ({ device }) => {
      const array = device.allocate(1, "mine");
      array[Symbol.dispose]();
      return device.read([array]);
    },
    TypeError,
    'Cannot use "mine" as it has been disposed',
  ],
  [
    "a reading from another device",
    ({ device }) => device.read([new CpuDevice().allocate(1, "mine")]),
    TypeError,
    'Cannot use "mine" here as it belongs to another device',
  ],
  [
    "a timeline without marks",
    ({ device }) => device.timeline(0),
    RangeError,
    "Cannot start a timeline as capacity must be an integer from 1 to 4096: current value is 0",
  ],
  [
    "logits that are too short",
    draw({ vocabulary: 5 }),
    RangeError,
    'Cannot draw tokens as "array 0" must hold at least 10 words: it holds 8',
  ],
  [
    "too large a vocabulary",
    draw({ vocabulary: 65537 }),
    RangeError,
    "Cannot draw tokens as vocabulary must be an integer from 1 to 65536: current value is 65537",
  ],
  [
    "a negative temperature",
    draw({ temperature: -1 }),
    RangeError,
    "Cannot draw tokens as temperature must be from 0.000001 to 1000000: current value is -1",
  ],
  [
    "a seed that is one number",
    draw({ seed: 7 }),
    TypeError,
    "Cannot draw tokens as seed must be two words: current value is 7",
  ],
  [
    "room for too few tokens",
    draw({ draws: 2 }),
    RangeError,
    'Cannot draw tokens as "array 1" must hold at least 4 words: it holds 2',
  ],
  [
    "guidance without unconditional logits",
    onArrays(4, 4)((device, logits, guided) => {
      device.run(guidance, {
        logits: logits!,
        guided: guided!,
        images: 1,
        positions: 1,
        vocabulary: 4,
        weight: 1,
      });
    }),
    RangeError,
    'Cannot guide logits as "array 0" must hold at least 8 words: it holds 4',
  ],
  [
    "a density in no dimensions",
    onArrays(4, 4, 4, 4)((device, tokens, codebook, bandwidth, scores) => {
      const arrays = { tokens: tokens!, codebook: codebook!, bandwidth: bandwidth!, scores: scores! };
      device.run(gaussianDensity, {
        ...arrays,
        images: 1,
        draws: 4,
        positions: 1,
        vocabulary: 4,
        channels: 0,
      });
    }),
    RangeError,
    "Cannot estimate densities as channels must be an integer >= 1: current value is 0",
  ],
];

const PICTURES: readonly Row[] = [
  [
    "a picture without pixels",
    () => new RgbaImage(0, 4),
    RangeError,
    "Cannot make an image as width must be an integer >= 1: current value is 0",
  ],
  [
    "pixels for another size",
    () => new RgbaImage(2, 2, new Uint8Array(12)),
    TypeError,
    "Cannot make an image as 2×2 RGBA pixels take 16 bytes: data holds 12",
  ],
  [
    "a file that is no picture",
    () => RgbaImage.decode(new TextEncoder().encode("GIF89a")),
    TypeError,
    "Cannot decode the PNG of 6 bytes: it is a GIF",
  ],
  [
    "a file of another kind",
    () => decodeImage(new TextEncoder().encode("GIF89a")),
    TypeError,
    "Cannot decode the picture as it is a GIF: PNG, JPEG and WebP can be read",
  ],
  [
    "half a picture",
    () => RgbaImage.decode(dot.png().slice(0, 40)),
    TypeError,
    "Cannot decode the PNG of 40 bytes: it ends too early",
  ],
  ["a grid of nothing", grid({}, []), RangeError, "Cannot draw a grid as there are no images"],
  [
    "a grid without columns",
    grid({ columns: 0 }),
    RangeError,
    "Cannot draw a grid as columns must be an integer >= 1: current value is 0",
  ],
  [
    "a grid of two sizes",
    grid({}, [{ image: dot }, { image: new RgbaImage(2, 1) }]),
    RangeError,
    "Cannot draw a grid as all images must have the same size: current sizes are 1×1 and 2×1",
  ],
  [
    "a color by name",
    grid({ ink: "red" }),
    RangeError,
    'Cannot draw a grid as ink must be a color like #fafafa: current value is "red"',
  ],
];

const NO_ENCODER =
  'Cannot encode the prompt "a red cube" as the model "demo-t2i" has no text encoder: load it with one, or give features that encode-text has kept';

const TEXTS: readonly Row[] = [
  [
    "a class for a prompt",
    paint({ labels: 3 }),
    TypeError,
    'Cannot generate as a label must be a prompt, as the model "demo-t2i" paints texts: current value is 3',
  ],
  [
    "no prompt",
    request({}),
    TypeError,
    'Cannot generate as labels must hold a prompt: the model "demo-t2i" has no classes to draw from',
  ],
  [
    "a book for a prompt",
    paint({ labels: "x".repeat(100_000) }),
    RangeError,
    "Cannot encode a prompt as its length must be at most 20000 characters: current value is 100000",
  ],
  [
    "a book to guide away from",
    paintAs({ negativePrompt: "x".repeat(100_000) }),
    RangeError,
    "Cannot encode a prompt as the length of negativePrompt must be at most 20000 characters: current value is 100000",
  ],
  [
    "no text to guide away from",
    paintAs({ negativePrompt: 3 }),
    TypeError,
    "Cannot generate as negativePrompt must be a text: current value is 3",
  ],
  [
    "words for a switch",
    paintAs({ positivePrompt: "smooth faces" }),
    TypeError,
    'Cannot generate as positivePrompt must be a boolean: current value is "smooth faces"',
  ],
  [
    "pixels that are not published",
    paintAs({ pn: "2M" }),
    TypeError,
    'Cannot generate as pn must be one of "0.06M", "0.25M", "0.60M", "1M": current value is "2M"',
  ],
  [
    "pixels as a number",
    paintAs({ pn: 1 }),
    TypeError,
    'Cannot generate as pn must be one of "0.06M", "0.25M", "0.60M", "1M": current value is 1',
  ],
  [
    "a ratio that does not exist",
    paintAs({ aspect: "16:9" }),
    RangeError,
    /^Cannot generate as aspect must be 1, 1\.25, 0\.8, .*, 3, 0\.333: current value is "16:9"$/,
  ],
  [
    "a ratio of the wrong type",
    paintAs({ aspect: true }),
    TypeError,
    "Cannot generate as aspect must be a ratio of height by width: current value is true",
  ],
  [
    "guidance in front of the first block",
    paintAs({ cfgInsertionLayer: "0,-5" }),
    RangeError,
    "Cannot generate as cfgInsertionLayer must be an integer from -4 to 0: current value is -5",
  ],
  [
    "guidance behind the logits",
    paintAs({ cfgInsertionLayer: "1" }),
    RangeError,
    "Cannot generate as cfgInsertionLayer must be an integer from -4 to 0: current value is 1",
  ],
  [
    "guidance somewhere",
    paintAs({ cfgInsertionLayer: "last" }),
    TypeError,
    'Cannot generate as cfgInsertionLayer must be 0, a negative number, or several between commas, like "0,-5": current value is "last"',
  ],
  [
    "an option of another family",
    paintAs({ maxpn: 16 }),
    TypeError,
    'Cannot generate as the option "maxpn" is unknown: options are pn, aspect, negativePrompt, positivePrompt, cfgInsertionLayer',
  ],
  [
    "guidance for too few scales",
    paint({ cfg: [4, 4] }),
    RangeError,
    "Cannot generate as cfg must hold a number for each of 5 scales: current number is 2",
  ],
  [
    "guidance for no scale",
    paint({ cfg: [] }),
    RangeError,
    "Cannot generate as cfg must hold a number for each of 5 scales: current number is 0",
  ],
  [
    "guidance of a scale that is no number",
    paint({ cfg: [4, 4, NaN, 4, 4] }),
    RangeError,
    "Cannot generate as cfg[2] must be from 0 to 1000000: current value is NaN",
  ],
  [
    "a temperature below 0 for a scale",
    paint({ temperature: [1, 1, -1, 1, 1] }),
    RangeError,
    "Cannot generate as temperature[2] must be from 0 to 1000000: current value is -1",
  ],
  [
    "token maps of one's own",
    paint({ patchNumbers: [1, 2] }),
    RangeError,
    'Cannot generate with patchNumbers as the model "demo-t2i" goes by the published table: use size, or pn and aspect',
  ],
  [
    "pictures of nothing",
    paint({ size: 0 }),
    RangeError,
    "Cannot generate as the width must be an integer from 1 to 65536: current value is 0",
  ],
  [
    "mixed vectors of bits",
    paint({ moreSmooth: true }),
    RangeError,
    'Cannot generate with moreSmooth as the model "demo-t2i" does not take mixed vectors',
  ],
  [
    "features that are none",
    paint({ textFeatures: {} }),
    TypeError,
    "Cannot generate as textFeatures must be what readTextFeatures() resolves to: current value is {}",
  ],
  [
    "the bytes of features",
    async (model) => {
      await generate(model, { labels: "", textFeatures: wrong(await encodeTextFeatures(features(1, 2))) });
    },
    TypeError,
    /^Cannot generate as textFeatures must be what readTextFeatures\(\) resolves to: current value is Uint8Array/,
  ],
  [
    "features of another width",
    paint({ textFeatures: features(1, 2) }),
    RangeError,
    "Cannot use the text features of features in memory as they are of another text encoder: the model's has 128 channels, theirs 2; encode the prompts with the model's own",
  ],
  [
    "features of another encoder",
    paint({
      textFeatures: new TextFeatures(128, new Map([["a red cube", new Float32Array(128)]]), {
        encoder: { "text_encoder.safetensors": "0".repeat(64) },
      }),
    }),
    RangeError,
    /^Cannot use the text features of features in memory as they are of another text encoder: the model's has SHA-256 [0-9a-f]{64}, theirs 0{64}; encode the prompts with the model's own$/,
  ],
  ["a prompt without an encoder", withoutEncoder((model) => paint({})(model)), TypeError, NO_ENCODER],
  ["prompts to encode without an encoder", withoutEncoder(encode(["a red cube"])), TypeError, NO_ENCODER],
  [
    "a part that the model needs, left out",
    () => loadModel("demo-t2i", { device: "cpu", without: ["vae"] }),
    RangeError,
    'Cannot make the model as without must be some of "t5" for Infinity: current value is ["vae"]',
  ],
  [
    "a size that the bundled model does not have",
    () => loadModel("demo-t2i", { device: "cpu", size: "2B" }),
    RangeError,
    'Cannot load the model "demo-t2i" as size must be its own, 4x192: current value is "2B"',
  ],
  [
    "a bundled model that there is not",
    () => loadModel("demo-t3i", { device: "cpu" }),
    ModelFileError,
    "Cannot read a file of the model folder: demo-t3i/model.json (found no such file)",
  ],
  [
    "no prompts to encode",
    encode(undefined),
    TypeError,
    "Cannot encode prompts as they must be a list of texts: current value is undefined",
  ],
  [
    "a prompt to encode, instead of a list",
    encode("a red cube"),
    TypeError,
    'Cannot encode prompts as they must be a list of texts: current value is "a red cube"',
  ],
  [
    "a number to encode",
    encode(["a red cube", 3]),
    TypeError,
    "Cannot encode a prompt as it must be a text: current value is 3",
  ],
  [
    "an empty list to encode",
    encode([]),
    RangeError,
    "Cannot keep text features as there must be a prompt: none",
  ],
  [
    "a book to encode",
    encode(["x".repeat(100_000)]),
    RangeError,
    "Cannot encode a prompt as its length must be at most 20000 characters: current value is 100000",
  ],
  [
    "a misspelt option of encoding",
    encode(["a"], { progress: true }),
    TypeError,
    'Cannot encode prompts as the option "progress" is unknown: options are onProgress, signal',
  ],
];

/** Text features by themselves. */
const FEATURES: readonly Row[] = [
  [
    "features in a list",
    () => new TextFeatures(2, wrong([["a", new Float32Array(2)]])),
    TypeError,
    "Cannot keep text features as they must be a Map: current value is [[…]]",
  ],
  [
    "features of a prompt in a list",
    () => new TextFeatures(2, new Map([["a", wrong([1, 2])]])),
    TypeError,
    'Cannot keep text features as those of "a" must be a Float32Array: current value is [1, 2]',
  ],
  [
    "features of a number",
    () => new TextFeatures(2, new Map([[wrong(1), new Float32Array(2)]])),
    TypeError,
    "Cannot keep text features as each prompt must be a text: current value is 1",
  ],
  [
    "features without channels",
    () => new TextFeatures(0, new Map([["a", new Float32Array(2)]])),
    RangeError,
    "Cannot keep text features as channels must be an integer >= 1: current value is 0",
  ],
  [
    "features of no prompt",
    () => new TextFeatures(2, new Map()),
    RangeError,
    "Cannot keep text features as there must be a prompt: none",
  ],
  [
    "features that are not finite",
    () => features(0, 1, 2, NaN),
    ModelFileError,
    'Cannot use the features of the prompt "a red cube": features in memory (expected finite numbers, found NaN for token 1)',
  ],
  [
    "half a token",
    () => features(0, 1, 2),
    ModelFileError,
    'Cannot use the features of the prompt "a red cube": features in memory (expected 1 to 512 tokens of 2 channels, found 3 numbers)',
  ],
  [
    "features of a prompt that is not there",
    () => features(1, 2).require("a blue cube"),
    RangeError,
    'Cannot find features of the prompt "a blue cube": features in memory has those of "a red cube"; encode it, too',
  ],
  [
    "features of a class",
    () => features(1, 2).require(wrong(5)),
    TypeError,
    "Cannot look up text features as the prompt must be a text: current value is 5",
  ],
  [
    "features and nothing",
    () => features(1, 2).and(wrong(undefined)),
    TypeError,
    "Cannot join text features as the further ones must be what readTextFeatures() resolves to: current value is undefined",
  ],
  [
    "features as integers",
    () => encodeTextFeatures(features(1, 2), { dtype: wrong("q8") }),
    TypeError,
    'Cannot write text features as dtype must be one of "f32", "f16": current value is "q8"',
  ],
  [
    "a misspelt option of writing",
    () => encodeTextFeatures(features(1, 2), wrong({ type: "f16" })),
    TypeError,
    'Cannot write text features as the option "type" is unknown: options are dtype, signal',
  ],
  [
    "no features to write",
    () => writeTextFeatures("/nowhere/features.safetensors", wrong(null)),
    TypeError,
    "Cannot write text features as they must be what readTextFeatures() resolves to: current value is null",
  ],
  [
    "numbers that are too large for halves",
    () => encodeTextFeatures(features(1e5, 2), { dtype: "f16" }),
    RangeError,
    'Cannot write text features as f16, whose numbers end at 65504: the prompt "a red cube" has 100000; write f32',
  ],
  [
    "nothing to read",
    () => readTextFeatures(wrong(undefined)),
    TypeError,
    "Cannot open the checkpoint as its source must be a path, a URL or bytes: current value is undefined",
  ],
  [
    "features that are not there",
    () => readTextFeatures("/nowhere/features.safetensors"),
    ModelFileError,
    "Cannot open the model file: /nowhere/features.safetensors (found no such file)",
  ],
  [
    "weights for features",
    () => readTextFeatures(new URL("transformer.safetensors", BUNDLED_MODELS["demo-t2i"])),
    ModelFileError,
    /transformer\.safetensors \(expected metadata with "format": "varscale-text-features", as encode-text writes them, found nothing\)$/,
  ],
  [
    "features cut short",
    async () => readTextFeatures((await encodeTextFeatures(features(1, 2))).slice(0, -1)),
    ModelFileError,
    "Cannot read the file as its size does not fit its header: bytes in memory (expected 8 bytes of data, found 7)",
  ],
  [
    "features of a later version",
    async () => {
      const bytes = await encodeTextFeatures(features(1, 2));
      await readTextFeatures(patched(bytes, '"version":"1"', '"version":"9"'));
    },
    ModelFileError,
    "Cannot read text features: bytes in memory (expected version 1, found 9)",
  ],
  [
    "features under another name",
    async () => {
      const bytes = await encodeTextFeatures(features(1, 2));
      await readTextFeatures(patched(bytes, '"features.0"', '"features.1"'));
    },
    ModelFileError,
    "Cannot read text features: bytes in memory, features.0 (expected a tensor of the features of each prompt, found none)",
  ],
];

const REWARD = new URL("../models/demo_t2i/", import.meta.url);
/** Loads a verifier for a model. */
const judge = (place: unknown, options: object = {}) => async (model: Model): Promise<void> => {
  await using _verifier = await loadVerifier(wrong(place), { model, ...options });
};
/** Lets the bundled verifier judge pictures of a model. */
const judging =
  (labels: readonly ResolvedLabel[], size: object = {}) => async (model: Model): Promise<void> => {
    await using verifier = await loadVerifier(REWARD, { model });
    using array = model.device.allocate(64 * 64);
    const scores = await verifier.score({ array, count: 1, width: 64, height: 64, ...size }, labels);
    (scores as DeviceArray)[Symbol.dispose]();
  };

const VERIFIERS: readonly Row[] = [
  ["no place of a verifier", judge(undefined), TypeError, /^Cannot load the verifier as its place must be /],
  [
    "a misspelt kind of network",
    judge("clipp"),
    TypeError,
    /^Cannot load the verifier as its place must be .*the place of a description: current value is "clipp"$/,
  ],
  [
    "a description that is not there",
    judge("nowhere/verifier.json"),
    ModelFileError,
    "Cannot open the model file: nowhere/verifier.json (found no such file)",
  ],
  [
    "weights that are not there, of a network that finds the rest on the hub",
    judge("image-reward:nowhere/ImageReward.pt"),
    ModelFileError,
    "Cannot open the model file: nowhere/ImageReward.pt (found no such file)",
  ],
  [
    "a folder without a description",
    judge(new URL("fixtures/", import.meta.url)),
    ModelFileError,
    /^Cannot find a file of an ONNX network by its description: .* \(expected "verifier.json", found none\)$/,
  ],
  [
    "a model and a device for a verifier",
    async ({ device, ...rest }) => void await loadVerifier(REWARD, { model: wrong(rest), device }),
    TypeError,
    'Cannot load the verifier as the option model must be given, or a device instead: current value is "both"',
  ],
  [
    "a verifier for no model",
    async () => void await loadVerifier(REWARD, {}),
    TypeError,
    "Cannot load the verifier as the option model must be given, or a device instead: current value is undefined",
  ],
  [
    "a template without a place for the label",
    judge(REWARD, { template: "a photo" }),
    TypeError,
    'Cannot load the verifier as template must be a text with "{label}": current value is "a photo"',
  ],
  [
    "a class for a verifier of texts",
    judging([{ id: 1, name: "red cone" }]),
    RangeError,
    'Cannot judge pictures of "red cone" as the verifier "demo-t2i reward" needs a text, and the label is a class: give it a template, such as "a photo of a {label}", or take another verifier',
  ],
  [
    "no label at all for a verifier of texts",
    judging([{ id: null, name: "null class" }]),
    RangeError,
    'Cannot judge pictures of "null class" as the verifier "demo-t2i reward" needs a text: give labels that say what to paint, or take another verifier',
  ],
  [
    "a label too few",
    judging([]),
    RangeError,
    "Cannot judge pictures as the number of labels must be 1, one for each picture: current value is 0",
  ],
  [
    "no pictures",
    judging([], { count: 0 }),
    RangeError,
    "Cannot look at pictures as the number of pictures must be an integer >= 1: current value is 0",
  ],
  [
    "a book for a verifier",
    judging([{ id: null, name: "book", prompt: "x".repeat(100_000) }]),
    RangeError,
    "Cannot encode a prompt as its length must be at most 20000 characters: current value is 100000",
  ],
  [
    "a verifier of one's own without a function",
    () => verifierOf(wrong({ name: "mine" })),
    TypeError,
    "Cannot make a verifier as score must be a function: current value is undefined",
  ],
];

const rows = (count: number, ...values: number[]): Rows => {
  return { values: Float32Array.from(values), count, dimensions: values.length / count };
};
const pair = rows(2, 1, 2, 3, 4);
const statistics = (covariance: number[]) => {
  return { count: 9, dimensions: 2, mean: new Float64Array(2), covariance: Float64Array.from(covariance) };
};
const looking = (use: (oracle: Awaited<ReturnType<typeof loadMetricNetwork>>) => unknown) => async () => {
  await using oracle = await loadMetricNetwork("demo-oracle", { cpuProvider: "wasm" });
  await use(oracle);
};
const README = new URL("../README.md", import.meta.url);

const EVALUATION: readonly Row[] = [
  [
    "sets of other dimensions",
    () => frechetDistance(pair, rows(2, 1, 2)),
    RangeError,
    "Cannot take a Fréchet distance as dimensions of second must be 2, as those of first: current value is 1",
  ],
  [
    "a picture alone",
    () => frechetDistance(pair, rows(1, 1, 2)),
    RangeError,
    "Cannot take a Fréchet distance as count of second must be an integer >= 2: current value is 1",
  ],
  [
    "a feature that is none",
    () => frechetDistance(pair, rows(2, 1, 2, NaN, 4)),
    RangeError,
    "Cannot take a Fréchet distance as second must be finite: current value is NaN in row 1, column 0",
  ],
  [
    "a covariance with two opinions",
    () => frechetDistance(pair, statistics([1, 2, 3, 4])),
    RangeError,
    "Cannot factor a covariance as it must be symmetric: current values of columns 0 and 1 are 3 and 2",
  ],
  [
    "rows of numbers as a list",
    () => frechetDistance(wrong([[1, 2], [3, 4]]), pair),
    TypeError,
    /^Cannot take a Fréchet distance as /,
  ],
  [
    "a part of the Inception Score that is not full",
    () => inceptionScore(pair, { chunk: 5 }),
    RangeError,
    "Cannot take an Inception Score as the number of rows must be a multiple of the chunk, 5: current value is 2",
  ],
  [
    "more parts than pictures",
    () => inceptionScore(pair),
    RangeError,
    "Cannot take an Inception Score as the number of rows must be at least the 10 splits: current value is 2",
  ],
  [
    "parts of the kernel distance that are larger than the sets",
    () => kernelDistance(pair, pair),
    RangeError,
    "Cannot take a kernel distance as subsetSize must be at most the 2 rows of the smaller set: current value is 1000",
  ],
  [
    "fewer pictures than neighbours",
    () => precisionRecall(pair, pair),
    RangeError,
    "Cannot take precision and recall as count of real must be an integer >= 4: current value is 2",
  ],
  [
    "a class that there is not",
    () => accuracy(pair, [0, 2]),
    RangeError,
    "Cannot take an accuracy as label 1 must be an integer from 0 to 1: current value is 2",
  ],
  [
    "a text too few",
    () => clipScore(pair, rows(1, 1, 2)),
    RangeError,
    /the number of texts must be 2, one for each/,
  ],
  [
    "rows as nothing",
    () => meanDistance(wrong(undefined)),
    TypeError,
    /must be rows of numbers: current value is undefined/,
  ],
  [
    "a row that there is not",
    () => rowsAt(pair, [2]),
    RangeError,
    /each place must be an integer from 0 to 1: current value is 2/,
  ],
  [
    "a correlation with what never changes",
    () => spearman([1, 2], [3, 3]),
    RangeError,
    /y must be of at least two different/,
  ],
  [
    "pairs of which one is alone",
    () => pairedTest([1, 2], [1]),
    RangeError,
    /the number in second must be 2, as in first/,
  ],
  [
    "a plot of no labels",
    () => plotDensities([], { alpha: 1.4 }),
    RangeError,
    "Cannot plot densities as labels must be at least one label: current value is []",
  ],
  [
    "an interval of nothing",
    () => bootstrapInterval([]),
    RangeError,
    /groups must be groups of at least one score/,
  ],
  [
    "a jackknife of one",
    () => jackknifeInterval(1, () => 0),
    RangeError,
    /count must be an integer >= 2: current value is 1/,
  ],
  [
    "more right ones than there are",
    () => wilsonInterval(3, 2),
    RangeError,
    /right must be an integer from 0 to 2: current value is 3/,
  ],
  [
    "a misspelt network",
    () => loadMetricNetwork("inception_fid"),
    TypeError,
    /^Cannot load the network for metrics as its place must be .* or the place of a description: current value is "inception_fid"$/,
  ],
  [
    "an output that a network has not",
    looking((oracle) => lookAtImages(oracle, [dot], ["spatial"])),
    RangeError,
    /spatial/,
  ],
  [
    "an option that evaluating has not",
    looking((network) => evaluatePictures(wrong({ network, metric: ["fid"] }))),
    TypeError,
    /the option "metric" is unknown/,
  ],
  [
    "evaluations by two networks",
    () =>
      compareEvaluations(
        wrong({ network: { name: "a", fingerprint: "1" } }),
        wrong({ network: { name: "b", fingerprint: "2" } }),
      ),
    RangeError,
    'Cannot compare evaluations as the network must be a for both: current value is "b"',
  ],
  [
    "pictures that are not there",
    () => openPictures("nowhere"),
    Error,
    "Cannot read pictures of nowhere: no such file or folder",
  ],
  [
    "a text for an archive",
    () => openNpz(README),
    ModelFileError,
    /^Cannot open the NumPy archive: .*README.md \(expected an archive of numpy.savez, found another file\)$/,
  ],
  ["a text for a reference", () => readReference(README), ModelFileError, /^Cannot open the NumPy archive: /],
  ["a text for features", () => readRows(README), ModelFileError, /^Cannot read the header: /],
  ["a reference of nothing", () => writeReference("none.npz", {}), TypeError, /must be statistics or rows/],
  [
    "features of nothing",
    () => writeRows("none.safetensors", { network: { name: "a", fingerprint: "1" }, pictures: "", rows: {} }),
    TypeError,
    /^Cannot write the rows as all must be of as many pictures/,
  ],
  [
    "a detector that is not there",
    () => loadDetector("nowhere/detector.json"),
    ModelFileError,
    "Cannot open the model file: nowhere/detector.json (found no such file)",
  ],
  [
    "metadata that is none",
    () => parseMetadata("{}"),
    TypeError,
    /must have a text as "tag": current value is undefined$/,
  ],
  [
    "results that are none",
    () => parseGenEvalResults("[]"),
    TypeError,
    /^Cannot read line 1 of the results as "filename" must be a text/,
  ],
];

for (
  const [area, rows] of Object.entries({
    requests: REQUESTS,
    hooks: HOOKS,
    "VAR-Scaling": SEARCHES,
    "guidance and two models": GUIDING,
    costs: COSTS,
    "devices and kernels": KERNELS,
    pictures: PICTURES,
    "text features": FEATURES,
    evaluation: EVALUATION,
  })
) {
  testOnModel("tiny", `bad input: ${area}`, async (model) => {
    // The graph runtime's buffers for such requests have been there once.
    await generate(model, { labels: 0 });
    await generate(model, { labels: 0, hooks: [{ name: "two", lanes: 2, gather: () => undefined }] });
    for (const row of rows) await check(row, model);
    // And the model still works.
    assertEquals((await generate(model, { labels: 0 })).images.length, 1);
  });
}

testOnModel("tiny", "bad input: verifiers", async (model) => {
  // The graph runtime keeps the buffers of a network that is gone for the next one.
  await judging([{ id: null, name: "a red cube", prompt: "a red cube" }])(model);
  for (const row of VERIFIERS) await check(row, model);
});

testOnModel("texts", "bad input: prompts", async (model) => {
  for (const row of TEXTS) await check(row, model);
  assertEquals((await generate(model, { labels: "a red cube" })).images.length, 1);
});

/** The error that a call ends with. */
async function errorOf(run: () => unknown, what: string): Promise<Error> {
  try {
    await run();
  } catch (thrown) {
    if (thrown instanceof Error) return thrown;
  }
  throw new Error(`${what}: no error`);
}

async function check([what, run, type, message]: Row, model: Model): Promise<void> {
  const before = holdings(model);
  const error = await errorOf(() => run(model), what);
  assertEquals(error.constructor, type, `${what}: ${error}`);
  if (typeof message === "string") assertEquals(error.message, message, what);
  else assert(message.test(error.message), `${what}: ${error.message}`);
  // As all messages are written: a capital first, no period last, no bare code.
  assert(/^[A-Z]/.test(error.message) && !error.message.endsWith("."), `${what}: ${error.message}`);
  assertEquals(holdings(model), before, what);
}

/** Text in a file's bytes, replaced by text of the same length. */
function patched(bytes: Uint8Array, find: string, replace: string): Uint8Array {
  assertEquals(find.length, replace.length);
  const text = new TextDecoder("latin1").decode(bytes);
  const at = text.indexOf(find);
  assert(at >= 0, `"${find}" is not in the file`);
  const copy = bytes.slice();
  copy.set(new TextEncoder().encode(replace), at);
  return copy;
}

testOnModel("tiny", "bad input: checkpoints and model sources", async (model) => {
  const good = await tinyCheckpoints();
  const load = (source: unknown, options: object = {}) => async ({ device }: Model): Promise<void> => {
    await using _model = await loadModel(wrong(source), { device, ...options });
  };
  const fixture = (name: string): string => `${import.meta.dirname}/fixtures/checkpoint/${name}`;
  const rows: Row[] = [
    [
      "no source",
      load(undefined),
      TypeError,
      'Cannot load the model as its source must be "demo", a folder, "hf:owner/name", or { var, vae } or { infinity, vae, t5? }: current value is undefined',
    ],
    [
      "half a pair",
      load({ vae: "vae.pth" }),
      TypeError,
      'Cannot load the model as its source must be "demo", a folder, "hf:owner/name", or { var, vae } or { infinity, vae, t5? }: current value is { vae: "vae.pth" }',
    ],
    [
      "no threads",
      load(good, { threads: 0 }),
      RangeError,
      "Cannot load the model as threads must be an integer >= 1: current value is 0",
    ],
    [
      "an empty source",
      load(""),
      TypeError,
      'Cannot load the model as its source must not be empty: current value is ""',
    ],
    [
      "an unknown provider",
      load(good, { cpuProvider: "webassembly" }),
      TypeError,
      'Cannot load the model as cpuProvider must be one of "auto", "wasm", "native": current value is "webassembly"',
    ],
    [
      "a misspelt option",
      load(good, { thread: 2 }),
      TypeError,
      'Cannot load the model as the option "thread" is unknown: options are device, threads, cpuProvider, dtype, memory, compute, offload, cacheDtype, keepTextEncoder, depth, size, hub, onProgress, classNames, check, weights, without, signal',
    ],
    [
      "a number for a device",
      () => loadModel("demo", { device: wrong(5) }),
      TypeError,
      'Cannot load the model as device must be "auto", "webgpu", "cpu" or a device: current value is 5',
    ],
    [
      "null for a device",
      () => loadModel("demo", { device: wrong(null) }),
      TypeError,
      'Cannot load the model as device must be "auto", "webgpu", "cpu" or a device: current value is null',
    ],
    [
      "a text for class names",
      load(good, { classNames: "abcde" }),
      TypeError,
      'Cannot load the model as classNames must be a list of names: current value is "abcde"',
    ],
    [
      "caches of integers",
      load(good, { cacheDtype: "q8" }),
      TypeError,
      'Cannot load the model as cacheDtype must be one of "f32", "f16": current value is "q8"',
    ],
    [
      "products of halves",
      load(good, { compute: "f16" }),
      TypeError,
      'Cannot load the model as compute must be one of "f32", "int8": current value is "f16"',
    ],
    [
      "products of integers in WebAssembly",
      () => loadModel("demo", { device: "cpu", cpuProvider: "wasm", compute: "int8" }),
      RangeError,
      'Cannot load the model with compute "int8" as WebAssembly gains too little by them, 1.2 to 1.7 times the speed of one product; use cpuProvider: "native", or compute: "f32"',
    ],
    [
      "products of integers of weights that are rounded",
      load(good, { compute: "int8", dtype: "q8" }),
      RangeError,
      'Cannot load the model with compute "int8" and dtype "q8" as integers are made of weights that are not rounded yet; leave dtype out, or use compute: "f32"',
    ],
    [
      "products of integers of weights that are read again and again",
      () => loadModel("demo-t2i", { device: "cpu", compute: "int8", offload: "blocks" }),
      RangeError,
      'Cannot load the model with compute "int8" and offload "blocks" as weights would be rounded again each time a block is read; use offload: "none" or compute: "f32"',
    ],
    [
      "weights that lie nowhere",
      load(good, { offload: true }),
      TypeError,
      'Cannot load the model as offload must be one of "none", "blocks": current value is true',
    ],
    [
      "a text encoder that is kept perhaps",
      load(good, { keepTextEncoder: "yes" }),
      TypeError,
      'Cannot load the model as keepTextEncoder must be a boolean: current value is "yes"',
    ],
    [
      "a choice that the family does not have",
      load(good, { offload: "blocks" }),
      RangeError,
      'Cannot load the model with offload "blocks" as VAR has no such choice; Infinity has',
    ],
    [
      "a text encoder of a model that has none",
      () => loadModel("demo", { device: "cpu", keepTextEncoder: true }),
      RangeError,
      "Cannot load the model with keepTextEncoder true as VAR has no such choice; Infinity has",
    ],
    [
      "a check that cannot be called",
      load(good, { check: true }),
      TypeError,
      "Cannot load the model as check must be a function: current value is true",
    ],
    [
      "a model that has been disposed",
      // On a device of its own: ONNX Runtime keeps a pool of buffers until the last model of a device is
      // gone.
      async () => {
        const gone = await loadModel(good, { device: "cpu" });
        await gone[Symbol.asyncDispose]();
        await generate(gone, { labels: 0 });
      },
      TypeError,
      'Cannot start a generation as the model "VAR-d1" has been disposed',
    ],
    [
      "doubles for words",
      ({ device }) => device.upload(wrong(new Float64Array(2))),
      TypeError,
      "Cannot upload words as the data must be a Float32Array or Uint32Array: current value is Float64Array(2)",
    ],
    [
      "a list for words",
      ({ device }) => device.upload(wrong([1, 2])),
      TypeError,
      "Cannot upload words as the data must be a Float32Array or Uint32Array: current value is [1, 2]",
    ],
    [
      "an unknown device",
      () => loadModel("demo", { device: wrong("gpu") }),
      TypeError,
      'Cannot load the model as device must be "auto", "webgpu", "cpu" or a device: current value is "gpu"',
    ],
    [
      "another unknown device",
      () => openDevice(wrong("vulkan")),
      RangeError,
      'Cannot open a device as it must be "auto", "webgpu" or "cpu": current value is "vulkan"',
    ],
    [
      "names for other classes",
      load(good, { classNames: ["a", "b"] }),
      RangeError,
      "Cannot convert the model as it has 5 classes: the number of class names is 2",
    ],
    [
      "weights of a set that is not there",
      load(good, { weights: "ema" }),
      RangeError,
      'Cannot choose the weights "ema" of the transformer in bytes in memory: the file has one set of weights; leave weights out',
    ],
    [
      "a name for a list of parts",
      load(good, { without: "vae" }),
      TypeError,
      'Cannot load the model as without must be a list of names: current value is "vae"',
    ],
    [
      "a part that the model needs, left out",
      load(good, { without: ["vae"] }),
      RangeError,
      'Cannot make the model as without must be empty for VAR: current value is ["vae"]',
    ],
    [
      "a part of no model, left out of a folder",
      () => loadModel("demo", { device: "cpu", without: ["t6"] }),
      RangeError,
      'Cannot make the model as without must be empty for VAR: current value is ["t6"]',
    ],
    [
      "weights of a folder",
      () => loadModel("demo", { device: "cpu", weights: "ema" }),
      TypeError,
      'Cannot load the model with weights "ema" as "demo" is a model folder, which has one set of them',
    ],
    [
      "the answer of a web server",
      load({ ...good, vae: new TextEncoder().encode("Entry not found") }),
      ModelFileError,
      'Cannot open the checkpoint: bytes in memory (expected a .pth or .safetensors file, found a text that begins with "Entry not found")',
    ],
    [
      "a repository without hf:",
      () => loadModel("FoundationVision/var", { device: "cpu" }),
      ModelFileError,
      'Cannot read a file of the model folder: FoundationVision/var/model.json (found no such file; did you mean "hf:FoundationVision/var"?)',
    ],
    [
      "a folder that is not there",
      load("/nowhere/demo"),
      ModelFileError,
      "Cannot read a file of the model folder: /nowhere/demo/model.json (found no such file)",
    ],
    [
      "a checkpoint that is not there",
      load({ ...good, var: "/nowhere/var.pth" }),
      ModelFileError,
      "Cannot open the model file: /nowhere/var.pth (found no such file)",
    ],
    [
      "another protocol",
      load({ ...good, var: new URL("ftp://example.com/var.pth") }),
      TypeError,
      'Cannot open the model file as its address must be http, https or file: current value is "ftp:"',
    ],
    [
      "the two swapped",
      load({ var: good.vae, vae: good.var }),
      ModelFileError,
      /^Cannot find the model in the checkpoint: bytes in memory \(expected a tensor "pos_start" or "pos_1LC", found "/,
    ],
    [
      "an empty file",
      load({ ...good, vae: new Uint8Array(0) }),
      ModelFileError,
      "Cannot open the checkpoint: bytes in memory (expected a .pth or .safetensors file, found an empty file)",
    ],
    [
      "a file of something else",
      load({ ...good, vae: new Uint8Array(100) }),
      ModelFileError,
      "Cannot open the checkpoint: bytes in memory (expected a .pth or .safetensors file, found a file of 100 bytes of an unknown format)",
    ],
    [
      "a file cut short",
      load({ ...good, var: good.var.subarray(0, -8) }),
      ModelFileError,
      new RegExp(
        `^Cannot read the file as its size does not fit its header: bytes in memory \\(expected ${decimals} bytes of data, found ${decimals}\\)$`,
      ),
    ],
    [
      "a tensor missing",
      load({ ...good, var: patched(good.var, '"head.bias"', '"tail.bias"') }),
      ModelFileError,
      "Cannot find a tensor of the model: bytes in memory, head.bias (expected [48])",
    ],
    [
      "a tensor too many",
      load({
        ...good,
        vae: patched(good.vae, '"decoder.up.0.block.0.norm1.bias"', '"decoder.up.0.block.0.norm9.bias"'),
      }),
      ModelFileError,
      "Cannot find a tensor of the model: bytes in memory, decoder.up.0.block.0.norm1.bias (expected [32])",
    ],
    [
      "a tensor turned over",
      load({ ...good, var: patched(good.var, '"shape":[192,64]', '"shape":[64,192]') }),
      ModelFileError,
      "Cannot use a tensor of the model: bytes in memory, blocks.0.attn.mat_qkv.weight (expected [192, 64], found [64, 192])",
    ],
    [
      "a pickle of code",
      () => openCheckpoint(fixture("refused_module.pth")),
      ModelFileError,
      /\(expected only types that checkpoints are made of, found the name "torch.nn.modules.linear.Linear"\)$/,
    ],
    [
      "a sparse tensor",
      async () => {
        using checkpoint = await openCheckpoint(fixture("unreadable.pth"));
        await checkpoint.readFloat32("csr");
      },
      ModelFileError,
      /unreadable.pth, csr \(expected a dense one, as it is stored, found a sparse one\)$/,
    ],
    [
      "complex numbers as float32",
      async () => {
        using checkpoint = await openCheckpoint(fixture("rare_dtypes.pth"));
        await checkpoint.readFloat32("c64");
      },
      ModelFileError,
      /rare_dtypes.pth, c64 \(expected real numbers of 8 bits or more, found C64\)$/,
    ],
    [
      "a file of an old PyTorch, cut off",
      async () => openCheckpoint((await Deno.readFile(fixture("stream_single.pth"))).slice(0, -1)),
      ModelFileError,
      /^Cannot read the file as it is cut off: bytes in memory \(expected 360 bytes, found 359\)$/,
    ],
    [
      "a tensor by a wrong name",
      async () => {
        using checkpoint = await openCheckpoint(good.vae);
        await checkpoint.readFloat32("quantize");
      },
      ModelFileError,
      "Cannot find the tensor: bytes in memory, quantize",
    ],
    [
      "pictures for a model without encoder",
      async (model) => {
        using pictures = model.device.allocate(8 * 8 * 3);
        await model.encode({ array: pictures, width: 8, height: 8 }, 1);
      },
      TypeError,
      'Cannot encode as the model "VAR-d1" has no encoder',
    ],
    [
      "a class by a wrong name",
      (model) => model.resolveLabel("lake"),
      RangeError,
      'Cannot find the class "lake" in the model "VAR-d1"; class names are like "sand"',
    ],
  ];
  for (const row of rows) await check(row, model);
});

testOnModel("tiny", "bad input: model folders", async (model) => {
  const parent = await Deno.makeTempDir();
  try {
    const path = `${parent}/tiny`;
    {
      await using writer = await createModelFolder(path);
      await convertModel(await tinyCheckpoints(), writer, { classNames: TINY_NAMES });
    }
    const manifest = await Deno.readTextFile(`${path}/model.json`);
    const load = async ({ device }: Model): Promise<void> => {
      await using _model = await loadModel(path, { device });
    };
    /** A folder with another description: a text, or other facts. */
    const described = (change: string | Record<string, unknown>) => async (model: Model): Promise<void> => {
      const text = typeof change === "string"
        ? change
        : JSON.stringify({ ...JSON.parse(manifest), ...change });
      await Deno.writeTextFile(`${path}/model.json`, text);
      try {
        await load(model);
      } finally {
        await Deno.writeTextFile(`${path}/model.json`, manifest);
      }
    };
    /** A folder with another file. */
    const replaced = (name: string, bytes: (old: Uint8Array) => Uint8Array | undefined) => {
      return async (model: Model): Promise<void> => {
        const old = await Deno.readFile(`${path}/${name}`);
        const changed = bytes(old);
        if (changed === undefined) await Deno.remove(`${path}/${name}`);
        else await Deno.writeFile(`${path}/${name}`, changed);
        try {
          await load(model);
        } finally {
          await Deno.writeFile(`${path}/${name}`, old);
        }
      };
    };
    const unreadable = (rest: string): string =>
      `Cannot read the description of a model: ${path}/model.json (${rest})`;
    const rows: Row[] = [
      [
        "no folder",
        (model) => loadModel(parent, { device: model.device }),
        ModelFileError,
        `Cannot read a file of the model folder: ${parent}/model.json (found no such file)`,
      ],
      [
        "no folder, opened as one",
        () => openModelFolder(`${parent}/none/`),
        ModelFileError,
        `Cannot read a file of the model folder: ${parent}/none/model.json (found no such file)`,
      ],
      [
        "a description cut short",
        described(manifest.slice(0, 40)),
        ModelFileError,
        /^Cannot read the description of a model: .*\/model.json \(expected JSON, found /,
      ],
      [
        "a description of something else",
        described({ format: undefined }),
        ModelFileError,
        unreadable('expected "format": "varscale-model", found undefined'),
      ],
      [
        "an earlier version",
        described({ version: 1 }),
        ModelFileError,
        unreadable("expected version 2, found 1"),
      ],
      [
        "an unknown family",
        described({ family: "diffusion" }),
        ModelFileError,
        `Cannot load a model of this family: ${path}/model.json (expected "var" or "flexvar" or "infinity", found "diffusion")`,
      ],
      [
        "unknown weights",
        described({ dtype: "int4" }),
        ModelFileError,
        unreadable('expected "dtype": "f32" or "f16" or "q8" or "q4", found "int4"'),
      ],
      [
        "names that are none",
        described({ classNames: [1, 2] }),
        ModelFileError,
        unreadable('expected a list of texts "classNames", found [1,2]'),
      ],
      [
        "a file outside of the folder",
        described({ files: { "../secret": { bytes: 1, sha256: "0".repeat(64) } } }),
        ModelFileError,
        unreadable('expected plain file names, found "../secret"'),
      ],
      [
        "a file without a checksum",
        described({ files: { "a.onnx": { bytes: 1 } } }),
        ModelFileError,
        unreadable('expected size and SHA-256 of "a.onnx", found {"bytes":1}'),
      ],
      [
        "a list without the weights",
        described({ files: {} }),
        ModelFileError,
        `Cannot find a file in the model's list: ${path}/model.json (expected "transformer.safetensors", found no files)`,
      ],
      [
        "a file missing",
        replaced("condition.onnx", () => undefined),
        ModelFileError,
        `Cannot read a file of the model folder: ${path}/condition.onnx (found no such file)`,
      ],
      [
        "a file cut short",
        replaced("tokenizer.safetensors", (old) => old.subarray(0, -1)),
        ModelFileError,
        new RegExp(
          `^Cannot use a file of the model as its size is wrong: .* \\(expected ${decimals} bytes, found ${decimals}\\)$`,
        ),
      ],
      [
        "a file with one bit changed",
        replaced(
          "transformer.safetensors",
          (old) => old.map((byte, i) => i === old.length - 1 ? byte ^ 1 : byte),
        ),
        ModelFileError,
        /^Cannot use a file of the model as its SHA-256 is wrong: .*\/transformer.safetensors \(expected [0-9a-f]{64}, found [0-9a-f]{64}\)$/,
      ],
      [
        "a folder where there is one",
        () => createModelFolder(path),
        Deno.errors.AlreadyExists,
        `Cannot write the model folder as "${path}" exists; choose another path or overwrite it`,
      ],
      [
        "names for other classes",
        async () => {
          await convertModel(await tinyCheckpoints(), createVirtualFolder("nowhere"), {
            classNames: ["one"],
          });
        },
        RangeError,
        "Cannot convert the model as it has 5 classes: the number of class names is 1",
      ],
    ];
    for (const row of rows) await check(row, model);
    // What was repaired loads, and nothing half-written lies about.
    await load(model);
    assertEquals((await Array.fromAsync(Deno.readDir(parent))).map(({ name }) => name), ["tiny"]);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
});

testOnGpu("bad input: shaders and devices that are gone", async (device) => {
  const broken: Kernel<{ array: DeviceArray }> = {
    name: "broken",
    wgsl: "@compute @workgroup_size(1) fn main() { let x: u32 = 1.5; }",
    plan: ({ array }) => ({ arrays: [array], parameters: [], workgroups: [1, 1, 1] }),
    twin: () => {},
  };
  const before = device.counters.liveArrays;
  {
    using array = device.allocate(decisionLength(1));
    device.run(broken, { array });
    const error = await errorOf(() => device.read([array]), "a shader that is wrong");
    assertEquals(error.constructor, ShaderCompilationError, String(error));
    assertEquals((error as ShaderCompilationError).kernel, "broken");
    assert(/^Cannot compile the shader of kernel "broken":\n/.test(error.message), error.message);
    // The error is told once; the device goes on.
    assertEquals((await device.read([array]))[0]!.length, decisionLength(1));
  }
  assertEquals(device.counters.liveArrays, before);

  const gone = await WebGpuDevice.open();
  gone[Symbol.dispose]();
  const message = "GPU device lost (destroyed); open a new device and load the model again";
  for (
    const run of [
      () => gone.allocate(1),
      () => gone.read([]),
      async () => await loadModel("demo", { device: gone }),
    ]
  ) {
    const error = await errorOf(run, "a device that is gone");
    assertEquals(error.constructor, DeviceLostError, String(error));
    assertEquals(error.message, message);
  }
});
