/** What cannot be a queue's server is told soon, in a sentence. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { queueAddress } from "../../../cli/cluster/queue_address.ts";
import { connectRedis, warningsOf } from "../../../cli/cluster/redis_connection.ts";
import { UsageError } from "../../../cli/io.ts";
import { testWithRedis } from "./redis.ts";

const { signal } = new AbortController();

/** The message of an attempt that must be refused, and soon. */
async function refusal(url: string): Promise<string> {
  const begun = performance.now();
  const { message } = await assertRejects(() => connectRedis(queueAddress(url), signal), UsageError);
  assert(performance.now() - begun < 10_000);
  assertEquals([/secret/.test(message), /ada/.test(message)], [false, false]);
  return message;
}

Deno.test("warningsOf: a server that is too old is refused, and one that forgets is warned of", () => {
  assertEquals(warningsOf("redis_version:7.2.4\r\nvalkey_version:8.1.0\r\n"), []);
  assertEquals(warningsOf("redis_version:6.2.0\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\n"), []);
  const [warning] = warningsOf("redis_version:8.0.0\r\nmaxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n");
  assert(warning!.endsWith("set its maxmemory-policy to noeviction instead of allkeys-lru"));
  for (const version of ["6.0.16", "5.0.14", ""]) {
    const error = assertThrows(() => warningsOf(`redis_version:${version}\r\n`), UsageError);
    assertEquals(error.message, `the version of Redis must be at least 6.2: current value is "${version}"`);
  }
});

Deno.test("connectRedis: nobody, somebody else and silence are told within seconds", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const url = `redis://ada:secret@127.0.0.1:${port}`;
  assertEquals(
    await refusal(url),
    `Cannot reach the queue at redis://127.0.0.1:${port}/0: nobody takes connections there`,
  );
  await using web = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => new Response());
  assert(/Cannot reach the queue at /.test(await refusal(`redis://ada:secret@127.0.0.1:${web.addr.port}`)));
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error("ended")), 50);
  const address = queueAddress(`redis://127.0.0.1:${silent.addr.port}`);
  await assertRejects(() => connectRedis(address, controller.signal), Error, "ended");
  silent.close();
});

testWithRedis(
  "connectRedis: a password is asked for, refused, and taken",
  async (server) => {
    const at = `127.0.0.1:${server.port}`;
    assertEquals(
      await refusal(`redis://${at}`),
      `Cannot reach the queue at redis://${at}/0: it wants a password; write redis://:PASSWORD@HOST or redis://USER:PASSWORD@HOST`,
    );
    assertEquals(
      await refusal(`redis://ada:secret@${at}`),
      `Cannot reach the queue at redis://${at}/0: it refuses this user and password`,
    );
    assert((await refusal(`redis://:s3cr3t%2F@${at}/99`)).includes("out of range"));
    const { client, warnings } = await connectRedis(queueAddress(`redis://:s3cr3t%2F@${at}/1`), signal);
    assertEquals([await client.ping(), warnings], ["PONG", []]);
    client.disconnect();
  },
  ["--requirepass", "s3cr3t/"],
);
