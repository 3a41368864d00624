/**
 * Generation as a stream of events: their order, what they show, and what ends it early.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { generate, type GenerateEvent } from "../../sampler/generate.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import type { GenerateRequest } from "../../sampler/request.ts";
import type { Trace } from "../../sampler/result.ts";
import { varScaling } from "../../sampler/methods/var_scaling.ts";
import { holdings, testOnModel, TINY_PATCH_NUMBERS, tokensOf } from "./models.ts";

const SCALES = TINY_PATCH_NUMBERS.length;
const REQUEST: GenerateRequest = { labels: ["sea", "sky", "Red Rock"], seed: 2, batch: 2 };

/** The trace at the end. */
function traceOf(events: readonly GenerateEvent[]): Trace {
  const last = events.at(-1);
  if (last?.type !== "done") throw new Error(`The last event is ${last?.type}`);
  return last.trace;
}

/** An event in a few letters. */
function shortly(event: GenerateEvent): string {
  switch (event.type) {
    case "batch":
      return `batch ${event.batch}/${event.batches}: ${event.images.join()}`;
    case "scale":
      return `scale ${event.batch}.${event.scale}/${event.scales} ${event.width}×${event.height} ${event.lanes}`;
    case "preview":
      return `preview ${event.batch}.${event.scale}: ${
        event.images.map(({ place, lane }) => `${place}.${lane}`).join()
      }`;
    case "image":
      return `image ${event.image.index}`;
    case "done":
    case "aborted":
      return event.type;
  }
}

testOnModel(
  "tiny",
  "generate: events come in order, and the images of a batch before the next one starts",
  async (model) => {
    const events = await Array.fromAsync(generate.stream(model, REQUEST));
    const scales = (batch: number, lanes: number): string[] => {
      return TINY_PATCH_NUMBERS.map((side, scale) =>
        `scale ${batch}.${scale}/${SCALES} ${side}×${side} ${lanes}`
      );
    };
    assertEquals(events.map(shortly), [
      "batch 0/2: 0,1",
      ...scales(0, 2),
      "image 0",
      "image 1",
      "batch 1/2: 2",
      ...scales(1, 1),
      "image 2",
      "done",
    ]);
    const whole = await generate(model, REQUEST);
    const images = events.flatMap((event) => event.type === "image" ? [event.image] : []);
    assertEquals(tokensOf({ images }), tokensOf(whole));
    assertEquals(images.map(({ data }) => data), whole.images.map(({ data }) => data));
    const done = events.at(-1)!;
    assert(done.type === "done");
    // A readback per batch.
    assertEquals(traceOf(events).readbacks, 2);
    assertEquals(traceOf(events).batches.map(({ lanes }) => lanes), [2, 1]);
  },
);

testOnModel(
  "tiny",
  "generate: previews come after the chosen scales, and the last one is the picture",
  async (model) => {
    const request: GenerateRequest = {
      ...REQUEST,
      batch: 3,
      previews: [SCALES - 1, 1],
      hooks: [varScaling()],
    };
    const events = await Array.fromAsync(generate.stream(model, request));
    const last = `preview 0.${SCALES - 1}: 0.0,1.0,2.0`;
    assertEquals(events.map(shortly).filter((text) => !text.startsWith("scale")), [
      "batch 0/1: 0,1,2",
      "preview 0.1: 0.0,1.0,2.0",
      last,
      "image 0",
      "image 1",
      "image 2",
      "done",
    ]);
    assertEquals(
      shortly(events[events.findIndex((event) => event.type === "preview") - 1]!),
      "scale 0.1/4 2×2 3",
    );
    const previews = events.flatMap((event) => event.type === "preview" ? [event.images] : []);
    for (const { image } of previews.flat()) assertEquals([image.width, image.height], [8, 8]);
    assertEquals(previews[0]!.map(({ label }) => label.name), ["sea", "sky", "Red Rock"]);
    const pictures = events.flatMap((event) => event.type === "image" ? [event.image] : []);
    assertEquals(previews[1]!.map(({ image }) => image.data), pictures.map(({ data }) => data));
    assert(previews[0]!.every(({ image }, i) => image.data.join() !== pictures[i]!.data.join()));
    // Two previews and the pictures.
    const done = events.at(-1)!;
    assert(done.type === "done");
    assertEquals(traceOf(events).readbacks, 3);
    // Watching changes nothing.
    assertEquals(
      tokensOf({ images: pictures }),
      tokensOf(await generate(model, { ...request, previews: false })),
    );

    const all = await Array.fromAsync(generate.stream(model, { labels: 0, previews: true }));
    assertEquals(all.filter(({ type }) => type === "preview").length, SCALES);
    const none = await Array.fromAsync(generate.stream(model, { labels: 0 }));
    assertEquals(none.filter(({ type }) => type === "preview").length, 0);
  },
);

testOnModel("tiny", "generate: events and previews follow the lanes", async (model) => {
  const hook: ScaleHook = {
    name: "halve",
    lanes: 4,
    scales: [1, 2],
    gather: ({ lanes }) => [...lanes.keys()].filter((i) => i % 2),
  };
  const events = await Array.fromAsync(
    generate.stream(model, { labels: ["sea", "sky"], hooks: [hook], previews: [0, 1, 2] }),
  );
  assertEquals(events.map(shortly), [
    "batch 0/1: 0,1",
    "scale 0.0/4 1×1 8",
    "preview 0.0: 0.0,0.1,0.2,0.3,1.0,1.1,1.2,1.3",
    "scale 0.1/4 2×2 4",
    "preview 0.1: 0.1,0.3,1.1,1.3",
    "scale 0.2/4 3×3 2",
    "preview 0.2: 0.3,1.3",
    "scale 0.3/4 4×4 2",
    "image 0",
    "image 1",
    "done",
  ]);
});

testOnModel("tiny", "generate: leaving the loop early frees everything, wherever", async (model) => {
  const request: GenerateRequest = { ...REQUEST, previews: [2], hooks: [varScaling({ samples: 5 })] };
  const length = (await Array.fromAsync(generate.stream(model, request))).length;
  const before = holdings(model);
  for (let stop = 0; stop < length; stop++) {
    let seen = 0;
    for await (const _ of generate.stream(model, request)) if (seen++ === stop) break;
    assertEquals(holdings(model).liveArrays, before.liveArrays, `after event ${stop}`);
  }
  // Bytes count what the graph runtime keeps for its next run, too; a whole generation leaves what one did.
  await Array.fromAsync(generate.stream(model, request));
  assertEquals(holdings(model), before);
  // The same when the loop throws, and when nobody listens at all.
  const failure = new Error("the disk is full");
  await assertRejects(
    async () => {
      for await (const { type } of generate.stream(model, request)) if (type === "scale") throw failure;
    },
    Error,
    failure.message,
  );
  generate.stream(model, request);
  assertEquals(holdings(model).liveArrays, before.liveArrays);
  await Array.fromAsync(generate.stream(model, request));
  assertEquals(holdings(model), before);
});

testOnModel("tiny", "generate: a stream that a signal ends still yields its trace", async (model) => {
  await Array.fromAsync(generate.stream(model, REQUEST));
  const before = holdings(model);
  const abortedAt = async (stop: number): Promise<GenerateEvent[]> => {
    const controller = new AbortController();
    const events: GenerateEvent[] = [];
    const reason = new Error("enough");
    if (stop < 0) controller.abort(reason);
    const read = async (): Promise<void> => {
      for await (const event of generate.stream(model, { ...REQUEST, signal: controller.signal })) {
        if (event.type === "aborted") {
          assertEquals(holdings(model).liveArrays, before.liveArrays, "all is free by then");
        }
        if (events.push(event) - 1 === stop) controller.abort(reason);
      }
    };
    assertStrictEquals(await assertRejects(read), reason);
    return events;
  };
  // The first batch has two images and was finished, the second was not.
  const events = await abortedAt(8);
  assertEquals(events.map(({ type }) => type), [
    ...["batch", "scale", "scale", "scale", "scale", "image", "image", "batch", "scale", "aborted"],
  ] as GenerateEvent["type"][]);
  const { trace } = events.at(-1) as { trace: Trace };
  assertEquals(trace.batches.map(({ lanes }) => lanes), [2]);
  assertEquals([trace.model, trace.readbacks], [model.name, 1]);
  assert(trace.total > 0 && trace.dispatches > 0);
  assertEquals((await abortedAt(-1)).map(shortly), ["batch 0/2: 0,1", "aborted"]);
  await Array.fromAsync(generate.stream(model, REQUEST));
  assertEquals(holdings(model), before);

  // An error that is none of the signal's is thrown alone.
  const failing: ScaleHook = {
    name: "failing",
    choose: () => {
      throw new RangeError("no idea");
    },
  };
  const seen: string[] = [];
  await assertRejects(async () => {
    for await (const { type } of generate.stream(model, { ...REQUEST, hooks: [failing] })) seen.push(type);
  }, RangeError);
  assertEquals(seen, ["batch"]);
});

testOnModel("tiny", "generate: a stream may be read while another one is", async (model) => {
  const expected = tokensOf(await generate(model, REQUEST));
  const collect = async (): Promise<number[][][]> => {
    const events = await Array.fromAsync(generate.stream(model, REQUEST));
    return tokensOf({ images: events.flatMap((event) => event.type === "image" ? [event.image] : []) });
  };
  assertEquals(await Promise.all([collect(), collect(), generate(model, REQUEST).then(tokensOf)]), [
    expected,
    expected,
    expected,
  ]);
});

testOnModel("tiny", "generate: a bad request is reported by the first event", async (model) => {
  const events = generate.stream(model, { labels: "lake" });
  await assertRejects(() => events.next(), RangeError, 'Cannot find the class "lake"');
  assertEquals(await events.next(), { done: true, value: undefined });
});
