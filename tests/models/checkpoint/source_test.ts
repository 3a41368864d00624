import { assertEquals, assertRejects } from "@std/assert";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { isThere, openSource, placeBeside } from "../../../models/checkpoint/source.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { expectedFiles, fixture } from "./fixtures.ts";
import { pickle, pth } from "./forge.ts";

const content = Uint8Array.from({ length: 300_000 }, (_, i) => i * 7 + (i >> 8));

interface Server extends AsyncDisposable {
  url: URL;
  /** The ranges asked for. */
  ranges: string[];
}

/** A web server on this machine for one file. */
function serve(answer: (range: [number, number], request: Request) => Response): Server {
  const ranges: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const range = request.headers.get("range") ?? "";
    ranges.push(range);
    const [begin = 0, last = 0] = range.replace("bytes=", "").split("-").map(Number);
    return answer([begin, last + 1], request);
  });
  return {
    url: new URL(`http://127.0.0.1:${server.addr.port}/model.pth?token=secret`),
    ranges,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function part(bytes: Uint8Array<ArrayBuffer>, [begin, end]: [number, number], headers = {}): Response {
  const body = bytes.slice(begin, end);
  const range = `bytes ${begin}-${begin + body.length - 1}/${bytes.length}`;
  return new Response(body, { status: 206, headers: { "content-range": range, ...headers } });
}

Deno.test("openSource: path, address and memory give the same bytes", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, content);
    await using server = serve((range) => part(content, range));
    await using whole = serve(() => new Response(content));
    const places = [path, new URL(`file://${path}`), `file://${path}`, content, server.url, whole.url.href];
    for (const place of places) {
      using source = await openSource(place);
      assertEquals(source.size, content.length);
      for (
        const [offset, length] of [[0, 10], [100_001, 70_001], [299_990, 10], [5, 0], [300_000, 0], [
          0,
          300_000,
        ]]
      ) {
        assertEquals(await source.read(offset!, length!), content.slice(offset!, offset! + length!));
      }
      const reads = Array.from({ length: 20 }, (_, i) => source.read(i * 1000, 3));
      assertEquals(
        await Promise.all(reads),
        Array.from(reads, (_, i) => content.slice(i * 1000, i * 1000 + 3)),
      );
      for (const [offset, length] of [[299_991, 10], [-1, 2], [0, 2 ** 60], [0.5, 1], [0, NaN], [0, -1]]) {
        await assertRejects(() => source.read(offset!, length!), ModelFileError, "past the end");
      }
    }
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("openSource: what was read belongs to the reader", async () => {
  const bytes = new Uint8Array([1, 2, 3]);
  using source = await openSource(bytes);
  (await source.read(0, 3)).fill(9);
  assertEquals(bytes, new Uint8Array([1, 2, 3]));
});

Deno.test("openCheckpoint: a checkpoint on a web server is read by range", async () => {
  const { dict, storage, tensor, text, whole } = pickle;
  const count = 1 << 18;
  const views = ["0", "1"].map((key) => [
    text(key),
    tensor(storage(key, "FloatStorage", count), 0, [count], [1]),
  ]);
  const bytes = pth(whole(dict(...views.flat())), {
    0: new Uint8Array(new Float32Array(count).fill(5).buffer),
    1: new Uint8Array(4 * count),
  });
  await using server = serve((range) => part(bytes, range));
  using checkpoint = await openCheckpoint(server.url);
  assertEquals((await checkpoint.readFloat32("0"))[count - 1], 5);
  const sizes = server.ranges.map((range) => range.replace("bytes=", "").split("-").map(Number)).map((
    [a, b],
  ) => b! - a!);
  assertEquals(sizes.every((size) => size <= 4 * count), true);
  assertEquals(sizes.filter((size) => size >= 1 << 17).length, 1);
});

Deno.test("openCheckpoint: a small checkpoint on a web server needs few requests", async () => {
  const bytes = await Deno.readFile(fixture("views.pth"));
  await using server = serve((range) => part(bytes, range));
  using checkpoint = await openCheckpoint(server.url.href);
  for (const name of checkpoint.tensors.keys()) {
    assertEquals((await checkpoint.read(name)).toHex(), expectedFiles["views.pth"]!.tensors[name]!.bytes);
  }
  assertEquals(server.ranges, ["bytes=0-65535"]);
});

Deno.test("openSource: a file that changes on the server is noticed", async () => {
  let version = 1;
  await using server = serve((range, request) => {
    const wanted = request.headers.get("if-range");
    const etag = `"${version}"`;
    return wanted === null || wanted === etag
      ? part(content, range, { etag })
      : new Response(content, { headers: { etag } });
  });
  using source = await openSource(server.url);
  assertEquals(await source.read(200_000, 1), content.slice(200_000, 200_001));
  version = 2;
  await assertRejects(() => source.read(100_000, 1), ModelFileError, "found status 200 with no range");
});

const answers: readonly [what: string, answer: (range: [number, number]) => Response, error: string][] = [
  ["an error", () => new Response("Not here", { status: 404 }), "found status 404"],
  [
    "no size",
    () => new Response("abc", { status: 206, headers: { "content-range": "bytes 0-2/*" } }),
    "found status 206",
  ],
  [
    "too little",
    () => new Response("abc", { status: 206, headers: { "content-range": "bytes 0-9/10" } }),
    "found 3 bytes",
  ],
];

for (const [what, answer, text] of answers) {
  Deno.test(`openSource: a server that answers with ${what} is reported without the query`, async () => {
    await using server = serve(answer);
    const error = await assertRejects(() => openSource(server.url), ModelFileError, text);
    assertEquals(error.message.includes("secret"), false, error.message);
  });
}

Deno.test("openCheckpoint: a file that cannot be opened is reported with its cause", async () => {
  const missing = await assertRejects(() => openCheckpoint("no/such.pth"), ModelFileError, "no/such.pth");
  assertEquals(missing.cause instanceof Deno.errors.NotFound, true);
  await assertRejects(() => openCheckpoint(new URL(".", import.meta.url)), ModelFileError);
  await assertRejects(
    () => openCheckpoint(new URL("ftp://host/x.pth")),
    TypeError,
    'current value is "ftp:"',
  );
});

Deno.test("openSource: a file that becomes shorter is noticed", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, content);
    using source = await openSource(path);
    await Deno.truncate(path, 100);
    await assertRejects(() => source.read(50, 100), ModelFileError, "has become shorter");
    assertEquals(await source.read(50, 50), content.slice(50, 100));
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("openSource: a body without an end ends where the answer should, or at 64 MiB", async () => {
  const zeros = (): ReadableStream<Uint8Array<ArrayBuffer>> =>
    new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1 << 16)) });
  const ranged = { status: 206, headers: { "content-range": "bytes 0-65535/100000" } };
  const cases: [init: ResponseInit, bytes: number | undefined, expected: string, found: string][] = [
    [{}, undefined, "a server that sends parts of it, or says how large it is", `more than ${2 ** 26} bytes`],
    [{}, 1000, "1000 bytes", "more"],
    [ranged, undefined, "65536 bytes", "more"],
  ];
  for (const [init, bytes, expected, found] of cases) {
    await using server = serve(() => new Response(zeros(), init));
    const options = bytes === undefined ? {} : { bytes };
    const error = await assertRejects(() => openSource(server.url, options), ModelFileError);
    assertEquals([error.expected, error.found], [expected, found]);
  }
});

Deno.test("openSource: a server that falls silent counts as gone", async () => {
  const content = new Uint8Array(200_000);
  const silent = (): ReadableStream<Uint8Array> =>
    new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(10)) });
  await using server = serve((range) => {
    const { status, headers } = part(content, range);
    return range[0] === 0 ? part(content, range) : new Response(silent(), { status, headers });
  });
  using source = await openSource(server.url, { timeout: 100 });
  const error = await assertRejects(() => source.read(100_000, 10), ModelFileError);
  assertEquals(error.found, "The server was silent for 0.1 s");
});

Deno.test("openSource: a closed file can be closed again, but not read", async () => {
  const source = await openSource(fixture("views.pth"));
  source[Symbol.dispose]();
  source[Symbol.dispose]();
  await assertRejects(() => source.read(0, 1), ModelFileError, "Cannot read the file");
});

Deno.test("openSource: an abort ends opening and reading with its own reason", async () => {
  const reason = new Error("Enough");
  await assertRejects(
    () => openCheckpoint(fixture("views.pth"), { signal: AbortSignal.abort(reason) }),
    Error,
    "Enough",
  );
  await using server = serve((range) => part(content, range));
  for (const place of [fixture("deflated.pth"), await Deno.readFile(fixture("deflated.pth"))]) {
    const controller = new AbortController();
    using checkpoint = await openCheckpoint(place, { signal: controller.signal });
    controller.abort(reason);
    assertEquals(await checkpoint.read("grid").catch((error) => error), reason);
  }
  const controller = new AbortController();
  using source = await openSource(server.url, { signal: controller.signal });
  controller.abort(reason);
  assertEquals(await source.read(200_000, 5).catch((error) => error), reason);
});

Deno.test("openSource: an abort ends a read that waits for the server", async () => {
  const controller = new AbortController();
  const reason = new Error("Enough");
  await using server = serve((range) => {
    if (range[0] === 0) return part(content, range);
    setTimeout(() => controller.abort(reason));
    const headers = { "content-range": `bytes ${range[0]}-${range[1] - 1}/${content.length}` };
    return new Response(new ReadableStream(), { status: 206, headers });
  });
  using source = await openSource(server.url, { signal: controller.signal });
  assertEquals(await source.read(200_000, 5).catch((error) => error), reason);
});

Deno.test("placeBeside: a file of the same folder, by path or address", () => {
  assertEquals(placeBeside("a/b.pth", "c d.json"), "a/c d.json");
  assertEquals(placeBeside("b.pth", "c.json"), "c.json");
  assertEquals(String(placeBeside("file:///a/b.pth", "c d#.json")), "file:///a/c%20d%23.json");
  assertEquals(String(placeBeside(new URL("http://x/a/b.pth?signed#b"), "c.json")), "http://x/a/c.json");
});

Deno.test("isThere: what is there, what is not, and what nobody can tell", async () => {
  let status = 206;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
    return new Response("x", { status });
  });
  const address = `http://127.0.0.1:${server.addr.port}/a`;
  for (const [answer, there] of Object.entries({ 200: true, 206: true, 404: false, 403: false, 416: true })) {
    status = Number(answer);
    assertEquals(await isThere(address), there, answer);
  }
  status = 503;
  assertEquals(await isThere(new URL(address)), true);
  await server.shutdown();
  await assertRejects(
    () => isThere(`${address}?secret`),
    ModelFileError,
    `for a model file: ${address} (found`,
  );
  assertEquals(await isThere(fixture("views.pth")), true);
  assertEquals(await isThere("/nowhere/views.pth"), false);
  const gone = new AbortController();
  gone.abort(new Error("enough"));
  await assertRejects(() => isThere(address, { signal: gone.signal }), Error, "enough");
});

Deno.test("openSource: a file may be limited in size, wherever it lies", async () => {
  const bytes = new Uint8Array(10);
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response(bytes),
  );
  for (const place of [bytes, fixture("views.pth"), `http://127.0.0.1:${server.addr.port}/`]) {
    const error = await assertRejects(() => openSource(place, { most: 9 }), ModelFileError);
    assertEquals(error.expected, "at most 9 bytes");
    using source = await openSource(place, { most: 2 ** 20 });
    assertEquals(source.size >= 10, true);
  }
});

Deno.test("openSource: a disk that is slow keeps nobody waiting but once", async () => {
  const path = await Deno.makeTempFile();
  const { readSync } = Deno.FsFile.prototype;
  let reads = 0;
  Deno.FsFile.prototype.readSync = function (bytes) {
    reads++;
    for (const end = performance.now() + 30; performance.now() < end;);
    return readSync.call(this, bytes);
  };
  try {
    await Deno.writeFile(path, Uint8Array.from({ length: 64 }, (_, i) => i));
    using source = await openSource(path);
    const found = [];
    for (let i = 0; i < 4; i++) found.push(...await source.read(16 * i, 16));
    assertEquals(found, Array.from({ length: 64 }, (_, i) => i));
    assertEquals(reads, 1);
  } finally {
    Deno.FsFile.prototype.readSync = readSync;
    await Deno.remove(path);
  }
});

Deno.test("openSource: all of a small file is read at once, as long as its disk is quick", async () => {
  const path = await Deno.makeTempFile();
  const { readSync } = Deno.FsFile.prototype;
  const content = Uint8Array.from({ length: 3 * 2 ** 20 + 5 }, (_, i) => i % 251);
  try {
    await Deno.writeFile(path, content);
    for (const [milliseconds, wanted] of [[0, [2 ** 20, 2 ** 20, 2 ** 20, 5]], [30, [2 ** 20]]] as const) {
      const counts: (number | null)[] = [];
      Deno.FsFile.prototype.readSync = function (bytes) {
        for (const end = performance.now() + milliseconds; performance.now() < end;);
        const count = readSync.call(this, bytes);
        counts.push(count);
        return count;
      };
      using source = await openSource(path);
      assertEquals(await source.read(0, content.length), content);
      assertEquals(counts, wanted);
    }
  } finally {
    Deno.FsFile.prototype.readSync = readSync;
    await Deno.remove(path);
  }
});
