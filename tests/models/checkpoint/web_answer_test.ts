/** What comes from a web server: as much as is wanted, for as long as it is sent. */

import { assertEquals, assertRejects } from "@std/assert";
import { WebAnswer, type WebRequest } from "../../../models/checkpoint/web_answer.ts";

/** What a server on this machine answers. */
async function ask<Result>(
  response: () => Response,
  work: (answer: WebAnswer) => Promise<Result>,
  options: WebRequest = {},
): Promise<Result> {
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, response);
  using answer = await WebAnswer.to(new URL(`http://127.0.0.1:${server.addr.port}/`), options);
  return await work(answer);
}

Deno.test("WebAnswer: a body comes whole, or not at all if it is larger than it may be", async () => {
  const content = Uint8Array.from({ length: 100_000 }, (_, i) => i);
  const told = (): Response => new Response(content);
  const untold = (): Response => new Response(new Blob([content]).stream());
  for (const response of [told, untold]) {
    for (const [most, expected] of [[100_000, content], [200_000, content], [99_999, undefined]] as const) {
      assertEquals(await ask(response, (answer) => answer.body(most)), expected);
    }
  }
  assertEquals(await ask(() => new Response(null), (answer) => answer.body(0)), new Uint8Array(0));
});

Deno.test("WebAnswer: the size that is told is that of a body that is not packed", async () => {
  const content = new Uint8Array(1000);
  const stream = new Blob([content]).stream().pipeThrough(new CompressionStream("gzip"));
  const packed = await new Response(stream).bytes();
  const told = ({ told }: WebAnswer) => Promise.resolve(told);
  assertEquals(await ask(() => new Response(content), told), 1000);
  const response = () => new Response(packed, { headers: { "content-encoding": "gzip" } });
  assertEquals(await ask(response, told), undefined);
  assertEquals(await ask(response, (answer) => answer.body(1000)), content);
  assertEquals(await ask(response, (answer) => answer.body(999)), undefined);
});

Deno.test("WebAnswer: silence and the caller end a transfer, each with its own reason", async () => {
  const silent = (): Response =>
    new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(10)) }));
  const body = (answer: WebAnswer) => answer.body(100);
  await assertRejects(() => ask(silent, body, { timeout: 50 }), Error, "The server was silent for 0.05 s");
  const controller = new AbortController();
  const stopped = async (answer: WebAnswer): Promise<unknown> => {
    queueMicrotask(() => controller.abort(new Error("enough")));
    return await answer.body(100);
  };
  await assertRejects(() => ask(silent, stopped, { signal: controller.signal }), Error, "enough");
  await assertRejects(() => ask(silent, body, { signal: controller.signal }), Error, "enough");
});
