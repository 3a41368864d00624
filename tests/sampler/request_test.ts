import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import type { Model } from "../../models/model.ts";
import {
  type GenerateRequest,
  MAX_IMAGES,
  type ResolvedRequest,
  resolveLabel,
  resolveRequest,
} from "../../sampler/request.ts";
import { varScaling } from "../../sampler/var_scaling.ts";

/** As much of a model as a request is checked against. */
function modelOf(classNames: readonly string[], classes = classNames.length): Model {
  const facts = { name: "zoo", classNames, classes, patchNumbers: [1, 2, 3] };
  return { ...facts, start: () => Promise.reject(new Error("not to be started")) } as unknown as Model;
}

const zoo = modelOf(["tabby cat", "Tiger Cat", "dog", "7"]);
const resolve = (request: GenerateRequest, model: Model = zoo): ResolvedRequest =>
  resolveRequest(model, request);

Deno.test("a request with nothing in it gets the documented defaults", () => {
  const { labels, ...rest } = resolve({});
  assertEquals(labels.length, 1);
  assertEquals(rest, {
    indices: [0],
    seed: 0,
    seedWords: [0, 0],
    cfg: 1.5,
    topK: 900,
    topP: 0.96,
    minP: 0,
    temperature: 1,
    moreSmooth: false,
    batch: 8,
    edit: undefined,
    hooks: [],
    previews: new Set(),
    lanes: 1,
    signal: undefined,
  });
});

Deno.test("what is given is taken over", () => {
  const { signal } = new AbortController();
  const hook = { ...varScaling({ scale: 2 }), lanes: 3 };
  const given = {
    seed: 2n ** 64n - 1n,
    cfg: 0,
    topK: 0,
    topP: 1,
    minP: 0.25,
    temperature: 0,
    moreSmooth: true,
    batch: 1,
    hooks: [hook, { ...hook, lanes: 2 }],
    signal,
  };
  const resolved = resolve({ ...given, labels: "dog", count: 2, previews: [2, 0] });
  const dog = { id: 2, name: "dog" };
  assertEquals(resolved, {
    ...given,
    seedWords: [0xffffffff, 0xffffffff],
    labels: [dog, dog],
    indices: [0, 1],
    edit: undefined,
    previews: new Set([2, 0]),
    lanes: 3,
  });
  assertEquals(resolve({ previews: true }).previews, new Set([0, 1, 2]));
});

Deno.test("labels by number, by name in any case, and the null class", () => {
  assertEquals(resolveLabel(zoo, 1), { id: 1, name: "Tiger Cat" });
  assertEquals(resolveLabel(zoo, "TIGER cat "), { id: 1, name: "Tiger Cat" });
  assertEquals(resolveLabel(zoo, "2"), { id: 2, name: "dog" });
  // A name goes before a number that looks the same.
  assertEquals(resolveLabel(zoo, "7"), { id: 3, name: "7" });
  assertEquals(resolveLabel(zoo, null), { id: null, name: "null class" });
  assertEquals(resolveLabel(modelOf([], 10), 9), { id: 9, name: "class 9" });
  const { labels } = resolve({ labels: ["dog", null, 0], count: 2 });
  assertEquals(labels.map(({ id }) => id), [2, 2, null, null, 0, 0]);
});

Deno.test("a label that is no class says what is", () => {
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
    assertEquals(assertThrows(() => resolveLabel(model, label), RangeError).message, message);
  }
});

Deno.test("without labels, classes are drawn from the seed, each by its own place", () => {
  const model = modelOf([], 64);
  const ids = (seed: number | bigint, count: number): number[] => {
    return resolve({ seed, count }, model).labels.map(({ id }) => id!);
  };
  assertEquals(ids(3, 50), ids(3, 50));
  assertEquals(ids(3, 50).slice(0, 10), ids(3, 10));
  assertNotEquals(ids(3, 50), ids(4, 50));
  assertNotEquals(ids(3, 50), ids(3n + (1n << 40n), 50));
  // Uniform: chi-squared with 63 degrees of freedom is below 127 with a probability of 1 - 3e-6, over images as well as over seeds.
  const seeds = Array.from({ length: 6400 }, (_, seed) => ids(seed, 1)[0]!);
  for (const sample of [ids(0, 6400), ids(123456789, 6400), seeds]) {
    const counts = new Array<number>(64).fill(0);
    for (const id of sample) counts[id]!++;
    const chiSquared = counts.reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0);
    assert(chiSquared < 127, `chi-squared is ${chiSquared}`);
  }
});

Deno.test("indices: one per image, from 0 on by default, in the order given", () => {
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
    ...[-1, 0.5, MAX_IMAGES, NaN, "1" as unknown as number].map((
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

Deno.test("limits", () => {
  assertEquals(
    resolve({ temperature: 1e-6, cfg: 1e6, topK: 2 ** 31 - 1, batch: 2 ** 31 - 1 }).temperature,
    1e-6,
  );
  assertThrows(() => resolve({ temperature: 1e-7 }), RangeError, "temperature must be 0 or at least 1e-6");
  assertThrows(
    () => resolve({ topK: 2 ** 31 }),
    RangeError,
    "topK must be an integer >= 0: current value is 2147483648",
  );
  assertThrows(
    () => resolve({ labels: "dog", count: MAX_IMAGES + 1 }),
    RangeError,
    `Cannot generate more than ${MAX_IMAGES} images at once: the request is for ${MAX_IMAGES + 1}`,
  );
});

Deno.test("a batch is given, or follows from memory, and otherwise it is 8", () => {
  const model = { ...zoo, memory: { weights: 1000, image: 100 } } as Model;
  const batch = (request: GenerateRequest): number => resolve(request, model).batch;
  assertEquals([batch({}), batch({ batch: 3 })], [8, 3]);
  // 1000 for the weights, then 100 for each image; at least one, at most 64.
  assertEquals([1299, 1300, 1, 10 ** 9].map((memory) => batch({ memory })), [2, 3, 1, 64]);
  assertEquals(batch({ memory: 1500, batch: "auto" }), 5);
  const wrong: [GenerateRequest, string][] = [
    [{ batch: "auto" }, 'memory and batch: "auto" go together: current values are undefined and auto'],
    [{ batch: 4, memory: 1500 }, 'memory and batch: "auto" go together: current values are 1500 and 4'],
    [{ memory: 0 }, "memory must be from 1 to"],
    [{ batch: "all" } as unknown as GenerateRequest, "batch must be a number"],
    [{ memory: "8GB" } as unknown as GenerateRequest, "memory must be a number"],
  ];
  for (const [request, message] of wrong) assertThrows(() => resolve(request, model), Error, message);
});
