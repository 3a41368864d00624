import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { GivenTokens } from "../../sampler/given_tokens.ts";
import { type Label, resolveClass } from "../../models/label.ts";
import type { Model } from "../../models/model.ts";
import { resolveSampling } from "../../models/sampling.ts";
import { type SamplingDefaults, samplingOfScale, type ScheduleRequest } from "../../models/schedule.ts";
import {
  type GenerateRequest,
  MAX_IMAGES,
  type ResolvedRequest,
  resolveRequest,
} from "../../sampler/request.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import { varScaling } from "../../sampler/methods/var_scaling.ts";
import { changed } from "./models.ts";

const DEFAULTS: SamplingDefaults = {
  cfg: 2.25,
  guidance: "ramp",
  topK: 700,
  topP: 0.9,
  minP: 0.01,
  temperature: 1.25,
};

/** What the model was last asked for. */
let asked: ScheduleRequest | undefined;

/** As much of a model as a request is checked against. */
function modelOf(names: readonly string[], count = names.length): Model {
  const labels = { kind: "classes", count, names } as const;
  const facts = { name: "zoo", labels, patchNumbers: [1, 2, 3], defaults: DEFAULTS };
  return {
    ...facts,
    tokens: { mix: () => {} },
    weightBytes: 1000,
    resolveLabel: (label: Label) => resolveClass(facts, label),
    schedule: (request: ScheduleRequest = {}) => {
      asked = request;
      const sampling = resolveSampling(request, DEFAULTS);
      const { patchNumbers = [1, 2, 3], size, published = false, familyOptions = {} } = request;
      const picture = { width: 6, height: 6 };
      return {
        scales: patchNumbers.map((side, k) => ({
          ...{ width: side, height: side, picture },
          sampling: samplingOfScale(sampling, { scale: k, ratio: k / 2 }),
        })),
        picture,
        settings: {
          ...sampling,
          published,
          maps: {
            ...(request.patchNumbers && { patchNumbers }),
            ...(size !== undefined && { size }),
          },
          familyOptions,
        },
        imageBytes: 25 * patchNumbers.length,
      };
    },
    start: () => Promise.reject(new Error("not to be started")),
  } as unknown as Model;
}

const zoo = modelOf(["tabby cat", "Tiger Cat", "dog", "7"]);
const resolve = (request: GenerateRequest, model: Model = zoo): ResolvedRequest =>
  resolveRequest(model, request);

Deno.test("resolveRequest: a request with nothing in it gets the model's defaults, and for the rest the documented ones", () => {
  const { labels, schedule, ...rest } = resolve({});
  assertEquals(labels.length, 1);
  assertEquals(asked, {});
  assertEquals(schedule, zoo.schedule());
  assertEquals(rest, {
    indices: [0],
    seed: 0,
    seedWords: [0, 0],
    ...DEFAULTS,
    published: false,
    maps: {},
    familyOptions: {},
    moreSmooth: false,
    batch: 8,
    edit: undefined,
    given: new GivenTokens([]),
    until: 2,
    hooks: [],
    hookScales: [],
    previews: new Set(),
    lanes: 1,
    textFeatures: undefined,
    signal: undefined,
  });
});

Deno.test("resolveRequest: what is given is taken over", () => {
  const { signal } = new AbortController();
  const hook = { ...varScaling({ scale: 2 }), lanes: 3, gather: () => undefined };
  const given = {
    seed: 2n ** 64n - 1n,
    cfg: 0,
    guidance: "constant" as const,
    topK: 0,
    topP: 1,
    minP: 0.25,
    temperature: 0,
    published: true,
    familyOptions: { stripes: 3 },
    moreSmooth: true,
    batch: 1,
    hooks: [hook, { ...hook, lanes: 2 }],
    signal,
  };
  const maps = { patchNumbers: [1, 2, 3, 5], size: 40 };
  const resolved = resolve({ ...given, ...maps, labels: "dog", count: 2, previews: [2, 0] });
  const dog = { id: 2, name: "dog" };
  const { seed: _, moreSmooth: _no, batch: _one, hooks: _two, signal: _none, ...scheduled } = given;
  assertEquals(asked, { ...scheduled, ...maps });
  assertEquals(resolved, {
    ...given,
    maps,
    schedule: zoo.schedule({ ...scheduled, ...maps }),
    hookScales: [[2], [2]],
    seedWords: [0xffffffff, 0xffffffff],
    labels: [dog, dog],
    indices: [0, 1],
    edit: undefined,
    given: new GivenTokens([]),
    until: 3,
    textFeatures: undefined,
    previews: new Set([2, 0]),
    lanes: 3,
  });
  assertEquals(resolve({ previews: true }).previews, new Set([0, 1, 2]));
  assertEquals(resolve({ previews: true, patchNumbers: [1, 2] }).previews, new Set([0, 1]));
});

Deno.test("resolveRequest: hooks act on scales of their own, and previews are made, as far as the schedule has them", () => {
  const hook = { name: "mine", gather: () => undefined };
  const near = { ...hook, scales: ({ patchNumbers }: Model) => [patchNumbers.length - 1] };
  assertEquals(resolve({ hooks: [near, hook, { ...hook, scales: [] }] }).hookScales, [[2], undefined, []]);
  // Negative ones count from the end, of whatever schedule.
  const last = { ...hook, scales: [-1, 0] };
  assertEquals(resolve({ hooks: [last, varScaling({ scale: -2 })] }).hookScales, [[2, 0], [1]]);
  assertEquals(resolve({ hooks: [last], patchNumbers: [1, 2] }).hookScales, [[1, 0]]);
  assertEquals([...resolve({ previews: [-1, 2, -3] }).previews], [2, 0]);
  const patchNumbers = [1, 2];
  const refused: [GenerateRequest, ErrorConstructor, string][] = [
    [
      { hooks: [{ ...hook, scales: [-4] }] },
      RangeError,
      'a scale of the hook "mine" must be an integer from -3 to 2: current value is -4',
    ],
    [
      { hooks: [near], patchNumbers },
      RangeError,
      'a scale of the hook "mine" must be an integer from -2 to 1: current value is 2',
    ],
    [
      { hooks: [{ ...hook, scales: [2] }], patchNumbers },
      RangeError,
      'a scale of the hook "mine" must be an integer from -2 to 1: current value is 2',
    ],
    [
      { hooks: [{ ...hook, scales: () => 1 as unknown as number[] }] },
      TypeError,
      'scales of the hook "mine" must be a list: current value is 1',
    ],
    [
      { previews: [2], patchNumbers },
      RangeError,
      "each scale of previews must be an integer from -2 to 1: current value is 2",
    ],
  ];
  for (const [request, type, message] of refused) {
    const error = assertThrows(() => resolve(request), type) as Error;
    assertEquals(error.message, `Cannot generate as ${message}`);
  }
  assertEquals(resolve({ hooks: [near], patchNumbers: [1, 2, 3, 4], previews: [3] }).hookScales, [[2]]);
});

Deno.test("resolveRequest: a model that takes prompts needs one, and one that mixes nothing refuses moreSmooth", () => {
  const painter = {
    ...modelOf([]),
    labels: { kind: "texts" },
    resolveLabel: (label: Label) => ({ id: null, name: String(label), prompt: String(label) }),
    tokens: {},
  } as unknown as Model;
  assertEquals(
    assertThrows(() => resolve({}, painter), TypeError).message,
    'Cannot generate as labels must hold a prompt: the model "zoo" has no classes to draw from',
  );
  assertEquals(resolve({ labels: ["a cat"], count: 2 }, painter).labels.map(({ prompt }) => prompt), [
    "a cat",
    "a cat",
  ]);
  assertEquals(
    assertThrows(() => resolve({ labels: "a cat", moreSmooth: true }, painter), RangeError).message,
    'Cannot generate with moreSmooth as the model "zoo" does not take mixed vectors',
  );
});

Deno.test("resolveRequest: labels by number, by name in any case, and the null class", () => {
  assertEquals(zoo.resolveLabel(1), { id: 1, name: "Tiger Cat" });
  assertEquals(zoo.resolveLabel("TIGER cat "), { id: 1, name: "Tiger Cat" });
  assertEquals(zoo.resolveLabel("2"), { id: 2, name: "dog" });
  // A name goes before a number that looks the same.
  assertEquals(zoo.resolveLabel("7"), { id: 3, name: "7" });
  assertEquals(zoo.resolveLabel(null), { id: null, name: "null class" });
  assertEquals(modelOf([], 10).resolveLabel(9), { id: 9, name: "class 9" });
  const { labels } = resolve({ labels: ["dog", null, 0], count: 2 });
  assertEquals(labels.map(({ id }) => id), [2, 2, null, null, 0, 0]);
});

Deno.test("resolveClass: a label that is no class says what is", () => {
  const cases: [label: string | number, model: Model, message: string][] = [
    [
      "lion cat",
      zoo,
      'Cannot find the class "lion cat" in the model "zoo"; did you mean "tabby cat", "Tiger Cat"?',
    ],
    ["lion", zoo, 'Cannot find the class "lion" in the model "zoo"; class names are like "tabby cat"'],
    [
      "dog",
      modelOf([], 10),
      'Cannot find the class "dog" in the model "zoo"; the model has no class names, use a number',
    ],
    [4, zoo, "Cannot generate as a label must be a class from 0 to 3: current value is 4"],
    ["12", zoo, "Cannot generate as a label must be a class from 0 to 3: current value is 12"],
    [-1, zoo, "Cannot generate as a label must be a class from 0 to 3: current value is -1"],
    [NaN, zoo, "Cannot generate as a label must be a class from 0 to 3: current value is NaN"],
  ];
  for (const [label, model, message] of cases) {
    assertEquals(assertThrows(() => model.resolveLabel(label), RangeError).message, message);
  }
});

Deno.test("resolveRequest: without labels, classes are drawn from the seed, each by its own place", () => {
  const model = modelOf([], 64);
  const ids = (seed: number | bigint, count: number): number[] => {
    return resolve({ seed, count }, model).labels.map(({ id }) => id!);
  };
  assertEquals(ids(3, 50), ids(3, 50));
  assertEquals(ids(3, 50).slice(0, 10), ids(3, 10));
  assertNotEquals(ids(3, 50), ids(4, 50));
  assertNotEquals(ids(3, 50), ids(3n + (1n << 40n), 50));
  // Uniform: chi-squared with 63 degrees of freedom is below 127 with a probability of 1 - 3e-6, over images
  // as well as over seeds.
  const seeds = Array.from({ length: 6400 }, (_, seed) => ids(seed, 1)[0]!);
  for (const sample of [ids(0, 6400), ids(123456789, 6400), seeds]) {
    const counts = new Array<number>(64).fill(0);
    for (const id of sample) counts[id]!++;
    const chiSquared = counts.reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0);
    assert(chiSquared < 127, `chi-squared is ${chiSquared}`);
  }
});

Deno.test("resolveRequest: indices: one per image, from 0 on by default, in the order given", () => {
  assertEquals(resolve({ labels: ["dog", null], count: 2 }).indices, [0, 1, 2, 3]);
  assertEquals(resolve({ labels: ["dog", null], count: 2, indices: [7, 0, 7, MAX_IMAGES - 1] }).indices, [
    7,
    0,
    7,
    MAX_IMAGES - 1,
  ]);
  // Classes are drawn by them, too.
  const model = modelOf([], 64);
  const { labels } = resolve({ seed: 5, count: 40 }, model);
  assertEquals(resolve({ seed: 5, count: 3, indices: [39, 2, 39] }, model).labels, [
    labels[39]!,
    labels[2]!,
    labels[39]!,
  ]);
  const refused: [GenerateRequest, ErrorConstructor, string][] = [
    [
      { indices: 3 as unknown as number[] },
      TypeError,
      "indices must be a list of numbers: current value is 3",
    ],
    [
      { labels: ["dog", 0], indices: [1] },
      RangeError,
      "indices must hold one number for each of 2 images: current number is 1",
    ],
    [{ indices: ["1" as unknown as number] }, TypeError, 'an index must be a number: current value is "1"'],
    ...[-1, 0.5, MAX_IMAGES, NaN].map((
      index,
    ): [GenerateRequest, ErrorConstructor, string] => [
      { indices: [index] },
      RangeError,
      `an index must be an integer from 0 to 16777215: current value is ${Deno.inspect(index)}`,
    ]),
  ];
  for (const [request, type, message] of refused) {
    const error = assertThrows(() => resolve(request), type) as Error;
    assertEquals(error.message, `Cannot generate as ${message}`);
  }
});

Deno.test("resolveRequest: limits", () => {
  assertEquals(
    resolve({ temperature: 1e-6, cfg: 1e6, topK: 2 ** 31 - 1, batch: 2 ** 31 - 1 }).temperature,
    1e-6,
  );
  assertThrows(() => resolve({ temperature: 1e-7 }), RangeError, "temperature must be 0 or at least 1e-6");
  assertThrows(
    () => resolve({ topK: 2 ** 31 }),
    RangeError,
    "topK must be an integer from 0 to 2147483647: current value is 2147483648",
  );
  assertThrows(
    () => resolve({ labels: "dog", count: MAX_IMAGES + 1 }),
    RangeError,
    `Cannot generate more than ${MAX_IMAGES} images at once: the request is for ${MAX_IMAGES + 1}`,
  );
});

Deno.test("resolveRequest: a batch is given, or follows from memory, and otherwise it is 8 or as many as there is room for", () => {
  // Three scales take 75 bytes of an image, and four of them 100.
  const patchNumbers = [1, 2, 3, 4];
  const batch = (request: GenerateRequest): number => resolve({ patchNumbers, ...request }).batch;
  assertEquals([batch({}), batch({ batch: 3 })], [8, 3]);
  // 1000 for the weights, then 100 for each image; at least one, at most 64.
  assertEquals([1299, 1300, 1, 10 ** 9].map((memory) => batch({ memory })), [2, 3, 1, 64]);
  assertEquals(batch({ memory: 1500, batch: "auto" }), 5);
  const limited = (memoryLimit: number, request: GenerateRequest = {}): number => {
    return resolve({ patchNumbers, ...request }, { ...zoo, memoryLimit }).batch;
  };
  assertEquals([1299, 1300, 1, 10 ** 9].map((limit) => limited(limit)), [2, 3, 1, 8]);
  assertEquals([limited(1299, { batch: 5 }), limited(1299, { memory: 1500 })], [5, 5]);
  assertEquals(batch({ memory: 1500, batch: "auto", patchNumbers: [1, 2, 3] }), 6);
  const wrong: [GenerateRequest, string][] = [
    [{ batch: "auto" }, 'memory and batch: "auto" go together: current values are undefined and auto'],
    [{ batch: 4, memory: 1500 }, 'memory and batch: "auto" go together: current values are 1500 and 4'],
    [{ memory: 0 }, "memory must be from 1 to"],
    [{ batch: "all" } as unknown as GenerateRequest, "batch must be a number"],
    [{ memory: "8GB" } as unknown as GenerateRequest, "memory must be a number"],
  ];
  for (const [request, message] of wrong) assertThrows(() => resolve(request), Error, message);
});

Deno.test("resolveRequest: a device's limit makes batches smaller, but divides nothing that belongs together", () => {
  const reason = 'the limit maxBufferSize of "toy" is 900 and each image takes 300 bytes';
  const batchLimit = { images: 3, reason };
  const model = changed(zoo, { schedule: (request) => ({ ...zoo.schedule(request), batchLimit }) });
  const batch = (request: GenerateRequest): unknown[] => {
    const resolved = resolve({ labels: "dog", count: 4, ...request }, model);
    return [resolved.batch, resolved.batchLimit];
  };
  assertEquals([batch({}), batch({ batch: 4 })], [[3, batchLimit], [3, batchLimit]]);
  assertEquals([batch({ batch: 2 }), batch({ count: 3 })], [[2, undefined], [8, undefined]]);
  const gather = () => undefined;
  const coupled: ScaleHook = { name: "beside", coupled: true, gather };
  assertEquals(batch({ hooks: [coupled] }), [3, batchLimit]);
  const refused: [GenerateRequest, string][] = [
    [{ hooks: [{ name: "wide", lanes: 4, gather }] }, "the number of lanes of an image"],
    [{ batch: 4, hooks: [coupled] }, 'batch, which the hook "beside" does not let divide,'],
  ];
  for (const [request, name] of refused) {
    const { message } = assertThrows(() => batch(request), RangeError);
    assertEquals(
      message,
      `Cannot generate as ${name} must be at most 3, since ${reason}: current value is 4`,
    );
  }
});
