import { assertEquals, assertRejects } from "@std/assert";
import { LateThreads, type Thread } from "../../../models/graphs/late_threads.ts";

/** Threads that write down what becomes of them, and some that have been asked for. */
function recorded(patience: number, count: number): { threads: LateThreads; asked: Thread[]; log: string[] } {
  const log: string[] = [];
  const threads = new LateThreads({
    patience,
    begin: (place, { workerData }) => {
      log.push(`begin ${workerData} of ${place}`);
      return {
        postMessage: (...message) => log.push(`${workerData}: ${JSON.stringify(message)}`),
        on: (event, listener) => {
          log.push(`${workerData} on ${event}`);
          listener(`${workerData} ready`);
        },
        unref: () => log.push(`${workerData} unref`),
        terminate: () => log.push(`${workerData} ends`),
      };
    },
  });
  const asked = Array.from({ length: count }, (_, i) => {
    return new threads.Worker(new URL("file:///glue"), { workerData: `thread ${i}` });
  });
  return { threads, asked, log };
}

/** Computes for so many milliseconds or a little more. */
function busy(milliseconds: number): () => Promise<void> {
  return () => {
    const end = performance.now() + milliseconds;
    while (performance.now() < end);
    return Promise.resolve();
  };
}

Deno.test("LateThreads: a thread begins with all that it has been told, in that order", async () => {
  const { threads, asked: [thread], log } = recorded(0, 1);
  const heard: unknown[] = [];
  thread!.on("message", (value) => heard.push(value));
  thread!.postMessage({ run: 1 }, ["transferred"]);
  thread!.unref();
  assertEquals(log, []);

  await threads.compute(busy(0));
  const begun = [
    "begin thread 0 of file:///glue",
    "thread 0 on message",
    'thread 0: [{"run":1},["transferred"]]',
    "thread 0 unref",
  ];
  assertEquals([log, heard], [begun, ["thread 0 ready"]]);

  thread!.postMessage(2);
  thread!.terminate();
  assertEquals(log.slice(begun.length), ["thread 0: [2]", "thread 0 ends"]);
});

Deno.test("LateThreads: one more begins each time that so much has been computed", async () => {
  const { threads, log } = recorded(5, 3);
  const counts: number[] = [];
  for (const milliseconds of [3, 3, 0, 0, 6, 0, 6, 6, 0]) {
    await threads.compute(busy(milliseconds));
    counts.push(log.length);
  }
  // Each counts what was computed before it.
  assertEquals(counts, [0, 0, 1, 1, 1, 2, 2, 3, 3]);
});

Deno.test("LateThreads: without patience all begin before anything is computed", async () => {
  const { threads, log } = recorded(0, 3);
  await threads.compute(() => {
    assertEquals(log.length, 3);
    return Promise.resolve();
  });
  await threads.compute(busy(1));
  assertEquals(log.length, 3);
});

Deno.test("LateThreads: what fails has been computed, too", async () => {
  const { threads, log } = recorded(5, 1);
  const failing = async (): Promise<never> => {
    await busy(6)();
    throw new RangeError("no memory");
  };
  await assertRejects(() => threads.compute(failing), RangeError, "no memory");
  assertEquals(log.length, 0);
  await threads.compute(busy(0));
  assertEquals(log.length, 1);
});

Deno.test("LateThreads: one that has been ended does not begin", async () => {
  const { threads, asked, log } = recorded(0, 2);
  asked[0]!.terminate();
  await threads.compute(busy(0));
  assertEquals(log, ["begin thread 1 of file:///glue"]);
});

Deno.test("LateThreads: that the WebAssembly is loaded is said at once, whatever the message's key is", async () => {
  const { asked: [thread] } = recorded(1, 1);
  const heard = new Promise((resolve) => Object.assign(thread!, { onmessage: resolve }));
  thread!.postMessage({ Rb: "load", module: {} });
  assertEquals(await heard, { data: { Rb: "loaded" } });
});
