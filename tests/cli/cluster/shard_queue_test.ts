/** The queue on a Redis of its own: what is added, taken, given back, tried again and given up. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { queueAddress } from "../../../cli/cluster/queue_address.ts";
import { connectRedis } from "../../../cli/cluster/redis_connection.ts";
import type { ShardOutcome } from "../../../cli/cluster/shard_messages.ts";
import { describeCounts, ShardQueue, type TakenShard } from "../../../cli/cluster/shard_queue.ts";
import { UsageError } from "../../../cli/io.ts";
import { type RedisServer, testWithRedis } from "./redis.ts";

const { signal } = new AbortController();
const DONE: ShardOutcome = { kind: "done", images: 1, made: 1 };
const TAKE = { lease: 1, takeovers: 3, onTrouble: () => {} };

function open({ url }: RedisServer, name: string = "varscale"): Promise<ShardQueue> {
  return ShardQueue.open(queueAddress(url), name, signal);
}

/** Waits until something holds. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const late = Date.now() + 20_000;
  while (!await holds()) {
    assert(Date.now() < late, "It has not come to hold in time");
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

testWithRedis(
  "ShardQueue: adding twice adds nothing twice, and what has failed is tried again",
  async (server, folder) => {
    await using queue = await open(server);
    const series = { args: ["--model", "demo", "-o", "out"], folder };
    const options = { parts: 3, attempts: 1 };
    assertEquals(await queue.add(series, options), { added: 3, again: 0, there: 0 });
    assertEquals(await queue.add(series, options), { added: 0, again: 0, there: 3 });
    const other = { ...series, args: [...series.args, "--seed", "1"] };
    assertEquals(await queue.add(other, { ...options, parts: 1 }), { added: 1, again: 0, there: 0 });
    const taken: TakenShard[] = [];
    {
      const taking = await queue.take((shard) => {
        taken.push(shard);
        return Promise.resolve(taken.length === 2 ? { kind: "failed", message: "no\x1b luck" } : DONE);
      }, TAKE);
      await until(async () => (await queue.counts()).done === 3);
      await taking.close();
    }
    assertEquals(taken.map(({ shard: { part, parts } }) => `${part}/${parts}`), ["1/3", "2/3", "3/3", "1/1"]);
    assertEquals(taken[3], { series: other, shard: { part: 1, parts: 1 }, output: "out" });
    const counts = await queue.counts();
    assertEquals(counts, { waiting: 0, atWork: 0, later: 0, done: 3, failed: 1 });
    assertEquals(describeCounts(counts), "3 shards done, 0 at work, 0 waiting, 1 failed");
    const [failed] = await queue.failures();
    assertEquals([failed!.shard, failed!.output, failed!.reason], ["2/3", "out", "no\x1b luck"]);
    assertEquals(await queue.add(series, options), { added: 1, again: 1, there: 2 });
    assertEquals(await queue.drain(), 4);
    assertEquals(await queue.counts(), { waiting: 0, atWork: 0, later: 0, done: 0, failed: 0 });
    assertEquals(await queue.add(series, options), { added: 3, again: 0, there: 0 });
  },
);

testWithRedis(
  "ShardQueue: a part is given back, waits for others, is tried so often and then listed",
  async (server, folder) => {
    await using queue = await open(server);
    const series = { args: ["-o", "out"], folder };
    await queue.add(series, { parts: 1, attempts: 2 });
    const answers: (ShardOutcome | undefined)[] = [
      undefined,
      { kind: "busy", message: "another" },
      undefined,
      { kind: "failed", message: "once" },
      { kind: "failed", message: "twice" },
    ];
    const given = answers.length;
    const taking = await queue.take(() => Promise.resolve(answers.length > 0 ? answers.shift() : DONE), TAKE);
    await until(async () => (await queue.counts()).failed === 1);
    // Neither the one nor the other costs an attempt.
    assertEquals([given - answers.length, (await queue.failures())[0]!.reason], [5, "twice"]);
    // What stays wrong is not tried again.
    answers.push({ kind: "refused", message: "no such model" });
    await queue.add({ ...series, args: ["-o", "other"] }, { parts: 1, attempts: 9 });
    await until(async () => (await queue.counts()).failed === 2);
    assertEquals((await queue.failures(1)).map(({ reason }) => reason), ["no such model"]);
    await taking.close();
  },
);

testWithRedis(
  "ShardQueue: what a dead worker had is taken over, so often and no more",
  async (server, folder) => {
    await using queue = await open(server);
    await queue.add({ args: ["-o", "out"], folder }, { parts: 1, attempts: 1 });
    const died = async () => {
      // Its connection is gone, and with it whatever renews its lease.
      const dying = await open(server);
      const taken = Promise.withResolvers<void>();
      await dying.take(() => {
        taken.resolve();
        return new Promise(() => {});
      }, { ...TAKE, takeovers: 1 });
      await taken.promise;
      await dying[Symbol.asyncDispose]();
    };
    await died();
    assertEquals((await queue.counts()).atWork, 1);
    await died();
    const taking = await queue.take(() => Promise.resolve(DONE), { ...TAKE, takeovers: 1 });
    await until(async () => (await queue.counts()).failed === 1);
    assertStringIncludes((await queue.failures())[0]!.reason, "stalled more than allowable limit");
    await taking.close();
  },
);

testWithRedis(
  "ShardQueue: a restart of the server is waited for, and told of once",
  async (server, folder) => {
    await using queue = await open(server);
    await queue.add({ args: ["-o", "out"], folder }, { parts: 3, attempts: 1 });
    const told: string[] = [];
    const begun = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const taking = await queue.take(async () => {
      begun.resolve();
      await go.promise;
      return DONE;
    }, { ...TAKE, onTrouble: (sentence) => told.push(sentence) });
    await begun.promise;
    await server.restart();
    go.resolve();
    await until(async () => (await queue.counts()).done === 3);
    await taking.close();
    const shown = `redis://127.0.0.1:${server.port}/0`;
    const ways = told.filter((sentence) => sentence.startsWith("the queue at"));
    assertEquals(ways, [`the queue at ${shown} is away; waiting for it`, `the queue at ${shown} is back`]);
  },
);

testWithRedis(
  "ShardQueue: whoever ends while the server is away ends in time, and gives back what it had",
  async (server, folder) => {
    await using queue = await open(server);
    await queue.add({ args: ["-o", "out"], folder }, { parts: 1, attempts: 1 });
    {
      await using ending = await open(server);
      const begun = Promise.withResolvers<void>();
      const given = Promise.withResolvers<undefined>();
      const taking = await ending.take(() => {
        begun.resolve();
        return given.promise;
      }, { ...TAKE, lease: 600 });
      await begun.promise;
      // It is back at once, and the connections of the worker are not.
      await server.restart();
      given.resolve(undefined);
      await taking.close();
    }
    assertEquals((await queue.counts()).waiting, 1);
  },
);

testWithRedis("ShardQueue: a queue of another version is left alone", async (server, folder) => {
  {
    const { client } = await connectRedis(queueAddress(server.url), signal);
    await client.set("varscale:newer:layout", "2");
    client.disconnect();
  }
  await assertRejects(
    () => open(server, "newer"),
    UsageError,
    `Cannot use the queue "newer" at redis://127.0.0.1:${server.port}/0: the version of its layout must be 1: current value is 2`,
  );
  await using queue = await open(server);
  assertEquals((await queue.add({ args: ["-o", "out"], folder }, { parts: 1, attempts: 1 })).added, 1);
});
