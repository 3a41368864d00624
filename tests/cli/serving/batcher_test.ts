/** Which requests are painted together, who gets what of it, and what happens when somebody leaves. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ApiError } from "../../../cli/serving/api_error.ts";
import {
  Batcher,
  type BatcherOptions,
  type EndedBatch,
  type Wanted,
  type WantedEvent,
} from "../../../cli/serving/batcher.ts";
import { dot, FakePainter } from "./fake_painter.ts";

const never = new AbortController().signal;

function wanted(more: Partial<Wanted> = {}): Wanted {
  return { prompt: "red", images: 1, values: {}, coupled: false, previews: [], ...more };
}

function batcherOf(options: Partial<BatcherOptions> = {}) {
  const painter = new FakePainter();
  const ended: EndedBatch[] = [];
  const batcher = new Batcher(painter, {
    ...{ batch: 8, waiting: 16, linger: 0, seed: 100, onBatch: (batch) => ended.push(batch) },
    ...options,
  });
  return { painter, batcher, ended };
}

/** What was painted: seed, number and picture of each image. */
async function imagesOf(events: AsyncIterable<WantedEvent>) {
  const all = await Array.fromAsync(events);
  return all.flatMap((event) => event.type === "image" ? [event] : []);
}

Deno.test("Batcher: requests that wait and ask for the same are painted together, each gets its own", async () => {
  const { painter, batcher, ended } = batcherOf({ batch: 5 });
  const all = await Promise.all([
    imagesOf(batcher.submit(wanted(), never)),
    imagesOf(batcher.submit(wanted({ prompt: "green", images: 3 }), never)),
    imagesOf(batcher.submit(wanted({ values: { cfg: 3 } }), never)),
    // Beyond the batch, so it waits for the next one, and so does whoever would fit in its place no more.
    imagesOf(batcher.submit(wanted({ images: 2 }), never)),
    imagesOf(batcher.submit(wanted({ images: 1, values: { cfg: undefined } }), never)),
    imagesOf(batcher.submit(wanted({ seed: 7, images: 2 }), never)),
    imagesOf(batcher.submit(wanted({ seed: 7, prompt: "green", indices: [9] }), never)),
    imagesOf(batcher.submit(wanted({ coupled: true }), never)),
  ]);
  assertEquals(painter.jobs.map(({ labels, indices }) => [labels, indices]), [
    [["red", "green", "green", "green", "red"], [0, 1, 2, 3, 7]],
    [["red"], [4]],
    [["red", "red"], [5, 6]],
    [["red", "red", "green"], [0, 1, 9]],
    [["red"], [8]],
  ]);
  assertEquals(painter.jobs.map(({ options }) => [options.seed, options.cfg, options.batch]), [
    [100, undefined, 5],
    [100, 3, 5],
    [100, undefined, 5],
    [7, undefined, 5],
    [100, undefined, 5],
  ]);
  assertEquals(all.map((images) => images.map(({ seed, index, place }) => [seed, index, place])), [
    [[100, 0, 0]],
    [[100, 1, 0], [100, 2, 1], [100, 3, 2]],
    [[100, 4, 0]],
    [[100, 5, 0], [100, 6, 1]],
    [[100, 7, 0]],
    [[7, 0, 0], [7, 1, 1]],
    [[7, 9, 0]],
    [[100, 8, 0]],
  ]);
  assertEquals(all[1]![2]!.png, dot(100, 3, "green"));
  await batcher.idle();
  assertEquals(ended.map(({ requests, images, outcome }) => [requests, images, outcome]), [
    [3, 5, "done"],
    [1, 1, "done"],
    [1, 2, "done"],
    [2, 3, "done"],
    [1, 1, "done"],
  ]);
});

Deno.test("Batcher: the queue is bounded, and what is larger than it can be painted all the same", async () => {
  const { painter, batcher } = batcherOf({ batch: 1, waiting: 2 });
  const { promise, resolve } = Promise.withResolvers<void>();
  painter.gate = promise;
  const begun = new Promise<void>((done) => painter.onBegun = done);
  const first = imagesOf(batcher.submit(wanted({ images: 5 }), never));
  await begun;
  const second = [imagesOf(batcher.submit(wanted(), never)), imagesOf(batcher.submit(wanted(), never))];
  assertEquals([batcher.runningImages, batcher.waitingRequests, batcher.waitingImages], [5, 2, 2]);
  const error = assertThrows(() => batcher.submit(wanted(), never), ApiError, "The queue is full");
  assertEquals([error.status, error.headers["retry-after"]], [429, String(batcher.patience)]);
  resolve();
  assertEquals((await first).length, 5);
  await Promise.all(second);
  await batcher.idle();
  assertEquals((await imagesOf(batcher.submit(wanted(), never))).length, 1);
});

Deno.test("Batcher: whoever leaves is not painted, and a batch ends when nobody is left", async () => {
  const { painter, batcher, ended } = batcherOf();
  const { promise, resolve } = Promise.withResolvers<void>();
  painter.gate = promise;
  const leave = async (events: AsyncIterable<WantedEvent>) => {
    for await (const { type } of events) if (type === "begun") return;
  };
  // One of two leaves: the other one gets its picture.
  const stays = imagesOf(batcher.submit(wanted({ prompt: "green" }), never));
  await leave(batcher.submit(wanted(), never));
  resolve();
  assertEquals((await stays).map(({ index }) => index), [0]);
  assertEquals(painter.aborted, 0);
  // Both leave, one by the loop and one by its signal.
  painter.gate = new Promise(() => {});
  const controller = new AbortController();
  const ends = assertRejects(
    () => imagesOf(batcher.submit(wanted(), controller.signal)),
    Error,
    "the line is cut",
  );
  const gone = imagesOf(batcher.submit(wanted({ values: { cfg: 2 } }), controller.signal));
  const waits = assertRejects(() => gone, Error, "the line is cut");
  await leave(batcher.submit(wanted(), never));
  assertEquals(painter.aborted, 0);
  controller.abort(new Error("the line is cut"));
  await Promise.all([ends, waits]);
  await batcher.idle();
  assertEquals(painter.aborted, 1);
  // The one that waited was never painted.
  assertEquals(painter.jobs.length, 2);
  assertEquals(ended.map(({ outcome }) => outcome), ["done", "aborted"]);
  await assertRejects(() => imagesOf(batcher.submit(wanted(), controller.signal)), Error, "the line is cut");
  await batcher.idle();
});

Deno.test("Batcher: a batch that fails is done again one by one, so only the culprit is told", async () => {
  const { painter, batcher, ended } = batcherOf();
  const good = imagesOf(batcher.submit(wanted(), never));
  const wrong = assertRejects(
    () => imagesOf(batcher.submit(wanted({ prompt: "wrong" }), never)),
    ApiError,
    'Cannot find the class "wrong"',
  );
  const broken = assertRejects(
    () => imagesOf(batcher.submit(wanted({ prompt: "broken" }), never)),
    ApiError,
    "the device is on fire",
  );
  assertEquals((await good).map(({ png }) => png), [dot(100, 0, "red")]);
  assertEquals((await wrong).status, 400);
  assertEquals((await broken).status, 500);
  await batcher.idle();
  assertEquals(painter.jobs.map(({ labels }) => labels), [
    ["red", "wrong", "broken"],
    ["red"],
    ["wrong"],
    ["broken"],
  ]);
  assertEquals(ended.map(({ outcome }) => outcome), ["split", "done", "failed", "failed"]);
});

Deno.test("Batcher: when the numbers of a seed are used up, there is another seed", async () => {
  const { batcher } = batcherOf({ seed: 2n ** 64n - 1n, numbers: 3 });
  const all = [];
  for (const images of [2, 2, 1, 1]) all.push(...await imagesOf(batcher.submit(wanted({ images }), never)));
  // Images of a request are never of two seeds.
  assertEquals(all.map(({ seed, index }) => [seed, index]), [
    ...[[2n ** 64n - 1n, 0], [2n ** 64n - 1n, 1]],
    ...[[0, 0], [0, 1], [0, 2]],
    [1, 0],
  ]);
});

Deno.test("Batcher: previews go to those whose images they show", async () => {
  const { batcher } = batcherOf();
  const events = await Promise.all([
    Array.fromAsync(batcher.submit(wanted({ previews: [-2] }), never)),
    Array.fromAsync(batcher.submit(wanted({ previews: [-2], prompt: "green", images: 2 }), never)),
  ]);
  const shown = events.map((own) =>
    own.flatMap((event) =>
      event.type === "preview" ? [[event.scale, event.images.map(({ place }) => place)]] : []
    )
  );
  assertEquals(shown, [[[2, [0]]], [[2, [0, 1]]]]);
});
