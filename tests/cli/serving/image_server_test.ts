/**
 * The server over real HTTP, in front of somebody who paints dots: addresses, keys, origins, limits, and how
 * it ends. That OpenAI's own client understands it is shown on the bundled model in `commands/serve_test.ts`.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ImageServer, type ServerOptions } from "../../../cli/serving/image_server.ts";
import { dot, FACTS, FakePainter } from "./fake_painter.ts";

const OPTIONS: ServerOptions = {
  ...{ host: "127.0.0.1", port: 0, values: {}, batch: 8, waiting: 4, linger: 0, seed: 100 },
  limits: { images: 10, prompt: 100, pixels: 1024, body: 1000, milliseconds: 60_000 },
  store: { bytes: 10_000, milliseconds: 60_000 },
};

/** Registers a test with a server of its own. */
function testServer(
  name: string,
  options: Partial<ServerOptions>,
  test: (server: ImageServer, painter: FakePainter) => Promise<void>,
): void {
  Deno.test(name, async () => {
    const painter = new FakePainter();
    await using server = new ImageServer(painter, FACTS, { ...OPTIONS, ...options });
    await test(server, painter);
  });
}

/** Asks for images. */
function ask(server: ImageServer, body: unknown, more: RequestInit = {}): Promise<Response> {
  return fetch(`${server.url}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...more,
  });
}

/** What an answer that refuses says: status, code, and the message. */
async function refusal(response: Response): Promise<[number, string | null, string]> {
  const { error } = await response.json();
  assertEquals(Object.keys(error), ["message", "type", "param", "code"]);
  return [response.status, error.code, error.message];
}

/** Holds painting back until it is told to go on. */
function gateOf(painter: FakePainter): { readonly open: () => void; readonly begun: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  painter.gate = promise;
  return { open: resolve, begun: new Promise((done) => painter.onBegun = done) };
}

testServer("ImageServer: pictures in the answer, and by addresses of their own", {}, async (server) => {
  const response = await ask(server, { prompt: "red", n: 2 });
  assertEquals(response.headers.get("content-type"), "application/json");
  const { created, data, ...rest } = await response.json();
  assert(Math.abs(created - Date.now() / 1000) < 60);
  assertEquals(rest, { background: "opaque", output_format: "png", size: "8x8" });
  assertEquals(
    data,
    [0, 1].map((index) => ({
      b64_json: dot(100, index, "red").toBase64(),
      varscale: { seed: 100, index, lane: 0, label: "red" },
    })),
  );
  // With the seed that was told, the same once more.
  const again = await ask(server, {
    prompt: "red",
    seed: 100,
    varscale: { indices: [1] },
    response_format: "url",
  });
  const [{ url }] = (await again.json()).data;
  assertMatch(url, /^http:\/\/127\.0\.0\.1:\d+\/images\/[0-9a-f-]{36}\.png$/);
  const picture = await fetch(url);
  assertEquals(picture.headers.get("content-type"), "image/png");
  assertEquals(new Uint8Array(await picture.arrayBuffer()), dot(100, 1, "red"));
  const gone = url.replace(/[0-9a-f]{4}\.png/, "0000.png");
  assertEquals((await refusal(await fetch(gone)))[0], 404);
});

testServer(
  "ImageServer: events come as they happen, and an error is one of them",
  {},
  async (server, painter) => {
    const { open, begun } = gateOf(painter);
    const answer = ask(server, { prompt: "red", stream: true, partial_images: 2, n: 2 });
    await begun;
    open();
    const response = await answer;
    assertEquals(response.headers.get("content-type"), "text/event-stream");
    const events = (await response.text()).split("\n\n").filter((text) => text !== "").map((text) => {
      const [, type, data] = /^event: (.*)\ndata: (.*)$/.exec(text)!;
      const event = JSON.parse(data!);
      assertEquals(event.type, type);
      return event;
    });
    assertEquals(
      events.map(({ type, partial_image_index, varscale: { place, scale } }) => [
        type,
        partial_image_index,
        place,
        scale,
      ]),
      [
        ["image_generation.partial_image", 0, 0, 0],
        ["image_generation.partial_image", 0, 1, 0],
        ["image_generation.partial_image", 1, 0, 2],
        ["image_generation.partial_image", 1, 1, 2],
        ["image_generation.completed", undefined, 0, undefined],
        ["image_generation.completed", undefined, 1, undefined],
      ],
    );
    assertEquals(events.at(-1).b64_json, dot(100, 1, "red").toBase64());
    assertEquals(events.at(-1).size, "8x8");
    // What is refused before there is anything to see has a status.
    assertEquals(await refusal(await ask(server, { prompt: "wrong", stream: true })), [
      400,
      null,
      'Cannot find the class "wrong" in the model "fake"',
    ]);
  },
);

testServer("ImageServer: what cannot be understood is refused in OpenAI's shape", {}, async (server) => {
  const send = (body: string, type = "application/json") =>
    ask(server, body, { headers: { "content-type": type } });
  const cases: readonly [Promise<Response>, number, string | null, string][] = [
    [send("{"), 400, "invalid_json", "The body must be JSON in UTF-8: "],
    [send("[]"), 400, "invalid_json", "The body must be a JSON object"],
    [send("{}", "text/plain"), 415, "unsupported_media_type", "must be application/json"],
    [send(JSON.stringify({ prompt: "x".repeat(2000) })), 413, "request_too_large", "at most 1000 bytes"],
    [send('{"prompt":"red","size":"9x9"}'), 400, null, '"size" must be "auto" or "8x8"'],
    [send('{"prompt":"broken"}'), 500, "generation_failed", "the device is on fire"],
    [send('{"prompt":"red","model":"dall-e-3"}'), 404, "model_not_found", 'The model must be "fake"'],
    [
      fetch(`${server.url}/v1/images/edits`, { method: "POST" }),
      404,
      "not_found",
      "nothing at /v1/images/edits",
    ],
    [fetch(`${server.url}/v1/images/generations`), 405, "method_not_allowed", "The method must be POST"],
    [fetch(`${server.url}/constructor`), 404, "not_found", "nothing at /constructor"],
  ];
  for (const [response, status, code, message] of cases) {
    const [gotStatus, gotCode, gotMessage] = await refusal(await response);
    assertEquals([gotStatus, gotCode], [status, code], message);
    assertStringIncludes(gotMessage, message);
  }
  // A body that says no length ends where it is too long.
  const long = ReadableStream.from(Array.from({ length: 4 }, () => new Uint8Array(400).fill(32)));
  const [status] = await refusal(await ask(server, "", { body: long }));
  assertEquals(status, 413);
});

testServer("ImageServer: tells of the model, its health and its numbers", {}, async (server) => {
  const { object, data: [model] } = await (await fetch(`${server.url}/v1/models`)).json();
  assertEquals([object, model.id, model.object, model.owned_by], ["list", "fake", "model", "varscale"]);
  assertEquals(model.varscale.class_names, ["red", "green", "wrong"]);
  assertEquals(await (await fetch(`${server.url}/v1/models/fake`)).json(), model);
  assertEquals((await refusal(await fetch(`${server.url}/v1/models/other`)))[0], 404);
  const health = await fetch(`${server.url}/healthz`);
  assertEquals(await health.json(), { status: "ok", model: "fake", waiting_images: 0, running_images: 0 });
  assertEquals((await fetch(`${server.url}/healthz`, { method: "HEAD" })).status, 200);
  await (await ask(server, { prompt: "red", n: 3 })).text();
  await (await ask(server, { prompt: "red", n: 30 })).text();
  const metrics = await fetch(`${server.url}/metrics`);
  assertEquals(metrics.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const text = await metrics.text();
  for (
    const line of [
      'varscale_http_requests_total{path="/v1/images/generations",code="200"} 1',
      'varscale_http_requests_total{path="/v1/images/generations",code="400"} 1',
      'varscale_http_requests_total{path="other",code="404"} 1',
      "varscale_images_total 3",
      'varscale_batch_images_bucket{le="2"} 0',
      'varscale_batch_images_bucket{le="4"} 1',
      "varscale_request_seconds_count 1",
      "varscale_queue_seconds_count 1",
      "varscale_queue_images 0",
    ]
  ) assertStringIncludes(text, `\n${line}\n`);
  const [, bytes] = /\nprocess_resident_memory_bytes (\d+)\n/.exec(text)!;
  assert(Number(bytes) > 2 ** 20, bytes);
});

testServer(
  "ImageServer: a full queue is answered with 429 and when to ask again",
  {},
  async (server, painter) => {
    const { begun, open } = gateOf(painter);
    const first = ask(server, { prompt: "red" });
    await begun;
    const waiting = ask(server, { prompt: "red", n: 4 });
    while (!/queue_images 4\n/.test(await (await fetch(`${server.url}/metrics`)).text()));
    const full = await ask(server, { prompt: "red" });
    assert(Number(full.headers.get("retry-after")) >= 1);
    assertEquals((await refusal(full)).slice(0, 2), [429, "queue_full"]);
    open();
    for (const response of [await first, await waiting]) {
      assertEquals(response.status, 200);
      await response.body?.cancel();
    }
  },
);

testServer("ImageServer: a request that takes too long is answered with 504", {
  limits: { ...OPTIONS.limits, milliseconds: 20 },
}, async (server, painter) => {
  gateOf(painter);
  assertEquals((await refusal(await ask(server, { prompt: "red" }))).slice(0, 2), [504, "timeout"]);
});

testServer("ImageServer: whoever hangs up is not painted any more", {}, async (server, painter) => {
  for (const body of [{ prompt: "red" }, { prompt: "red", stream: true, partial_images: 1 }]) {
    const before = painter.aborted;
    const { begun } = gateOf(painter);
    const controller = new AbortController();
    const asked = ask(server, body, { signal: controller.signal }).catch(() => "gone");
    await begun;
    controller.abort();
    assertEquals(await asked, "gone");
    while (painter.aborted === before) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  // In the middle of its events.
  painter.gate = undefined;
  const response = await ask(server, { prompt: "red", stream: true, partial_images: 3, n: 10 });
  const reader = response.body!.getReader();
  await reader.read();
  await reader.cancel();
  assertEquals((await ask(server, { prompt: "green" })).status, 200);
});

testServer(
  "ImageServer: with a key, only pictures and health are for everybody",
  { apiKey: "secret" },
  async (server) => {
    const withKey = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
    for (const path of ["/v1/models", "/metrics"]) {
      for (const more of [{}, withKey("secrets"), withKey(""), withKey("Secret")]) {
        const response = await fetch(server.url + path, more);
        assertEquals(response.headers.get("www-authenticate"), "Bearer");
        assertEquals((await refusal(response)).slice(0, 2), [401, "invalid_api_key"]);
      }
      const response = await fetch(server.url + path, withKey("secret"));
      assertEquals(response.status, 200);
      await response.body?.cancel();
    }
    assertEquals((await refusal(await ask(server, { prompt: "red" })))[0], 401);
    const health = await fetch(`${server.url}/healthz`);
    assertEquals(health.status, 200);
    await health.body?.cancel();
  },
);

testServer("ImageServer: pages of others may not ask, nor under a name of theirs", {}, async (server) => {
  const port = new URL(server.url).port;
  const response = await fetch(`${server.url}/healthz`, { headers: { origin: "https://example.org" } });
  assertEquals(response.headers.get("access-control-allow-origin"), null);
  await response.body?.cancel();
  const asked = await ask(server, "", {
    method: "OPTIONS",
    body: null,
    headers: { origin: "https://example.org", "access-control-request-method": "POST" },
  });
  assertEquals((await refusal(asked))[0], 405);
  // What a page sees whose name was made to point here; fetch itself sets no Host.
  const raw = async (host: string) => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    const request = `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(request));
    return (await new Response(connection.readable).text()).split(" ")[1];
  };
  assertEquals(await raw(`evil.example:${port}`), "421");
  assertEquals(await raw(`localhost:${port}`), "200");
  assertEquals(await raw(`127.0.0.1:${port}`), "200");
});

testServer("ImageServer: pages of an origin that is let in may ask", {
  allowOrigin: ["https://example.org"],
}, async (server) => {
  const headers = {
    origin: "https://example.org",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,x-stainless-lang",
  };
  const asked = await ask(server, "", { method: "OPTIONS", body: null, headers });
  assertEquals(asked.status, 204);
  assertEquals(asked.headers.get("access-control-allow-origin"), "https://example.org");
  assertEquals(asked.headers.get("access-control-allow-headers"), "authorization,x-stainless-lang");
  const other = await ask(server, { prompt: "red" }, {
    headers: { "content-type": "application/json", origin: "https://other.example" },
  });
  assertEquals([other.status, other.headers.get("access-control-allow-origin")], [200, null]);
  await other.body?.cancel();
});

Deno.test("ImageServer: ends when what was asked for is answered, and refuses the rest", async () => {
  const painter = new FakePainter();
  const { open, begun } = gateOf(painter);
  const server = new ImageServer(painter, FACTS, OPTIONS);
  const first = ask(server, { prompt: "red" });
  await begun;
  const second = ask(server, { prompt: "green" });
  while (!/queue_images 1\n/.test(await (await fetch(`${server.url}/metrics`)).text()));
  const stopped = server.stop(60_000);
  const late = await ask(server, { prompt: "red" });
  assertEquals(late.headers.get("retry-after"), "5");
  assertEquals((await refusal(late)).slice(0, 2), [503, "ending"]);
  const health = await fetch(`${server.url}/healthz`);
  assertEquals([health.status, (await health.json()).status], [503, "ending"]);
  open();
  for (const answer of [first, second]) assertEquals((await (await answer).json()).data.length, 1);
  await stopped;

  // Whoever takes too long is told so.
  const slow = new FakePainter();
  const gate = gateOf(slow);
  const ending = new ImageServer(slow, FACTS, OPTIONS);
  const asked = ask(ending, { prompt: "red" });
  await gate.begun;
  await ending.stop(1);
  assertEquals((await refusal(await asked)).slice(0, 2), [503, "ending"]);
  assertEquals(slow.aborted, 1);
});
