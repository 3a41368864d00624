/** One transformer at a time, loaded when it is asked for. */

import { assertEquals, assertRejects } from "@std/assert";
import type { GraphSession } from "../../../models/graphs/graph_session.ts";
import { TransformerSessions } from "../../../models/infinity/transformer_sessions.ts";

/** Sessions of which is kept when they are loaded, run and unloaded. */
function watched(fail: (key: string) => boolean = () => false) {
  const events: string[] = [];
  let loaded = 0;
  const load = async (mixedAfter: readonly number[]): Promise<GraphSession> => {
    const key = mixedAfter.join("+") || "none";
    await Promise.resolve();
    if (fail(key)) throw new Error(`no ${key}`);
    events.push(`load ${key}`);
    loaded++;
    assertEquals(loaded, 1, "one at a time");
    return {
      run: () => Promise.resolve({}),
      [Symbol.asyncDispose]: async () => {
        await Promise.resolve();
        loaded--;
        events.push(`unload ${key}`);
      },
    } as unknown as GraphSession;
  };
  return { events, load };
}

Deno.test("TransformerSessions: one is loaded at a time, and another one when it is asked for", async () => {
  const { events, load } = watched();
  await using sessions = await TransformerSessions.create(load);
  const use = (blocks: readonly number[], what: string): Promise<string> => {
    return sessions.run(blocks, () => {
      events.push(what);
      return Promise.resolve(what);
    });
  };
  // Asked for together, they run one after the other.
  const results = await Promise.all([
    use([], "a"),
    use([], "b"),
    use([1, 2], "c"),
    use([1, 2], "d"),
    use([], "e"),
  ]);
  assertEquals(results, ["a", "b", "c", "d", "e"]);
  assertEquals(events, [
    ...["load none", "a", "b", "unload none", "load 1+2", "c", "d", "unload 1+2", "load none", "e"],
  ]);
});

Deno.test("TransformerSessions: a run waits for the one before, and unloading for all", async () => {
  const { events, load } = watched();
  const sessions = await TransformerSessions.create(load);
  const { promise, resolve } = Promise.withResolvers<void>();
  const first = sessions.run([], async () => {
    await promise;
    events.push("first");
  });
  const second = sessions.run([3], () => Promise.resolve(void events.push("second")));
  const unloaded = sessions[Symbol.asyncDispose]();
  resolve();
  await Promise.all([first, second, unloaded]);
  assertEquals(events, ["load none", "first", "unload none", "load 3", "second", "unload 3"]);
});

Deno.test("TransformerSessions: what fails spoils neither the next run nor the unloading", async () => {
  let broken = true;
  const { events, load } = watched((key) => broken && key === "2");
  await using sessions = await TransformerSessions.create(load);
  const nothing = (): Promise<void> => Promise.resolve();
  await assertRejects(() => sessions.run([], () => Promise.reject(new RangeError("run"))), RangeError, "run");
  await assertRejects(() => sessions.run([2], nothing), Error, "no 2");
  // The first one is gone by then, and comes back.
  await sessions.run([], nothing);
  broken = false;
  await sessions.run([2], nothing);
  assertEquals(events, ["load none", "unload none", "load none", "unload none", "load 2"]);
  await assertRejects(
    () => TransformerSessions.create(() => Promise.reject(new Error("first"))),
    Error,
    "first",
  );
});
