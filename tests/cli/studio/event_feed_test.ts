import { assertEquals } from "@std/assert";
import { EventFeed } from "../../../cli/studio/event_feed.ts";
import type { StudioEvent } from "../../../cli/studio/protocol.ts";

const hello: StudioEvent = {
  type: "hello",
  version: "1",
  model: { state: "loading", notices: [] },
  history: [],
  events: [],
};

/** The nth of some events. */
function event(n: number): StudioEvent {
  return { type: "forgotten", job: `${n}` };
}

/** Everything that a reader has got once the feed is closed, comments left out. */
async function read(stream: ReadableStream<Uint8Array>): Promise<{ id: number; event: StudioEvent }[]> {
  const text = await new Response(stream).text();
  return Array.from(text.matchAll(/id: (\d+)\ndata: (.*)\n\n/g), ([, id, data]) => {
    return { id: Number(id), event: JSON.parse(data!) };
  });
}

Deno.test("EventFeed: who comes first is told everything, and then what happens", async () => {
  const feed = new EventFeed();
  feed.push(event(1));
  const stream = feed.open(undefined, () => hello);
  feed.push(event(2));
  feed.close();
  assertEquals(await read(stream), [{ id: 1, event: hello }, { id: 2, event: event(2) }]);
});

Deno.test("EventFeed: who comes back gets what was missed, once and in order", async () => {
  const feed = new EventFeed();
  for (let n = 1; n <= 5; n++) feed.push(event(n));
  const stream = feed.open(3, () => hello);
  feed.push(event(6));
  feed.close();
  assertEquals((await read(stream)).map(({ id, event }) => [id, event]), [
    [4, event(4)],
    [5, event(5)],
    [6, event(6)],
  ]);
});

Deno.test("EventFeed: who missed nothing gets nothing twice", async () => {
  const feed = new EventFeed();
  feed.push(event(1));
  const stream = feed.open(1, () => hello);
  feed.close();
  assertEquals(await read(stream), []);
});

Deno.test("EventFeed: who missed more than is kept, or comes from another studio, begins anew", async () => {
  const feed = new EventFeed();
  for (let n = 1; n <= 3000; n++) feed.push(event(n));
  const streams = [feed.open(3, () => hello), feed.open(9999, () => hello)];
  feed.close();
  for (const stream of streams) assertEquals(await read(stream), [{ id: 3000, event: hello }]);
});

Deno.test("EventFeed: a reader that falls behind is let go, and those beside it are not", async () => {
  const feed = new EventFeed();
  const [slow, quick] = [feed.open(undefined, () => hello), feed.open(undefined, () => hello)];
  const reader = quick.getReader();
  let got = 0;
  const reading = (async () => {
    while (!(await reader.read()).done) got++;
  })();
  for (let n = 1; n <= 5000; n++) {
    feed.push(event(n));
    if (n % 100 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  feed.close();
  await reading;
  // The first chunks say when to come back, and hello.
  assertEquals(got, 5002);
  assertEquals((await read(slow)).length < 5000, true);
});

Deno.test("EventFeed: whether somebody reads", async () => {
  const feed = new EventFeed();
  assertEquals(feed.isRead, false);
  const stream = feed.open(undefined, () => hello);
  assertEquals(feed.isRead, true);
  feed.beat();
  await stream.cancel();
  assertEquals(feed.isRead, false);
  feed.push(event(1));
});
