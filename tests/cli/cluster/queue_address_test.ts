/** Addresses of queues, and that no password is shown. */

import { assertEquals, assertThrows } from "@std/assert";
import { queueAddress } from "../../../cli/cluster/queue_address.ts";
import { UsageError } from "../../../cli/io.ts";

Deno.test("queueAddress: host, port, database, user, password and TLS", () => {
  assertEquals(queueAddress("redis://queue"), {
    ...{ host: "queue", port: 6379, db: 0, tls: false, username: undefined, password: undefined },
    shown: "redis://queue:6379/0",
  });
  assertEquals(queueAddress("rediss://ada:p%40ss%2F:w@10.0.0.1:6380/12"), {
    ...{ host: "10.0.0.1", port: 6380, db: 12, tls: true, username: "ada", password: "p@ss/:w" },
    shown: "rediss://10.0.0.1:6380/12",
  });
  const { host, username, password, shown } = queueAddress("valkey://:secret@[::1]/");
  assertEquals([host, username, password, shown], ["::1", undefined, "secret", "valkey://[::1]:6379/0"]);
  assertEquals(queueAddress("valkeys://queue").tls, true);
});

Deno.test("queueAddress: the environment gives one where the command line does not", () => {
  const before = Deno.env.get("VARSCALE_QUEUE");
  try {
    Deno.env.set("VARSCALE_QUEUE", "redis://there:1/2");
    assertEquals([queueAddress(undefined).host, queueAddress("redis://here").host], ["there", "here"]);
    Deno.env.set("VARSCALE_QUEUE", "http://ada:secret@there");
    const error = assertThrows(() => queueAddress(undefined), UsageError, "Variable VARSCALE_QUEUE must be");
    assertEquals(error.message.includes("secret"), false);
    Deno.env.delete("VARSCALE_QUEUE");
    assertThrows(
      () => queueAddress(undefined),
      UsageError,
      "--queue or the variable VARSCALE_QUEUE is needed",
    );
  } finally {
    if (before === undefined) Deno.env.delete("VARSCALE_QUEUE");
    else Deno.env.set("VARSCALE_QUEUE", before);
  }
});

Deno.test("queueAddress: what is no address is refused, without what it says", () => {
  for (
    const [text, why] of [
      ["queue:6379", "must begin with redis://"],
      ["http://ada:secret@queue", "must begin with redis://"],
      ["redis://ada:secret@", "must begin with redis://"],
      ["redis:///0", "it has no host"],
      ["redis://ada:secret@queue:70000", "must begin with redis://"],
      ["redis://ada:secret@queue/one", "the database must be a number"],
      ["redis://ada:secret@queue/0/1", "the database must be a number"],
      ["redis://ada:secret@queue/0?db=1", "something behind the database"],
      ["redis://ada:secret%@queue", "must be written as %25"],
    ] as const
  ) {
    const { message } = assertThrows(() => queueAddress(text), UsageError, why, text);
    assertEquals([message.includes("secret"), message.includes("ada")], [false, false]);
  }
});
