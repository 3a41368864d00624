/** What a model is busy with: ending waits for what has begun, and refuses what comes later. */

import { assertEquals, assertRejects } from "@std/assert";
import { Work } from "../../../models/graphs/work.ts";

Deno.test("Work: ending waits for all that has begun, whether it fails or not", async () => {
  const work = new Work("tiny");
  const done: string[] = [];
  const slow = Promise.withResolvers<void>();
  const failing = Promise.withResolvers<void>();
  const results = [
    work.run("paint", () => slow.promise.then(() => done.push("painted"))),
    work.run("read", () => failing.promise),
  ];
  const outcome = Promise.allSettled(results);
  const end = work.end().then(() => done.push("ended"));
  await assertRejects(
    () => work.run("paint", () => Promise.resolve(1)),
    TypeError,
    'Cannot paint as the model "tiny" has been disposed',
  );
  failing.reject(new Error("The disk is gone"));
  assertEquals(done, []);
  slow.resolve();
  await end;
  assertEquals(done, ["painted", "ended"]);
  assertEquals((await outcome).map(({ status }) => status), ["fulfilled", "rejected"]);
});

Deno.test("Work: what is done hands on its result", async () => {
  const work = new Work("tiny");
  assertEquals(await work.run("count", () => Promise.resolve(3)), 3);
  await work.end();
});
