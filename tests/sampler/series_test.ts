/**
 * Series against `generate()`: the same pictures, whatever fails on the way.
 */

import { assert, assertEquals, assertNotEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DeviceLostError } from "../../kernels/device/errors.ts";
import type { Model } from "../../models/model.ts";
import { generate } from "../../sampler/generate.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import type { GenerateRequest } from "../../sampler/request.ts";
import type { GeneratedImage } from "../../sampler/result.ts";
import { generateSeries, type SeriesBatch, type SeriesOptions } from "../../sampler/series.ts";
import { varScaling } from "../../sampler/methods/var_scaling.ts";
import { changed, sharedModel, testOnModel, tokensOf } from "./models.ts";

const REQUEST: GenerateRequest = { labels: ["sea", "sky", "Red Rock"], count: 3, seed: 4, batch: 4 };

async function collect(
  model: Model,
  request: GenerateRequest = REQUEST,
  options: SeriesOptions = {},
): Promise<{ batches: SeriesBatch[]; images: GeneratedImage[] }> {
  const batches = await Array.fromAsync(generateSeries(model, request, options));
  return { batches, images: batches.flatMap(({ images }) => images) };
}

function assertSame(images: readonly GeneratedImage[], wanted: readonly GeneratedImage[]): void {
  assertEquals(tokensOf({ images }), tokensOf({ images: wanted }));
  assertEquals(images.map(({ data }) => data), wanted.map(({ data }) => data));
  assertEquals(
    images.map(({ index, label, seed }) => ({ index, label, seed })),
    wanted.map(({ index, label, seed }) => ({ index, label, seed })),
  );
}

/** A model that counts the images of each batch and fails where `fault` returns an error. */
function faulty(
  model: Model,
  fault: (labels: readonly (number | null)[], call: number) => unknown,
): { model: Model; starts: number[] } {
  const starts: number[] = [];
  const start: Model["start"] = (options) => {
    starts.push(options.labels.length);
    const error = fault(options.labels.map(({ id }) => id), starts.length);
    return error === undefined ? model.start(options) : Promise.reject(error);
  };
  return { model: changed(model, { start }), starts };
}

testOnModel(
  "tiny",
  "generateSeries: a series yields what the request yields at once, in batches",
  async (model) => {
    const request = {
      ...REQUEST,
      hooks: [varScaling({ samples: 8 })],
      indices: [9, 8, 7, 6, 5, 4, 3, 2, 2 ** 20],
    };
    const { images: wanted } = await generate(model, request);
    const { batches, images } = await collect(model, request);
    assertSame(images, wanted);
    assertEquals(batches.map(({ images }) => images.length), [4, 4, 1]);
    assertEquals(batches.map(({ progress: { made, failed, total } }) => [made, failed, total]), [
      [4, 0, 9],
      [8, 0, 9],
      [9, 0, 9],
    ]);
    const { progress } = batches[1]!;
    assert(progress.perSecond > 0 && progress.secondsLeft > 0 && progress.secondsLeft < Infinity);
    assertEquals(batches[2]!.progress.secondsLeft, 0);

    const limited = changed(model, {
      weightBytes: 1000,
      schedule: (request) => ({ ...model.schedule(request), imageBytes: 100 }),
    });
    const counts = (await collect(limited, { ...REQUEST, batch: "auto", memory: 1500 })).batches;
    assertEquals(counts.map(({ images }) => images.length), [5, 4]);

    const random = { seed: 3, count: 5, batch: 2 };
    assertSame((await collect(model, random)).images, (await generate(model, random)).images);
  },
);

testOnModel("demo", "generateSeries: each image of a series is an edit of its own picture", async (model) => {
  const { images: sources } = await generate(model, { labels: [32, 5, 63], seed: 1 });
  const edit = { image: sources, box: [0, 0, 1, 0.5] as const };
  const request = { labels: [3, 3, null], seed: 2, batch: 2, edit };
  const { batches, images } = await collect(model, request);
  assertEquals(batches.length, 2);
  assertSame(images, (await generate(model, request)).images);
});

testOnModel(
  "tiny",
  "generateSeries: an image that fails is told, and costs no other image",
  async (model) => {
    const { images: wanted } = await generate(model, REQUEST);
    const sky = 3;
    const { model: broken, starts } = faulty(model, (labels) => {
      return labels.includes(sky) ? new Error(`no sky in ${labels.length}`) : undefined;
    });
    const { batches, images } = await collect(broken);
    assertSame(images, wanted.filter(({ label }) => label.id !== sky));
    const failures = batches.flatMap(({ failures }) => failures);
    assertEquals(failures.map(({ index, label, error }) => [index, label.name, error.message]), [
      [3, "sky", "no sky in 1"],
      [4, "sky", "no sky in 1"],
      [5, "sky", "no sky in 1"],
    ]);
    // Each batch as a whole, then the images of those that failed alone.
    assertEquals(starts, [4, 1, 1, 1, 1, 4, 1, 1, 1, 1, 1]);
    assertEquals(batches.at(-1)!.progress.made, 6);
    assertEquals(batches.at(-1)!.progress.failed, 3);
  },
);

testOnModel("tiny", "generateSeries: an image without a usable logit fails alone", async (model) => {
  const hook: ScaleHook = {
    name: "forbid everything for image 4",
    guide: (step) => {
      const row = step.lanes.findIndex(({ index }) => index === 4);
      const length = step.positions * model.tokens.logits;
      if (row < 0 || step.scale !== 2) return;
      step.device.write(step.logits, new Float32Array(length).fill(-Infinity), row * length);
    },
  };
  const { images: wanted } = await generate(model, REQUEST);
  const { batches, images } = await collect(model, { ...REQUEST, hooks: [hook] });
  assertSame(images, wanted.filter(({ index }) => index !== 4));
  const [failure, ...others] = batches.flatMap(({ failures }) => failures);
  assertEquals(others, []);
  assertEquals(failure!.index, 4);
  assertStringIncludes(failure!.error.message, "Cannot draw a token for image 4 at scale 2");
});

testOnModel(
  "tiny",
  "generateSeries: a batch that is too large is followed by smaller ones",
  async (model) => {
    const { images: wanted } = await generate(model, REQUEST);
    const { model: small, starts } = faulty(model, (labels) => {
      return labels.length > 2 ? "out of memory" : undefined;
    });
    const { batches, images } = await collect(small);
    assertSame(images, wanted);
    assertEquals(starts, [4, 1, 1, 1, 1, 2, 2, 1]);
    assertEquals(batches.flatMap(({ failures }) => failures), []);
  },
);

testOnModel("tiny", "generateSeries: a lost device is replaced, a few times in a row", async (model) => {
  const { images: wanted } = await generate(model, REQUEST);
  const lost = new DeviceLostError("unknown", "gone");
  const first = faulty(model, (_, call) => call === 2 ? lost : undefined);
  const second = faulty(model, (_, call) => call > 2 ? lost : undefined);
  const third = faulty(model, () => undefined);
  const models = [second.model, third.model];
  const reasons: DeviceLostError[] = [];
  const reopen = (error: DeviceLostError): Promise<Model> => {
    reasons.push(error);
    return Promise.resolve(models.shift()!);
  };
  const { images } = await collect(first.model, REQUEST, { reopen });
  assertSame(images, wanted);
  assertEquals(reasons, [lost, lost]);
  assertEquals([first.starts, second.starts, third.starts], [[4, 4], [2, 2, 1], [1]]);

  // A batch between two losses, again and again.
  const shaky = faulty(model, (_, call) => call % 2 === 0 ? lost : undefined).model;
  const stay = (): Promise<Model> => Promise.resolve(shaky);
  assertSame((await collect(shaky, { ...REQUEST, batch: 1 }, { reopen: stay })).images, wanted);

  let opened = 0;
  const dead = faulty(model, () => lost).model;
  await assertRejects(() => collect(dead), DeviceLostError);
  const again = (): Promise<Model> => {
    opened++;
    return Promise.resolve(dead);
  };
  await assertRejects(() => collect(dead, REQUEST, { reopen: again }), DeviceLostError);
  assertEquals(opened, 3);
});

testOnModel("tiny", "generateSeries: images that a hook couples stay together", async (model) => {
  const request: GenerateRequest = {
    labels: ["sea", "sky"],
    count: 4,
    batch: 4,
    seed: 1,
    hooks: [varScaling({ preset: "published", scale: 2, samples: 16, alpha: 1.2, conflictThreshold: 0 })],
  };
  const { images: wanted } = await generate(model, request);
  const alone = await generate(model, { ...request, batch: 1 });
  assertNotEquals(tokensOf(alone), tokensOf({ images: wanted }), "The batch does not matter");
  const once = faulty(model, (_, call) => call === 1 ? new Error("once") : undefined);
  assertSame((await collect(once.model, request)).images, wanted);
  assertEquals(once.starts, [4, 4, 4]);

  const lost = faulty(model, (_, call) => call === 1 ? new DeviceLostError("unknown", "") : undefined);
  const reopened = await collect(lost.model, request, { reopen: () => Promise.resolve(model) });
  assertSame(reopened.images, wanted);

  const sea = faulty(model, (labels) => labels.includes(2) ? new Error("no sea") : undefined);
  const { batches, images } = await collect(sea.model, request);
  assertSame(images, wanted.slice(4));
  assertEquals(batches[0]!.failures.map(({ index }) => index), [0, 1, 2, 3]);
  assertEquals(sea.starts, [4, 4, 4]);
});

testOnModel(
  "tiny",
  "generateSeries: a series ends when nothing works, when it is left, and when it shall",
  async (model) => {
    const broken = faulty(model, () => new Error("broken")).model;
    const error = await assertRejects(() => collect(broken, REQUEST, { failureLimit: 5 }), Error);
    assertEquals(error.message, "Cannot go on with the series as the last 8 images all failed: broken");
    await generate(model, REQUEST);
    const { liveArrays } = model.device.counters;
    for await (const { images } of generateSeries(model, REQUEST)) {
      assertEquals(images.length, 4);
      break;
    }
    assertEquals(model.device.counters.liveArrays, liveArrays);

    const controller = new AbortController();
    const counted = faulty(model, () => undefined);
    const request = { ...REQUEST, signal: controller.signal };
    // The timer has its turn within the first batch.
    setTimeout(() => controller.abort());
    await assertRejects(() => collect(counted.model, request), DOMException, "abort");
    assertEquals(counted.starts, [4]);
    assertEquals(model.device.counters.liveArrays, liveArrays);

    await assertRejects(() => collect(model, { labels: "lava" }), RangeError, 'Cannot find the class "lava"');
    await assertRejects(() => collect(model, REQUEST, { failureLimit: 0 }), RangeError, "failureLimit");
    await assertRejects(
      () => collect(model, REQUEST, { repoen: 1 } as SeriesOptions),
      TypeError,
      "Cannot generate a series as",
    );
  },
);

Deno.test({
  name: "generateSeries: memory is flat over 500 images",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const model = await sharedModel("tiny", "cpu");
    const hooks = [varScaling({ samples: 8 })];
    let held: unknown;
    let warm = 0;
    let most = 0;
    for await (const { images, progress } of generateSeries(model, { count: 500, batch: 10, hooks })) {
      const { liveArrays, liveBytes } = model.device.counters;
      const { rss } = Deno.memoryUsage();
      assertEquals(images.length, 10);
      // What the model keeps of each class is there once all classes were.
      if (progress.made <= 250) {
        held = { liveArrays, liveBytes };
        warm = Math.max(warm, rss);
      } else {
        assertEquals({ liveArrays, liveBytes }, held, `image ${progress.made}`);
        most = Math.max(most, rss);
      }
    }
    // Room for garbage that waits for its collection.
    assert(most < warm + 64 * 2 ** 20, `${most - warm} bytes more`);
  },
});
