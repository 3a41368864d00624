/** Addresses of queues, and that no password is shown. */

import { assertEquals, assertThrows } from "@std/assert";
import { queueAddress } from "../../../cli/cluster/queue_address.ts";
import { UsageError } from "../../../cli/io.ts";
import { environment } from "../../environment.ts";

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
  const withVariable = <Result>(value: string | undefined, work: () => Result): Result => {
    using _variable = environment({ VARSCALE_QUEUE: value });
    return work();
  };
  const hosts = withVariable("redis://there:1/2", () => {
    return [queueAddress(undefined).host, queueAddress("redis://here").host];
  });
  assertEquals(hosts, ["there", "here"]);
  const error = withVariable("http://ada:secret@there", () => {
    return assertThrows(() => queueAddress(undefined), UsageError, "Variable VARSCALE_QUEUE must be");
  });
  assertEquals(error.message.includes("secret"), false);
  withVariable(undefined, () => {
    assertThrows(
      () => queueAddress(undefined),
      UsageError,
      "--queue or the variable VARSCALE_QUEUE is needed",
    );
  });
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
