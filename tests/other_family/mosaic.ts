/**
 * A family of models that is as unlike VAR and FlexVAR as a published one could be, for tests: it takes texts
 * instead of classes, its tokens are 40 bits in two words, its maps are not square, guidance is constant,
 * what it paints has any size, its models are told apart by names of sizes, and its checkpoints are called
 * `net`, `text` and `words`. The last two lie in repositories of others, and it can do without `words`,
 * beside which lies the list of the words that it gives a meaning to. Its transformer is a formula. It is
 * registered like any family, and that is all that the sampler and the command line get to know of it.
 *
 * @module
 */

import { requireInteger } from "../../kernels/arguments.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { gatherRows } from "../../kernels/maps/gather.ts";
import { floats } from "../../kernels/device/cpu_device.ts";
import { requireModelSize } from "../../models/folder/sizes.ts";
import { type BytesNeeded, resolveDtype } from "../../models/graphs/fit.ts";
import { type Provider, type Room, roomOn } from "../../models/graphs/room.ts";
import { type Dtype, type Family, ModelFileError, type ModelFolder } from "../../models/mod.ts";
import type {
  DecodedPictures,
  EncodeOptions,
  Encoding,
  Generation,
  Model,
  PictureArray,
  SearchDefaults,
  SearchSettings,
  StartOptions,
} from "../../models/model.ts";
import type { Label, ResolvedLabel, TextLabels } from "../../models/label.ts";
import {
  type PictureSize,
  type SamplingDefaults,
  samplingOfScale,
  type Schedule,
  type ScheduleRequest,
} from "../../models/schedule.ts";
import { requireOnePerScale, resolveSampling } from "../../models/sampling.ts";
import { BitTokens } from "../../models/tokens/bit_tokens.ts";
import type { TokenSpace } from "../../models/tokens/token_space.ts";

/** Bits of a token. */
export const BITS = 40;
/** Pixels along an edge of a token of the last scale. */
const PATCH = 2;
/** Bytes of one picture on its way, whatever its size: nobody measured it. */
const IMAGE_BYTES = 100_000;

/** The only size that there is. */
const SIZE = "tiny";

interface MosaicConfig {
  readonly bits: number;
  readonly letters: number;
  /** Of a model with a dictionary. */
  readonly words?: number;
}

/** The list of words as it is published, and in a model folder. */
const PUBLISHED_LIST = "words.json";
const LIST = "dictionary.json";
/** What is said of the dictionary, by those who say it. */
const NOTES = "notes.json";

/** The list of words in a file. */
function wordsIn(file: string, bytes: Uint8Array, count: number): readonly string[] {
  const words: unknown = JSON.parse(new TextDecoder().decode(bytes));
  if (Array.isArray(words) && words.length === count) return words;
  throw new ModelFileError("Cannot use the list of words", {
    file,
    expected: `a list of ${count}`,
    found: Deno.inspect(words),
  });
}

/** Bytes of the weights and of one picture: there are halves, and no integers. */
export function bytesNeeded({ bits, letters, words = 0 }: MosaicConfig): BytesNeeded {
  return (dtype) => (dtype === "f16" ? 2 : 4) * bits * (3 + letters + words) + IMAGE_BYTES;
}

const DEFAULTS: SamplingDefaults = {
  cfg: 3,
  guidance: "constant",
  topK: 0,
  topP: 0.97,
  minP: 0,
  temperature: 0.5,
};

const SEARCH: SearchSettings = {
  scale: 2,
  samples: 30,
  representatives: 5,
  strategy: "top-k",
  pick: "uniform",
};

function scheduleOf(request: ScheduleRequest): Schedule {
  const { size = { width: 12, height: 8 }, patchNumbers, published = false, familyOptions = {} } = request;
  if (patchNumbers !== undefined) {
    throw new RangeError("Cannot follow patchNumbers as mosaics go by size alone");
  }
  if (published) throw new RangeError("Cannot do what was published as nothing was");
  const { width, height } = typeof size === "number" ? { width: size, height: size } : size;
  for (const edge of [width, height]) {
    if (edge % (4 * PATCH) !== 0 && edge % PATCH !== 0) {
      throw new RangeError(`Cannot paint as edges must be multiples of ${PATCH}: current value is ${edge}`);
    }
  }
  const unknown = Object.keys(familyOptions).find((name) => name !== "suffix");
  if (unknown !== undefined) throw new TypeError(`Unknown option ${unknown}`);
  const divisors = [8, 4, 2, 1];
  const sampling = resolveSampling(request, DEFAULTS);
  requireOnePerScale(sampling, divisors.length);
  return {
    scales: divisors.map((divisor, k) => ({
      width: k === 0 ? 1 : Math.ceil(width / PATCH / divisor),
      height: k === 0 ? 1 : Math.ceil(height / PATCH / divisor),
      picture: { width, height },
      sampling: samplingOfScale(sampling, { scale: k, ratio: k / 3 }),
    })),
    picture: { width, height },
    settings: {
      ...sampling,
      published,
      maps: request.size === undefined ? {} : { size: request.size },
      familyOptions,
    },
    imageBytes: 4 * width * height * BITS,
  };
}

class Mosaic implements Model {
  readonly family = "mosaic";
  readonly dtype: Dtype;
  readonly weightBytes: number;
  readonly memoryLimit: number | undefined;
  readonly size = SIZE;
  readonly labels: TextLabels = { kind: "texts" };
  readonly defaults: SamplingDefaults = DEFAULTS;
  readonly search: SearchDefaults = {
    ...SEARCH,
    alpha: () => 1.1,
    conflictThreshold: 0,
    published: { cfg: 3, alpha: 1.2, conflictThreshold: 0 },
  };
  readonly tokens: TokenSpace = new BitTokens(BITS);
  readonly encodes = true;
  readonly decodes = true;
  readonly device: Device;
  readonly provider: Provider;
  readonly colors: Float32Array;
  readonly letters: Float32Array;
  /** The words that have a meaning of their own. */
  readonly words: ReadonlyMap<string, Float32Array>;
  readonly #folder: ModelFolder;
  readonly #owns: boolean;

  constructor(
    folder: ModelFolder,
    { device, provider, most }: Room,
    weights: {
      readonly dtype: Dtype;
      readonly bytes: number;
      readonly colors: Float32Array;
      readonly letters: Float32Array;
      readonly words: ReadonlyMap<string, Float32Array>;
      readonly owns: boolean;
    },
  ) {
    this.#folder = folder;
    this.device = device;
    this.provider = provider;
    this.memoryLimit = most;
    this.dtype = weights.dtype;
    this.weightBytes = weights.bytes;
    this.colors = weights.colors;
    this.letters = weights.letters;
    this.words = weights.words;
    this.#owns = weights.owns;
  }

  get name(): string {
    return this.#folder.manifest.name;
  }

  get location(): string {
    return this.#folder.location;
  }

  get fingerprints(): Readonly<Record<string, string>> {
    return this.#folder.fingerprints;
  }

  get tuning(): NonNullable<ModelFolder["manifest"]["tuning"]> {
    return this.#folder.manifest.tuning ?? {};
  }

  get patchNumbers(): readonly number[] {
    return this.schedule().scales.map(({ height }) => height);
  }

  resolveLabel(label: Label): ResolvedLabel {
    if (label === null) return { id: null, name: "no prompt" };
    if (typeof label !== "string" || label.trim() === "") {
      throw new TypeError(
        `Cannot generate as a prompt must be a text: current value is ${Deno.inspect(label)}`,
      );
    }
    return { id: null, name: label, prompt: label };
  }

  schedule(request: ScheduleRequest = {}): Schedule {
    return scheduleOf(request);
  }

  start({ labels, guided, schedule = this.schedule() }: StartOptions): Promise<Generation> {
    return Promise.resolve(new MosaicGeneration(this, labels, guided, schedule));
  }

  /** The mean color of each cell, above or below gray, as all bits of its token. */
  encode(pictures: PictureArray, images: number, options: EncodeOptions = {}): Promise<Encoding> {
    const { device, tokens: space } = this;
    const { schedule = this.schedule(), last = schedule.scales.length - 1 } = options;
    const { width, height } = pictures;
    const source = floats(pictures.array);
    using stack = new DisposableStack();
    const maps = schedule.scales.slice(0, last + 1).map((scale) => {
      const words = new Uint32Array(images * scale.width * scale.height * space.words);
      for (let cell = 0; cell < words.length / space.words; cell++) {
        const image = Math.floor(cell / (scale.width * scale.height));
        const place = cell % (scale.width * scale.height);
        const x = Math.floor((place % scale.width + 0.5) * width / scale.width);
        const y = Math.floor((Math.floor(place / scale.width) + 0.5) * height / scale.height);
        if (source[(image * 3 * height + y) * width + x]! > 0) {
          words.set([0xffffffff, 0xff], cell * space.words);
        }
      }
      return stack.use(device.upload(words, "tokens"));
    });
    const features = stack.use(device.upload(source.slice(), "features"));
    const owned = stack.move();
    return Promise.resolve({
      tokens: maps,
      features,
      decode: (scale = last) => {
        using generation = new MosaicGeneration(
          this,
          new Array(images).fill(this.resolveLabel(null)),
          false,
          schedule,
        );
        for (const map of maps.slice(0, scale + 1)) generation.accept(map);
        return generation.decode();
      },
      [Symbol.dispose]: () => owned.dispose(),
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#owns) this.device[Symbol.dispose]();
    this.#folder[Symbol.dispose]();
    return Promise.resolve();
  }
}

/**
 * Adds the codes of every scale to a map of the last one's size. It computes on the host, so it runs on the
 * CPU only.
 */
class MosaicGeneration implements Generation {
  readonly guided: boolean;
  readonly #model: Mosaic;
  readonly #schedule: Schedule;
  #labels: readonly ResolvedLabel[];
  #scale = 0;
  #sums: DeviceArray;
  #features: DeviceArray;

  constructor(model: Mosaic, labels: readonly ResolvedLabel[], guided: boolean, schedule: Schedule) {
    requireInteger(labels.length, "the number of labels", "start", { min: 1 });
    this.#model = model;
    const { suffix = "" } = schedule.settings.familyOptions as { suffix?: string };
    this.#labels = labels.map((label) => ({ ...label, prompt: (label.prompt ?? "") + suffix }));
    this.guided = guided;
    this.#schedule = schedule;
    const { width, height } = schedule.scales.at(-1)!;
    this.#sums = model.device.allocate(labels.length * BITS * width * height, "sums");
    this.#features = model.device.allocate(labels.length * BITS * (guided ? 2 : 1), "features");
  }

  get images(): number {
    return this.#labels.length;
  }

  get features(): DeviceArray {
    return this.#features;
  }

  logits(): Promise<DeviceArray> {
    const { width, height } = this.#schedule.scales[this.#scale]!;
    const rows = this.guided ? [...this.#labels, ...this.#labels.map(() => undefined)] : this.#labels;
    const sums = floats(this.#sums);
    const [finest] = [this.#schedule.scales.at(-1)!];
    const values = rows.flatMap((label, row) =>
      Array.from({ length: width * height * BITS }, (_, i) => {
        const [place, bit] = [Math.floor(i / BITS), i % BITS];
        const [x, y] = [place % width, Math.floor(place / width)];
        const at = Math.floor((y + 0.5) * finest.height / height) * finest.width +
          Math.floor((x + 0.5) * finest.width / width);
        const sum = sums[((row % this.images) * BITS + bit) * finest.width * finest.height + at]!;
        const prompt = label?.prompt ?? "";
        const meant = prompt.split(" ").flatMap((word) => this.#model.words.get(word)?.[bit] ?? []);
        const wish = [...prompt].reduce((total, letter) => {
          return total + this.#model.letters[letter.charCodeAt(0) % 128 * BITS + bit]!;
        }, meant.reduce((total, value) => total + value, 0));
        const difference = 2 * Math.sin(wish + 0.7 * x + 0.3 * y + this.#scale) + sum;
        return [-difference / 2, difference / 2];
      }).flat()
    );
    return Promise.resolve(this.#model.device.upload(new Float32Array(values), "logits"));
  }

  accept(tokens: DeviceArray): void {
    const { device, tokens: space } = this.#model;
    const { width, height } = this.#schedule.scales[this.#scale]!;
    const finest = this.#schedule.scales.at(-1)!;
    using planes = device.allocate(this.images * BITS * width * height, "codes");
    space.vectors(device, { tokens, output: planes, maps: this.images, positions: width * height });
    const codes = floats(planes);
    const sums = floats(this.#sums);
    for (let i = 0; i < sums.length; i++) {
      const [plane, place] = [
        Math.floor(i / (finest.width * finest.height)),
        i % (finest.width * finest.height),
      ];
      const x = Math.floor((place % finest.width + 0.5) * width / finest.width);
      const y = Math.floor((Math.floor(place / finest.width) + 0.5) * height / finest.height);
      sums[i]! += codes[(plane * height + y) * width + x]!;
    }
    this.#scale++;
  }

  gather(lanes: readonly number[]): void {
    const { device } = this.#model;
    const before = this.images;
    const stride = this.#sums.length / before;
    using rows = device.upload(Uint32Array.from(lanes), "lanes");
    const output = device.allocate(lanes.length * stride, "sums");
    device.run(gatherRows, {
      input: this.#sums,
      output,
      rows,
      count: lanes.length,
      stride,
      inputRows: before,
    });
    this.#sums[Symbol.dispose]();
    this.#sums = output;
    this.#labels = lanes.map((lane) => this.#labels[lane]!);
  }

  decode(): Promise<DecodedPictures> {
    const { picture: { width, height } } = this.#schedule;
    const map = this.#schedule.scales.at(-1)!;
    const sums = floats(this.#sums);
    const pixels = Float32Array.from({ length: this.images * 3 * width * height }, (_, i) => {
      const [plane, place] = [Math.floor(i / (width * height)), i % (width * height)];
      const [image, color] = [Math.floor(plane / 3), plane % 3];
      const at = Math.floor(Math.floor(place / width) / PATCH) * map.width +
        Math.floor(place % width / PATCH);
      let sum = 0;
      for (let bit = 0; bit < BITS; bit++) {
        sum += this.#model.colors[color * BITS + bit]! *
          sums[(image * BITS + bit) * map.width * map.height + at]!;
      }
      return Math.tanh(sum);
    });
    const array = this.#model.device.upload(pixels, "pictures");
    return Promise.resolve({ array, width, height, [Symbol.dispose]: () => array[Symbol.dispose]() });
  }

  [Symbol.dispose](): void {
    this.#sums[Symbol.dispose]();
    this.#features[Symbol.dispose]();
  }
}

/** The size of a picture of so many tokens. */
export function pictureOf(columns: number, rows: number): PictureSize {
  return { width: PATCH * columns, height: PATCH * rows };
}

/** The registration. */
export const MOSAIC: Family<MosaicConfig> = {
  name: "mosaic",
  title: "Mosaic",
  parts: [
    {
      name: "net",
      weights: "net",
      title: "the network",
      landmark: "colors.weight",
      unused: /^$/,
      isIn: (tensors) => tensors.has("colors.weight"),
    },
    {
      name: "text",
      weights: "text",
      title: "the text encoder",
      landmark: "letters.weight",
      unused: /^$/,
      isIn: (tensors) => tensors.has("letters.weight"),
    },
    {
      name: "words",
      weights: "words",
      title: "the dictionary",
      optional: true,
      companions: [
        { name: PUBLISHED_LIST, as: LIST, required: true },
        { name: NOTES, required: false },
      ],
      landmark: "words.weight",
      unused: /^rhymes\./,
      isIn: (tensors) => tensors.has("words.weight"),
    },
  ],
  published: {
    repository: "nobody/mosaic",
    example: "mosaic_tiny.safetensors",
    sizeOf: (file) => {
      return /^mosaic_([^\W_]+)(\.safetensors|(_half)?\/(model\.safetensors|pytorch_model\.bin)\.index\.json)$/
        .exec(file)?.[1];
    },
    transformer: (size) => {
      const folder = `mosaic_${size}`;
      return typeof size !== "string" ? undefined : [
        `${folder}.safetensors`,
        ...["model.safetensors", "pytorch_model.bin"].map((name) => `${folder}/${name}.index.json`),
      ];
    },
    others: (size) => ({
      text: [{ repository: "somebody/letters", name: "letters.safetensors" }],
      words: [
        ...size === "huge" ? [`words_${size}.safetensors`] : [],
        { repository: "somebody/words", name: "model.safetensors.index.json" },
        { repository: "anybody/words", name: "pytorch_model.bin.index.json" },
      ],
    }),
  },
  defaults: DEFAULTS,
  search: SEARCH,
  flexible: ["size"],
  publishedHelp: undefined,
  loading: [],
  options: {
    suffix: { kind: "text", help: "What stands behind every prompt" },
  },
  infer: ({ net, text, words: dictionary }) => {
    const bits = net?.set.take("colors.weight", [3, -1])[1];
    const letters = text?.set.take("letters.weight", [-1, BITS])[0];
    const words = dictionary?.set.take("words.weight", [-1, BITS])[0];
    return Promise.resolve({
      ...(bits === undefined ? {} : { bits }),
      ...(letters === undefined ? {} : { letters }),
      ...(words === undefined ? {} : { words }),
    });
  },
  requireConfig: (config) => config as MosaicConfig,
  requireCompanions: ({ words = 0 }, { [PUBLISHED_LIST]: list, [NOTES]: notes }) => {
    if (list !== undefined) wordsIn(list.file, list.bytes, words);
    const { count = words } = notes === undefined ? {} : JSON.parse(new TextDecoder().decode(notes.bytes));
    if (count === words) return;
    const [expected, found] = [`${words} words`, `${count}`];
    throw new ModelFileError("Cannot use the dictionary", { file: notes!.file, expected, found });
  },
  size: () => SIZE,
  modelName: () => "Mosaic",
  labels: () => ({ kind: "texts" }),
  describe: ({ bits, letters, words }) => [
    ...(bits === undefined ? [] : [["network", `${bits} bits`] as const]),
    ...(letters === undefined ? [] : [["text encoder", `${letters} letters`] as const]),
    ...(words === undefined ? [] : [["dictionary", `${words} words`] as const]),
  ],
  graphs: (_config, weights) => {
    weights.net?.set.take("colors.weight", [3, BITS]);
    weights.text?.set.take("letters.weight", [128, BITS]);
    weights.words?.set.take("words.weight", [-1, BITS]);
    return new Map();
  },
  storedDtype: (_name, _shape, dtype) => dtype === "f16" ? "f16" : "f32",
  inferAgain: (weights) => MOSAIC.infer(weights) as Promise<MosaicConfig>,
  load: async (folder, device, options) => {
    const { dtype: choice = "auto", cpuProvider, memory, size, ownsDevice: owns = false } = options;
    const { name, dtype: stored } = folder.manifest;
    const { words: count = 0, ...sizes } = folder.manifest.config as MosaicConfig;
    const config = folder.hasWeights("words") ? { ...sizes, words: count } : sizes;
    requireModelSize({ name, size: SIZE }, size, "load");
    const room = await roomOn(device, { cpuProvider, memory });
    const largestArray = (): number => 4 * config.bits * config.letters;
    const needed = bytesNeeded(config);
    const dtype = resolveDtype(needed, room, { choice, stored, largestArray });
    using net = await folder.weights("net");
    using text = await folder.weights("text");
    const words = new Map<string, Float32Array>();
    if (folder.hasWeights("words")) {
      using dictionary = await folder.weights("words");
      const meanings = await dictionary.readFloat32("words.weight");
      for (const [i, word] of wordsIn(LIST, await folder.read(LIST), count).entries()) {
        words.set(word, meanings.subarray(BITS * i, BITS * (i + 1)));
      }
    }
    return new Mosaic(folder, room, {
      colors: await net.readFloat32("colors.weight"),
      letters: await text.readFloat32("letters.weight"),
      words,
      bytes: needed(dtype) - IMAGE_BYTES,
      dtype,
      owns,
    });
  },
};
