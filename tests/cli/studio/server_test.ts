import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { JobEvent, StudioEvent } from "../../../cli/studio/protocol.ts";
import { StudioServer } from "../../../cli/studio/server.ts";
import { FakePainter, SIDES } from "./fake_painter.ts";

const SESSION = "a-tab-of-the-test";

/** Who asks a studio as its page does. */
class Visitor implements AsyncDisposable {
  readonly #server: StudioServer;
  readonly #origin: string;
  readonly #token: string;
  readonly #streams: ReadableStreamDefaultReader<string>[] = [];

  constructor(server: StudioServer) {
    const { origin, searchParams } = new URL(server.link);
    this.#server = server;
    this.#origin = origin;
    this.#token = searchParams.get("token")!;
  }

  /** Asks for a path. */
  ask(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${this.#token}`, ...init.headers as Record<string, string> };
    return fetch(this.#origin + path, { ...init, headers });
  }

  /** Sends JSON and gets the status and JSON. */
  async send(path: string, body: unknown): Promise<{ status: number; content: Record<string, string> }> {
    const headers = { "content-type": "application/json" };
    const response = await this.ask(path, { method: "POST", headers, body: JSON.stringify(body) });
    return { status: response.status, content: await response.json() };
  }

  /** Starts a job and returns its name. */
  async paint(options: Record<string, string> = {}, more: Record<string, unknown> = {}): Promise<string> {
    const form = { labels: ["red torus"], options, ...more };
    const { status, content } = await this.send("/jobs", { session: SESSION, form });
    assertEquals(status, 202, content.message);
    return content.job!;
  }

  /** Events from now on, or from an event on. */
  async listen(last?: number, session: string = SESSION): Promise<Listening> {
    const headers: Record<string, string> = last === undefined ? {} : { "last-event-id": `${last}` };
    const response = await this.ask(`/events?session=${session}`, { headers });
    assertEquals(response.status, 200);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    this.#streams.push(reader);
    return new Listening(reader);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) await stream.cancel();
    await this.#server[Symbol.asyncDispose]();
  }
}

/** What a page hears. */
class Listening {
  /** Number of the last event. */
  last = 0;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor(reader: ReadableStreamDefaultReader<string>) {
    this.#reader = reader;
  }

  /** The next event, or nothing when the connection has ended. */
  async next(): Promise<StudioEvent | undefined> {
    for (;;) {
      const first = /^[^]*?id: (\d+)\ndata: (.*)\n\n/.exec(this.#rest);
      if (first !== null) {
        this.#rest = this.#rest.slice(first[0].length);
        this.last = Number(first[1]);
        return JSON.parse(first[2]!);
      }
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#rest += value;
    }
  }

  /** Events up to the first for which something holds. */
  async until(holds: (event: StudioEvent) => boolean): Promise<StudioEvent[]> {
    const events: StudioEvent[] = [];
    for (let event = await this.next(); event !== undefined; event = await this.next()) {
      events.push(event);
      if (holds(event)) return events;
    }
    throw new Error(`It ended after ${JSON.stringify(events.map(({ type }) => type))}`);
  }

  /** Closes the connection. */
  async close(): Promise<void> {
    await this.#reader.cancel();
  }
}

function isEnd(event: StudioEvent): boolean {
  return event.type === "ended";
}

/** A studio with a model that is there, and somebody who asks it. */
function open(painter: FakePainter = new FakePainter()): Visitor {
  return new Visitor(new StudioServer(() => Promise.resolve(painter)));
}

/** A gate at a scale: jobs wait until it is opened. */
function gateAt(painter: FakePainter, scale: number): { reached: Promise<void>; open(): void } {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  painter.onScale = (at) => {
    if (at !== scale) return;
    reached.resolve();
    return opened.promise;
  };
  return { reached: reached.promise, open: opened.resolve };
}

Deno.test("StudioServer: the link opens the page, and all that the page needs comes from here", async () => {
  const server = new StudioServer(() => Promise.resolve(new FakePainter()));
  await using visitor = new Visitor(server);
  const response = await fetch(server.link);
  const html = await response.text();
  assertEquals(response.status, 200);
  assertMatch(response.headers.get("set-cookie")!, /HttpOnly; SameSite=Strict/);
  assertStringIncludes(response.headers.get("content-security-policy")!, "default-src 'none'");
  assert(!/<script(?![^>]*src=)|<style| on\w+=|https?:/.test(html), html);
  const cookie = response.headers.get("set-cookie")!.split(";", 1)[0]!;
  const { origin } = new URL(server.link);
  const seen = new Set<string>();
  const visit = async (path: string): Promise<void> => {
    if (seen.has(path)) return;
    seen.add(path);
    const file = await fetch(origin + path, { headers: { cookie } });
    const text = await file.text();
    assertEquals(file.status, 200, path);
    assertEquals(file.headers.get("x-content-type-options"), "nosniff");
    assertEquals(file.headers.get("cache-control"), "no-store");
    if (!path.endsWith(".js")) return;
    assertStringIncludes(file.headers.get("content-type")!, "text/javascript");
    for (const [, specifier] of text.matchAll(/^(?:import|export)[^"';]*"(\.[^"]+)";$/gm)) {
      await visit(new URL(specifier!, `http://x${path}`).pathname);
    }
  };
  for (const [, path] of html.matchAll(/(?:src|href)="([^"]+)"/g)) await visit(path!);
  // The library and its templates are reached by the page's own modules.
  assert(seen.has("/packages/preact.js") && seen.has("/packages/htm.js"), [...seen].join());
  await visitor.ask("/").then((response) => response.body?.cancel());
});

Deno.test("StudioServer: nobody is answered without the link, and no other site", async () => {
  const server = new StudioServer(() => Promise.resolve(new FakePainter()));
  await using _visitor = new Visitor(server);
  const { origin, search } = new URL(server.link);
  const status = async (path: string, init: RequestInit = {}): Promise<number> => {
    const response = await fetch(origin + path, init);
    assertEquals(response.headers.get("access-control-allow-origin"), null);
    assertStringIncludes(response.headers.get("content-security-policy")!, "default-src 'none'");
    await response.body?.cancel();
    return response.status;
  };
  const authorization = `Bearer ${new URLSearchParams(search).get("token")}`;
  for (const path of ["/", "/app.js", "/events?session=abcdefgh", "/jobs/1", "/pictures/1.png", "/nothing"]) {
    assertEquals(await status(path), 403, path);
    assertEquals(await status(path, { headers: { authorization, origin: "http://example.com" } }), 403, path);
  }
  assertEquals(await status("/jobs", { method: "POST", body: "{}" }), 403);
  assertEquals(await status("/jobs", { method: "OPTIONS", headers: { origin: "http://example.com" } }), 403);
  assertEquals(await status("/?token=0"), 403);
});

Deno.test("StudioServer: a job is told from its beginning to its end, with pictures and a record", async () => {
  const painter = new FakePainter();
  await using visitor = open(painter);
  const listening = await visitor.listen();
  await listening.until(({ type }) => type === "hello");
  const job = await visitor.paint({ seed: "7", method: "var-scaling" });
  const events = (await listening.until(isEnd)).filter((event): event is JobEvent => "job" in event);
  const types = events.map(({ type }) => type).filter((type) => type !== "waiting");
  assertEquals(types, [
    ...["queued", "started", "begun", "batch", "scale", "preview", "candidates"],
    ...SIDES.slice(1).flatMap(() => ["scale", "preview"]),
    ...["image", "finished", "ended"],
  ]);
  for (const event of events) {
    if (event.type === "candidates") {
      assertEquals([event.kept, event.chosen, event.points.length], [[0, 4], 4, 12]);
    }
    if (event.type === "preview") {
      const response = await visitor.ask(event.pictures[0]!.href);
      assertEquals(response.headers.get("content-type"), "image/png");
      assertEquals([...(await response.bytes()).subarray(1, 4)], [0x50, 0x4e, 0x47]);
    }
    if (event.type === "finished") {
      const record = await (await visitor.ask(event.record)).json();
      assertEquals([record.format, record.request.seed], ["varscale-run", 7]);
    }
  }
  assertEquals(painter.jobs[0]!.candidates, true);
  assertEquals(await (await visitor.ask(`/jobs/${job}`)).json(), events);
  const [{ entry }] = await listening.until(({ type }) => type === "history") as [
    Extract<StudioEvent, { type: "history" }>,
  ];
  assertEquals(entry.files.map(({ name }) => name), [`000_red-torus_job-${job}.png`, `run_job-${job}.json`]);
});

Deno.test("StudioServer: beside plain, both are made of the same form, and lanes are watched where there are", async () => {
  const painter = new FakePainter();
  await using visitor = open(painter);
  const listening = await visitor.listen();
  await visitor.paint({ method: "best-of-n", seed: "3" }, { compare: true });
  const events = await listening.until(isEnd);
  assertEquals(painter.jobs.map(({ options, tree }) => [options.method, options.seed, tree]), [
    [[], 3, false],
    [["best-of-n"], 3, true],
  ]);
  const trees = events.filter((event) => event.type === "tree");
  assertEquals(trees.map(({ part, lanes }) => [part, lanes.length]), [[1, 2]]);
  assertEquals(trees[0]!.lanes[1]!.dropped, { hook: "best-of-n", scale: 2 });
  assertEquals(events.filter((event) => event.type === "image").map(({ part }) => part), [0, 1]);
});

Deno.test("StudioServer: a repetition asks for the same and tells that it is", async () => {
  const painter = new FakePainter();
  await using visitor = open(painter);
  const listening = await visitor.listen();
  const job = await visitor.paint({ seed: "5", count: "2" });
  await listening.until(isEnd);
  const { status, content } = await visitor.send("/jobs", { session: SESSION, repeats: job });
  assertEquals(status, 202);
  const events = await listening.until(isEnd);
  assertEquals(events.at(-1), {
    ...{ type: "ended", state: "done", job: content.job, agreement: { images: 2, same: 2 } },
  });
  assertEquals(painter.jobs[1], painter.jobs[0]);
  assertEquals((await visitor.send("/jobs", { session: SESSION, repeats: "99" })).status, 400);
});

Deno.test("StudioServer: a job that runs and one that waits are aborted at once, and the next goes on", async () => {
  const painter = new FakePainter();
  const gate = gateAt(painter, 1);
  await using visitor = open(painter);
  const listening = await visitor.listen();
  const running = await visitor.paint({ seed: "1" });
  await gate.reached;
  const waiting = await visitor.paint({ seed: "2" });
  const last = await visitor.paint({ seed: "3" });
  await listening.until((event) => event.type === "waiting" && event.job === last && event.ahead === 2);
  assertEquals((await visitor.send(`/jobs/${waiting}/abort`, {})).status, 200);
  const counted = await listening.until((event) => event.type === "waiting" && event.job === last);
  assert(
    counted.some((event) => event.type === "ended" && event.job === waiting && event.state === "aborted"),
  );
  painter.onScale = () => {};
  assertEquals((await visitor.send(`/jobs/${running}/abort`, {})).status, 200);
  const events = await listening.until((event) => event.type === "ended" && event.job === last);
  assert(
    events.some((event) => event.type === "ended" && event.job === running && event.state === "aborted"),
  );
  // Nothing is heard of it afterwards, and the one that waited was never begun.
  const heard = (await (await visitor.ask(`/jobs/${running}`)).json()).map(({ type }: JobEvent) => type);
  assertEquals(heard.at(-1), "ended");
  assertEquals([painter.aborted, painter.jobs.map(({ options }) => options.seed)], [1, [1, 3]]);
  assertEquals((await visitor.send(`/jobs/${running}/abort`, {})).status, 404);
});

Deno.test("StudioServer: two tabs have jobs of their own, one queue and one history", async () => {
  const painter = new FakePainter();
  const gate = gateAt(painter, 0);
  await using visitor = open(painter);
  const [one, other] = [await visitor.listen(), await visitor.listen(undefined, "another-tab")];
  await other.until(({ type }) => type === "hello");
  const first = await visitor.paint();
  await gate.reached;
  const form = { labels: ["blue cone"], options: {} };
  const { content } = await visitor.send("/jobs", { session: "another-tab", form });
  const waits = await other.until(({ type }) => type === "waiting");
  assertEquals(waits.at(-1), { type: "waiting", job: content.job!, ahead: 1 });
  painter.onScale = () => {};
  gate.open();
  const events = await other.until(isEnd);
  assertEquals(events.filter((event) => "job" in event && event.job === first), []);
  assert(events.some((event) => event.type === "history" && event.entry.job === first));
  const own = await one.until((event) => event.type === "history" && event.entry.job === content.job);
  assertEquals(own.filter((event) => "job" in event && event.job === content.job), []);
});

Deno.test("StudioServer: a tab that comes back goes on after the last event that it has heard", async () => {
  const painter = new FakePainter();
  const gate = gateAt(painter, 2);
  await using visitor = open(painter);
  const before = await visitor.listen();
  await visitor.paint();
  await gate.reached;
  const heard = await before.until((event) => event.type === "preview" && event.scale === 1);
  await before.close();
  gate.open();
  const again = await visitor.listen(before.last);
  const missed = await again.until(isEnd);
  const types = [...heard, ...missed].map(({ type }) => type).filter((type) => type !== "hello");
  assertEquals(types.filter((type) => type === "scale").length, SIDES.length);
  assertEquals(missed[0]!.type, "scale");
  // Who comes without a number is told all from the beginning.
  const anew = await visitor.listen();
  const [hello] = await anew.until(({ type }) => type === "hello") as [
    Extract<StudioEvent, { type: "hello" }>,
  ];
  assertEquals(hello.events.at(-1)!.type, "ended");
  assertEquals(hello.history.length, 1);
});

Deno.test("StudioServer: the page is there before the model, and jobs wait for it", async () => {
  const { promise, resolve } = Promise.withResolvers<FakePainter>();
  let notice = (_line: string): void => {};
  await using visitor = new Visitor(
    new StudioServer(({ onNotice }) => {
      notice = onNotice;
      return promise;
    }),
  );
  const listening = await visitor.listen();
  const [hello] = await listening.until(({ type }) => type === "hello");
  assertEquals((hello as Extract<StudioEvent, { type: "hello" }>).model, { state: "loading", notices: [] });
  await visitor.paint();
  notice("loading weights");
  const told = await listening.until(({ type }) => type === "model");
  assertEquals(told.at(-1), { type: "model", model: { state: "loading", notices: ["loading weights"] } });
  resolve(new FakePainter());
  const events = await listening.until(isEnd);
  const ready = events.find((event) => event.type === "model")!;
  assertEquals(ready.model.state === "ready" && ready.model.facts.name, "fake");
  assertEquals(events.at(-1)!.type === "ended" && (events.at(-1) as { state: string }).state, "done");
});

Deno.test("StudioServer: a model that fails to load says why, and is tried again", async () => {
  let tries = 0;
  await using visitor = new Visitor(
    new StudioServer(() => {
      return ++tries === 1
        ? Promise.reject(new Error("It does not fit"))
        : Promise.resolve(new FakePainter());
    }),
  );
  const listening = await visitor.listen();
  const job = await visitor.paint();
  const events = await listening.until(isEnd);
  assertEquals(events.at(-1), { type: "ended", job, state: "failed", message: "It does not fit" });
  const { message } = await (await visitor.ask("/nothing")).json();
  assertEquals(message, "There is nothing here, or not any longer");
  assertEquals((await visitor.send("/model/retry", {})).status, 200);
  await listening.until((event) => event.type === "model" && event.model.state === "ready");
  await visitor.paint();
  assertEquals((await listening.until(isEnd)).at(-1)!.type, "ended");
  assertEquals(tries, 2);
});

Deno.test("StudioServer: a job that fails says why, and the next one is done", async () => {
  await using visitor = open();
  const listening = await visitor.listen();
  const wrong = await visitor.paint({}, { labels: ["a wrong one"] });
  const right = await visitor.paint();
  const events = await listening.until((event) => event.type === "ended" && event.job === right);
  const ended = events.filter((event) => event.type === "ended");
  assertEquals(ended.map(({ job, state, message }) => [job, state, message]), [
    [wrong, "failed", "The class must be one of the model"],
    [right, "done", undefined],
  ]);
});

Deno.test("StudioServer: an edit gets the picture and the mask that were brought", async () => {
  const painter = new FakePainter();
  await using visitor = open(painter);
  const listening = await visitor.listen();
  await visitor.paint();
  const events = await listening.until(isEnd);
  const { picture } = events.find((event) => event.type === "image")!;
  const png = await (await visitor.ask(picture.href)).bytes();
  const brought = await visitor.ask("/pictures", { method: "POST", body: png });
  assertEquals(brought.status, 201);
  const { href } = await brought.json();
  const edit = { picture: picture.href, mask: href, mode: "outpaint" };
  await visitor.paint({}, { labels: ["null"], edit });
  await listening.until(isEnd);
  const [, job] = painter.jobs;
  assertEquals(job!.labels, [null]);
  assertEquals(job!.edit, { image: png, mask: png, mode: "outpaint" });
  const gone = { labels: [], options: {}, edit: { ...edit, mask: "/pictures/99.png" } };
  assertEquals(await visitor.send("/jobs", { session: SESSION, form: gone }), {
    status: 400,
    content: { message: "What is to be edited is not kept any longer: choose it again" },
  });
});

Deno.test("StudioServer: bodies have bounds, types and forms", async () => {
  await using visitor = open();
  const status = async (path: string, init: RequestInit): Promise<number> => {
    const response = await visitor.ask(path, { method: "POST", ...init });
    assertEquals(typeof (await response.json()).message, "string");
    return response.status;
  };
  const json = { "content-type": "application/json" };
  assertEquals(await status("/jobs", { headers: json, body: `"${"a".repeat(2 ** 16)}"` }), 413);
  // Without a length in advance, too.
  const long = ReadableStream.from(Array.from({ length: 8 }, () => new Uint8Array(2 ** 14)));
  assertEquals(await status("/jobs", { headers: json, body: long }), 413);
  assertEquals(await status("/jobs", { headers: json, body: "{" }), 400);
  assertEquals(await status("/jobs", { headers: json, body: "null" }), 400);
  assertEquals(await status("/jobs", { headers: json, body: "{}" }), 400);
  assertEquals(await status("/jobs", { headers: json, body: `{"session":"../../etc"}` }), 400);
  assertEquals(await status("/jobs", { headers: { "content-type": "text/plain" }, body: "{}" }), 415);
  assertEquals(await status("/pictures", { body: new Uint8Array(64) }), 415);
  assertEquals(await status("/pictures", { body: new Uint8Array() }), 415);
  assertEquals(await status("/recipe", { headers: json, body: "{}" }), 400);
  assertEquals(await status("/jobs", { method: "PUT" }), 405);
  assertEquals(await status("/events", { method: "GET" }), 400);
  assertEquals(await status("/pictures/../../etc/passwd", { method: "GET" }), 404);
});

Deno.test("StudioServer: a run.json becomes a form", async () => {
  await using visitor = open();
  const listening = await visitor.listen();
  await visitor.paint({ seed: "9", method: "var-scaling", samples: "20" });
  const events = await listening.until(isEnd);
  const { record } = events.find((event) => event.type === "finished")!;
  const text = await (await visitor.ask(record)).text();
  const headers = { "content-type": "application/json" };
  const { form } = await (await visitor.ask("/recipe", { method: "POST", headers, body: text })).json();
  assertEquals([form.labels, form.options.seed, form.options.samples], [["red torus"], "9", "20"]);
  const { picture } = events.find((event) => event.type === "image")!;
  const body = await (await visitor.ask(picture.href)).bytes();
  const without = await visitor.ask("/recipe", {
    method: "POST",
    headers: { "content-type": "image/png" },
    body,
  });
  assertEquals([without.status, await without.json()], [400, { message: "The picture has no recipe" }]);
});

Deno.test("StudioServer: a job that has ended is forgotten with its pictures, and one that runs is not", async () => {
  const painter = new FakePainter();
  await using visitor = open(painter);
  const listening = await visitor.listen();
  const job = await visitor.paint();
  const events = await listening.until(isEnd);
  const { picture } = events.find((event) => event.type === "image")!;
  const status = async (path: string, method: string = "GET"): Promise<number> => {
    const response = await visitor.ask(path, { method });
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await status(picture.href), 200);
  assertEquals(await status(`/jobs/${job}`, "DELETE"), 200);
  assertEquals(await listening.until(({ type }) => type === "forgotten").then((all) => all.at(-1)), {
    ...{ type: "forgotten", job },
  });
  for (const path of [picture.href, `/jobs/${job}`, `/jobs/${job}/run-0.json`]) {
    assertEquals(await status(path), 404, path);
  }
  const gate = gateAt(painter, 0);
  const running = await visitor.paint();
  await gate.reached;
  assertEquals(await status(`/jobs/${running}`, "DELETE"), 404);
  assertEquals(await status(`/jobs/${running}/run-0.json`), 404);
});

Deno.test("StudioServer: when it ends, pages are told, jobs aborted and the model closed", async () => {
  const painter = new FakePainter();
  const gate = gateAt(painter, 1);
  const server = new StudioServer(() => Promise.resolve(painter));
  const visitor = new Visitor(server);
  const listening = await visitor.listen();
  await visitor.paint();
  await gate.reached;
  await server[Symbol.asyncDispose]();
  const events = await listening.until(({ type }) => type === "bye");
  assert(events.some((event) => event.type === "ended" && event.state === "aborted"));
  assertEquals(await listening.next(), undefined);
  assertEquals([painter.closed, painter.aborted], [true, 1]);
});
