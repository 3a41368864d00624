/**
 * The client's side of ZMTP against bytes that are written out here by its specification
 * (rfc.zeromq.org/spec/23), on a plain TCP connection.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { ConnectionEnded, ZmtpSocket } from "../../../tools/notebooks/zmtp.ts";

/** signature, version 3.0, mechanism NULL in 20 bytes, no server, 31 zeros. */
const GREETING = Uint8Array.from([
  ...[0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0],
  ...[..."NULL"].map((letter) => letter.charCodeAt(0)),
  ...Array(16 + 1 + 31).fill(0),
]);

/** A command of 28 bytes: READY, and that this end is a ROUTER. */
const READY = Uint8Array.from([
  ...[4, 24, 5, ...[..."READY"].map((letter) => letter.charCodeAt(0))],
  ...[11, ...[..."Socket-Type"].map((letter) => letter.charCodeAt(0)), 0, 0, 0, 6],
]);

const ROUTER = new TextEncoder().encode("ROUTER");

/** Has a client connect to a server that says these bytes, and gives what the client said. */
async function against(
  says: readonly Uint8Array[],
  use: (connect: () => Promise<ZmtpSocket>) => Promise<void>,
): Promise<Uint8Array> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = { hostname: "127.0.0.1", port: (listener.addr as Deno.NetAddr).port };
  const heard = (async () => {
    const connection = await listener.accept();
    for (const bytes of says) await connection.write(bytes).catch(() => {});
    await connection.closeWrite().catch(() => {});
    return new Uint8Array(
      await new Response(connection.readable).arrayBuffer().catch(() => new ArrayBuffer()),
    );
  })();
  await use(() => ZmtpSocket.connect("DEALER", address));
  return await heard;
}

/** READY with its last part, whose length the command tells. */
function ready(type: Uint8Array = ROUTER): Uint8Array {
  const bytes = Uint8Array.from([...READY, ...type]);
  bytes[1] = bytes.length - 2;
  return bytes;
}

Deno.test("ZmtpSocket: greets, and sends frames with their lengths and what follows", async () => {
  const long = new Uint8Array(300).fill(7);
  const heard = await against([GREETING, ready()], async (connect) => {
    using socket = await connect();
    await socket.send([new Uint8Array([1, 2]), new Uint8Array(), long]);
  });
  assertEquals(heard.subarray(0, 64), GREETING);
  const text = (part: Uint8Array) => new TextDecoder().decode(part);
  const command = heard.subarray(64, 64 + 2 + heard[65]!);
  assertEquals([command[0], text(command.subarray(3, 8))], [4, "READY"]);
  assertEquals(text(command).includes("Socket-Type\0\0\0\u0006DEALER"), true);
  const message = heard.subarray(64 + command.length);
  assertEquals([...message.subarray(0, 6)], [1, 2, 1, 2, 1, 0]);
  // Flag 2: the length is eight bytes, here 300.
  assertEquals([...message.subarray(6, 15)], [2, 0, 0, 0, 0, 0, 0, 1, 44]);
  assertEquals(message.subarray(15), long);
});

Deno.test("ZmtpSocket: receives messages whole, whatever pieces they come in, and passes over commands", async () => {
  const long = new Uint8Array(70_000).fill(9);
  const header = [2, 0, 0, 0, 0, 0, 1, 0x11, 0x70];
  const pieces = [
    GREETING.subarray(0, 10),
    GREETING.subarray(10),
    ready(),
    Uint8Array.from([4, 5, 4, ...new TextEncoder().encode("PING")]),
    Uint8Array.from([1, 1, 65, 0]),
    Uint8Array.from([2, 66, 67]),
    Uint8Array.from(header),
    long,
  ];
  await against(pieces, async (connect) => {
    using socket = await connect();
    assertEquals(await socket.receive(), [new Uint8Array([65]), new Uint8Array([66, 67])]);
    assertEquals(await socket.receive(), [long]);
    await assertRejects(() => socket.receive(), ConnectionEnded);
  });
});

Deno.test("ZmtpSocket: what is no ZMTP without authentication is refused, and the connection closed", async () => {
  const curve = GREETING.slice();
  curve.set(new TextEncoder().encode("CURVE"), 12);
  const old = GREETING.slice();
  old[10] = 1;
  const error = Uint8Array.from([4, 6, 5, ...new TextEncoder().encode("ERROR")]);
  const huge = Uint8Array.from([2, 0x7f, 0, 0, 0, 0, 0, 0, 0]);
  const cases: [says: Uint8Array[], reason: string][] = [
    [[curve], "does not speak ZMTP 3 without authentication"],
    [[old], "does not speak ZMTP 3"],
    [[new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n".padEnd(64))], "does not speak ZMTP 3"],
    [[GREETING, error], 'answers "ERROR" instead of READY'],
    [[GREETING.subarray(0, 20)], "has closed the connection"],
  ];
  for (const [says, reason] of cases) {
    await against(says, async (connect) => {
      await assertRejects(connect, ConnectionEnded, reason);
    });
  }
  await against([GREETING, ready(), huge], async (connect) => {
    using socket = await connect();
    await assertRejects(() => socket.receive(), ConnectionEnded, "more than 268435456");
  });
});

Deno.test("ZmtpSocket: whoever waits hears that it was closed", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const connecting = ZmtpSocket.connect("SUB", {
    hostname: "127.0.0.1",
    port: (listener.addr as Deno.NetAddr).port,
  });
  using connection = await accepted;
  await connection.write(GREETING);
  await connection.write(ready(new TextEncoder().encode("PUB")));
  const socket = await connecting;
  const waiting = assertRejects(() => socket.receive(), ConnectionEnded);
  socket[Symbol.dispose]();
  socket[Symbol.dispose]();
  await waiting;
  // A SUB has subscribed to everything: a message of one frame, 1.
  const heard = new Uint8Array(await new Response(connection.readable).arrayBuffer());
  assertEquals([...heard.subarray(-3)], [0, 1, 1]);
});
