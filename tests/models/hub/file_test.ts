/**
 * Files got from a hub that has every fault a real one may have: whole, or not at all.
 */

import { assert, assertEquals, assertFalse, assertRejects, assertStringIncludes } from "@std/assert";
import {
  type DownloadProgress,
  HubError,
  type HubFailure,
  hubFile,
  hubFileNames,
  type HubOptions,
  type HubPlace,
} from "../../../models/hub/mod.ts";
import { content, FakeHub, type Fault, gitName, sha256 } from "./fake_hub.ts";

const PLACE: HubPlace = { repository: "owner/name", revision: "main" };
const BIG = content(10_000);
const SMALL = new TextEncoder().encode("# A model\n");
const BLOB = sha256(BIG);

function hubWithFiles(): FakeHub {
  const hub = new FakeHub();
  hub.files.set("var_d16.pth", BIG);
  hub.files.set("README.md", SMALL);
  return hub;
}

function folder(hub: FakeHub): string {
  return `${hub.cache}/models--owner--name`;
}

/** All files of a cache but the locks, and links with what they lead to. */
function layout(hub: FakeHub): Record<string, string | number> {
  const found: Record<string, string | number> = {};
  const walk = (path: string): void => {
    for (const { name, isDirectory, isSymlink } of Deno.readDirSync(`${folder(hub)}${path}`)) {
      const place = `${path}/${name}`;
      if (isDirectory) walk(place);
      else {
        const full = folder(hub) + place;
        found[place.slice(1)] = isSymlink ? Deno.readLinkSync(full) : Deno.statSync(full).size;
      }
    }
  };
  walk("");
  return found;
}

/** What must be in the cache of a file that is whole, and nothing else. */
function wholeLayout(hub: FakeHub): Record<string, string | number> {
  return {
    [`blobs/${BLOB}`]: BIG.length,
    [`snapshots/${hub.commit}/var_d16.pth`]: `../../blobs/${BLOB}`,
    "refs/main": 40,
  };
}

async function fails(
  hub: FakeHub,
  reason: HubFailure,
  message: string,
  options: HubOptions & { place?: HubPlace; name?: string } = {},
): Promise<HubError> {
  const { place = PLACE, name = "var_d16.pth", ...rest } = options;
  const error = await assertRejects(() => hubFile(place, name, hub.options(rest)), HubError, message);
  assertEquals(error.reason, reason);
  assertFalse(/signature|secret/.test(error.message), error.message);
  return error;
}

Deno.test("hubFile: files come to lie as Python's library puts them, and are not fetched again", async () => {
  await using hub = hubWithFiles();
  hub.files.set("nested/a b+ü.bin", content(500));
  const file = await hubFile(PLACE, "var_d16.pth", hub.options());
  const { path, ...facts } = file;
  assertEquals(facts, { bytes: BIG.length, commit: hub.commit, sha256: BLOB });
  assertEquals(path, `${folder(hub)}/snapshots/${hub.commit}/var_d16.pth`);
  assertEquals(await Deno.readFile(path), BIG);
  assertEquals(layout(hub), wholeLayout(hub));
  assertEquals(await Deno.readTextFile(`${folder(hub)}/refs/main`), hub.commit);

  const readme = await hubFile(PLACE, "README.md", hub.options());
  assertEquals([await Deno.readFile(readme.path), readme.sha256], [SMALL, undefined]);
  const nested = await hubFile(PLACE, "nested/a b+ü.bin", hub.options());
  assertEquals(await Deno.readFile(nested.path), content(500));
  assertEquals(layout(hub), {
    ...wholeLayout(hub),
    [`blobs/${gitName(SMALL)}`]: SMALL.length,
    [`snapshots/${hub.commit}/README.md`]: `../../blobs/${gitName(SMALL)}`,
    [`blobs/${sha256(content(500))}`]: 500,
    [`snapshots/${hub.commit}/nested/a b+ü.bin`]: `../../../blobs/${sha256(content(500))}`,
  });

  const before = hub.seen.length;
  const { ino } = await Deno.stat(`${folder(hub)}/refs/main`);
  assertEquals(await hubFile(PLACE, "var_d16.pth", hub.options()), file);
  assertEquals((await Deno.stat(`${folder(hub)}/refs/main`)).ino, ino, "Nothing is written without need");
  assertEquals(hub.seen.slice(before).map(({ method }) => method), ["HEAD"]);
  // A commit never changes, so nobody is asked.
  assertEquals(await hubFile({ ...PLACE, revision: hub.commit }, "var_d16.pth", hub.options()), file);
  assertEquals(hub.seen.length, before + 1);
});

Deno.test("hubFile: a new commit shares what it has not changed", async () => {
  await using hub = hubWithFiles();
  const old = await hubFile(PLACE, "var_d16.pth", hub.options());
  hub.commit = "beef".padEnd(40, "0");
  const file = await hubFile(PLACE, "var_d16.pth", hub.options());
  assertEquals([file.commit, file.sha256, hub.transfers.length], [hub.commit, old.sha256, 1]);
  assertEquals(await Deno.readFile(file.path), BIG);
  assertEquals(await Deno.readTextFile(`${folder(hub)}/refs/main`), hub.commit);
  hub.files.set("var_d16.pth", content(9000, 2));
  hub.commit = "feed".padEnd(40, "0");
  assertEquals(
    await Deno.readFile((await hubFile(PLACE, "var_d16.pth", hub.options())).path),
    content(9000, 2),
  );
  assertEquals(await Deno.readFile(old.path), BIG);
  // And back to what is on the disk already.
  hub.commit = old.commit;
  hub.files.set("var_d16.pth", BIG);
  assertEquals(await hubFile(PLACE, "var_d16.pth", hub.options()), old);
  assertEquals(await Deno.readTextFile(`${folder(hub)}/refs/main`), old.commit);
});

Deno.test("hubFile: each fault of a transfer is overcome, with no byte fetched twice that was good", async () => {
  const rest = (from: number): string => `bytes=${from}-`;
  const cases: readonly [string, readonly (Fault | undefined)[], readonly (string | null)[]][] = [
    ["cut off", [{ cutAfter: 4000 }], [null, rest(4000)]],
    ["cut off again and again", Array(9).fill({ cutAfter: 1000 }), [
      null,
      ...range(9, (i) => rest(1000 * i + 1000)),
    ]],
    ["cut off before the first byte", [{ cutAfter: 0 }], [null, null]],
    ["silent", [{ silentAfter: 3000 }], [null, rest(3000)]],
    ["silent from the start", [{ silentAfter: 0 }], [null, null]],
    ["short", [{ endAfter: 5000 }], [null, rest(5000)]],
    ["long", [{ append: 1 }], [null, null]],
    ["no ranges", [{ cutAfter: 4000 }, { whole: true }], [null, rest(4000)]],
    ["other range", [{ cutAfter: 4000 }, { shift: -1 }], [null, rest(4000), null]],
    ["range further on", [{ cutAfter: 4000 }, { shift: 1 }], [null, rest(4000), null]],
    ["no such range", [{ cutAfter: 4000 }, { status: 416 }], [null, rest(4000), null]],
    ["corrupted", [{ flip: true }], [null, null]],
    ["corrupted on the way", [{ cutAfter: 4000 }, { flip: true }], [null, rest(4000), null]],
    ["busy", [{ status: 429, headers: { "retry-after": "0" } }, { status: 503 }], [null, null, null]],
    ["signature out of date", [{ cutAfter: 1000 }, { status: 403 }], [null, rest(1000), rest(1000)]],
  ];
  for (const [name, faults, transfers] of cases) {
    await using hub = hubWithFiles();
    hub.cdnFaults.push(...faults);
    const timeout = name.startsWith("silent") ? 100 : 5000;
    const progress: DownloadProgress[] = [];
    const { path } = await hubFile(
      PLACE,
      "var_d16.pth",
      hub.options({ timeout, onProgress: (p) => progress.push(p) }),
    );
    assertEquals(await Deno.readFile(path), BIG, name);
    assertEquals(layout(hub), wholeLayout(hub), name);
    assertEquals(hub.transfers, transfers, name);
    assertEquals(progress[0], { file: "var_d16.pth", bytes: 0, total: BIG.length });
    assertEquals(progress.at(-1)!.bytes, BIG.length);
  }
});

function range<Value>(count: number, make: (i: number) => Value): Value[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

Deno.test("hubFile: each fault that stays is an error in the end, and leaves nothing that looks whole", async () => {
  const cases: readonly [Fault, HubFailure, string, number][] = [
    [{ cutAfter: 0 }, "unreachable", "broke off", 0],
    [{ silentAfter: 0 }, "unreachable", "was silent for 0.1 s", 0],
    [{ endAfter: 0 }, "unreachable", "stopped after 0 of 10000 bytes", 0],
    // Without ranges the same 5000 bytes come again and again, which is no progress.
    [{ whole: true, endAfter: 5000 } as Fault, "unreachable", "stopped after 5000 of 10000 bytes", 5000],
    [{ append: 1 }, "unreachable", "sent more than the 10000 bytes", 0],
    [{ flip: true }, "corrupt", `the hub promised ${BLOB}; it was fetched twice and is not kept`, -1],
    [{ status: 429 }, "unreachable", "answered 429", 0],
    [
      { status: 503, headers: { "retry-after": "400" } },
      "unreachable",
      "wants to be asked again in 400 s",
      0,
    ],
    [{ status: 403 }, "unreachable", "answered 403", 0],
    [{ status: 416 }, "unreachable", "has a shorter file", 0],
    [{ status: 302, headers: { location: "ftp://x/y" } }, "unreachable", "redirected to no web address", 0],
    [{ status: 302, headers: { location: "/var_d16.pth" } }, "unreachable", "more than 10 redirects", 0],
  ];
  for (const [fault, reason, message, left] of cases) {
    await using hub = hubWithFiles();
    hub.cdnFaults.push(...Array(100).fill(fault));
    await fails(hub, reason, message, { timeout: 100, retries: 2 });
    const incomplete: Record<string, number> = left < 0 ? {} : { [`blobs/${BLOB}.incomplete`]: left };
    assertEquals(layout(hub), incomplete, message);
    assert(hub.transfers.length <= 3 * 11);
    // Whatever was left behind does no harm later.
    hub.cdnFaults.length = 0;
    const { path } = await hubFile(PLACE, "var_d16.pth", hub.options());
    assertEquals(await Deno.readFile(path), BIG);
  }
});

Deno.test("hubFile: a size that is not that of the content is an error", async () => {
  for (
    const [size, message] of [[10_001, "has a shorter file"], [9999, "sent more than the 9999"]] as const
  ) {
    await using hub = hubWithFiles();
    hub.sizes.set("var_d16.pth", size);
    await fails(hub, "unreachable", message, { retries: 1 });
    assertEquals(Object.keys(layout(hub)), [`blobs/${BLOB}.incomplete`]);
  }
});

Deno.test("hubFile: what an earlier download left is checked, whatever it is", async () => {
  const wrong = BIG.slice(0, 6000);
  wrong[10]! ^= 1;
  const cases: readonly [string, Uint8Array, readonly (string | null)[]][] = [
    ["a beginning", BIG.slice(0, 6000), ["bytes=6000-"]],
    ["all of it", BIG, []],
    ["a wrong beginning", wrong, ["bytes=6000-", null]],
    ["a wrong whole", new Uint8Array(BIG.length), [null]],
    ["too much", new Uint8Array([...BIG, 0]), [null]],
  ];
  for (const [name, left, transfers] of cases) {
    await using hub = hubWithFiles();
    await Deno.mkdir(`${folder(hub)}/blobs`, { recursive: true });
    await Deno.writeFile(`${folder(hub)}/blobs/${BLOB}.incomplete`, left);
    const { path } = await hubFile(PLACE, "var_d16.pth", hub.options());
    assertEquals([await Deno.readFile(path), hub.transfers], [BIG, transfers], name);
    assertEquals(layout(hub), wholeLayout(hub), name);
  }
});

Deno.test("hubFile: a file in the cache that is shorter than the hub's is fetched again", async () => {
  await using hub = hubWithFiles();
  const { path } = await hubFile(PLACE, "var_d16.pth", hub.options());
  await Deno.truncate(`${folder(hub)}/blobs/${BLOB}`, 5000);
  await hubFile(PLACE, "var_d16.pth", hub.options());
  assertEquals(await Deno.readFile(path), BIG);
  // A link whose content somebody has deleted is no file.
  await Deno.remove(`${folder(hub)}/blobs/${BLOB}`);
  await hubFile(PLACE, "var_d16.pth", hub.options());
  assertEquals(layout(hub), wholeLayout(hub));
});

/** Changes a file in the cache. */
async function damage(hub: FakeHub, name: string, how: "cut" | "flip"): Promise<void> {
  // Later than it was written, by the clock of the file system.
  await new Promise((done) => setTimeout(done, 20));
  const path = `${folder(hub)}/snapshots/${hub.commit}/${name}`;
  const bytes = await Deno.readFile(path);
  bytes[5]! ^= 1;
  await Deno.writeFile(path, how === "cut" ? bytes.slice(0, -1) : bytes);
}

Deno.test("hubFile: a file in the cache that has been cut or altered is noticed, with and without the hub", async () => {
  for (const how of ["cut", "flip"] as const) {
    for (const name of ["var_d16.pth", "README.md"]) {
      await using hub = hubWithFiles();
      const { path } = await hubFile(PLACE, name, hub.options());
      const good = await Deno.readFile(path);
      const offline = hub.options({ offline: true });
      assertEquals((await hubFile(PLACE, name, offline)).path, path);
      await damage(hub, name, how);
      for (const place of [PLACE, { ...PLACE, revision: hub.commit }]) {
        await fails(hub, "corrupt", "have changed since they were downloaded", {
          place,
          name,
          offline: true,
        });
      }
      // Nobody answers.
      await fails(hub, "corrupt", "the hub could not be asked", { name, endpoint: "http://127.0.0.1:1" });
      // With the hub it is fetched again, of a commit, too.
      for (const place of [PLACE, { ...PLACE, revision: hub.commit }]) {
        await hubFile(place, name, hub.options());
        assertEquals(await Deno.readFile(path), good);
        assertEquals((await hubFile(place, name, offline)).path, path);
        await damage(hub, name, how);
      }
    }
  }
});

Deno.test("hubFile: a file in the cache is read for its checksum once, and again when it has changed", async () => {
  await using hub = hubWithFiles();
  const checked: string[] = [];
  const onProgress = ({ file, checking }: DownloadProgress): void => void (checking && checked.push(file));
  const get = async (): Promise<string> => {
    return (await hubFile(PLACE, "var_d16.pth", hub.options({ offline: true, onProgress }))).path;
  };
  const path = await hubFile(PLACE, "var_d16.pth", hub.options()).then(({ path }) => path);
  await get();
  assertEquals(checked, [], "A download is its own check");
  // As another program leaves it.
  await Deno.remove(`${hub.cache}/.locks`, { recursive: true });
  await get();
  await get();
  assertEquals(checked, ["var_d16.pth"]);
  await Deno.utime(path, new Date(0), new Date(0));
  await get();
  assertEquals(checked.length, 2);
  // A cache that may not be written to is checked every time.
  await Deno.remove(`${hub.cache}/.locks`, { recursive: true });
  await Deno.writeTextFile(`${hub.cache}/.locks`, "in the way");
  await get();
  await get();
  assertEquals(checked.length, 4);
  await Deno.remove(`${hub.cache}/.locks`);
  // A file that is no link tells no checksum.
  const bytes = await Deno.readFile(path);
  await Deno.remove(path);
  await Deno.writeFile(path, bytes.fill(0));
  assertEquals(await get(), path);
  await hubFile(PLACE, "var_d16.pth", hub.options());
  assertEquals(await Deno.readFile(path), BIG);
});

Deno.test("hubFile: a small file is checked by the name that git gives it", async () => {
  await using hub = hubWithFiles();
  const turned = SMALL.toReversed();
  // The checksum of one content, the bytes of another.
  hub.hubFaults.push(undefined);
  const get = hub.files.get.bind(hub.files);
  hub.files.get = (name) => name === "README.md" && hub.seen.at(-1)!.method === "GET" ? turned : get(name);
  await fails(hub, "corrupt", `its git object name is ${gitName(turned)}`, { name: "README.md" });
  assertEquals(layout(hub), {});
});

Deno.test("hubFile: of a file without a known checksum the size must be right", async () => {
  await using hub = hubWithFiles();
  hub.etags.set("README.md", "odd");
  await Deno.mkdir(`${folder(hub)}/blobs`, { recursive: true });
  await Deno.writeFile(`${folder(hub)}/blobs/odd.incomplete`, new Uint8Array(SMALL.length + 1));
  const { path } = await hubFile(PLACE, "README.md", hub.options());
  assertEquals(await Deno.readFile(path), SMALL);
});

Deno.test("hubFile: the token goes to the hub and to nobody else", async () => {
  await using hub = hubWithFiles();
  hub.token = "hf_right";
  await using other = new FakeHub();
  const options = hub.options({ token: "hf_right" });
  await hubFile(PLACE, "var_d16.pth", options);
  // Away and back again, as somebody would do it who wants to have a request of his own sent with the token.
  hub.hubFaults.push(undefined, { status: 302, headers: { location: `${other.endpoint}/x` } });
  other.hubFaults.push({
    status: 302,
    headers: { location: `${hub.endpoint}/owner/name/resolve/main/README.md` },
  });
  await fails(hub, "denied", "answered 401", { name: "README.md", token: "hf_right" });
  // A list that goes on elsewhere.
  const headers = { link: `<${other.endpoint}/api/models/owner/name/tree/main>; rel="next"` };
  hub.hubFaults.push({ status: 200, headers });
  assertEquals(await hubFileNames(PLACE, options), []);
  const tokens = [...hub.seen, ...other.seen].map((
    { host, path, token },
  ) => [host, path.split("?")[0], token]);
  const right = "Bearer hf_right";
  const resolve = "/owner/name/resolve/";
  assertEquals(tokens.slice(0, 6), [
    ["hub", `${resolve}main/var_d16.pth`, right],
    ["hub", `${resolve}${hub.commit}/var_d16.pth`, right],
    ["cdn", "/var_d16.pth", null],
    ["hub", `${resolve}main/README.md`, right],
    ["hub", `${resolve}${hub.commit}/README.md`, right],
    ["hub", `${resolve}main/README.md`, null],
  ]);
  assertEquals(other.seen.map(({ token }) => token), other.seen.map(() => null));
  assertEquals(other.seen.length, 3);
});

Deno.test("hubFile: redirects within the hub are followed with the token", async () => {
  await using hub = hubWithFiles();
  hub.token = "hf_right";
  const moved: Fault = { status: 307, headers: { location: "/owner/name/resolve/main/README.md" } };
  hub.hubFaults.push(moved);
  const { path } = await hubFile(PLACE, "README.md", hub.options({ token: "hf_right" }));
  assertEquals(await Deno.readFile(path), SMALL);
});

Deno.test("hubFile: a refusal says what to do about it", async () => {
  await using hub = hubWithFiles();
  hub.token = "hf_right";
  await fails(hub, "denied", "answered 401 without a token; if owner/name exists, set HF_TOKEN");
  await fails(hub, "denied", "with the token that is set, which may be out of date", { token: "hf_wrong" });
  hub.hubFaults.push({ status: 403, headers: { "x-error-code": "GatedRepo" } });
  await fails(hub, "denied", `accept the licence at ${hub.endpoint}/owner/name and set HF_TOKEN`);
  hub.token = undefined;
  await fails(hub, "missing", "the repository has no such file", { name: "var_d99.pth" });
  await fails(hub, "missing", 'no revision "v2"', { place: { ...PLACE, revision: "v2" } });
  await fails(hub, "missing", "there is no repository owner/none", {
    place: { ...PLACE, repository: "owner/none" },
  });
  hub.hubFaults.push({ status: 404 });
  await fails(hub, "missing", "no such repository, revision or file");
  // Nothing of this is worth another try.
  assertEquals(hub.seen.length, 7);
  for (const name of ["../x", "/etc/passwd", "a//b", "", "a\\b", "a/./b"]) {
    await assertRejects(() => hubFile(PLACE, name, hub.options()), TypeError, "a path within the repository");
  }
});

Deno.test("hubFile: a server that is no hub is found out", async () => {
  for (
    const headers of [
      {},
      { "x-repo-commit": "main", etag: '"a"', "content-length": "5" },
      { "x-repo-commit": "a".repeat(40), "content-length": "5" },
      { "x-repo-commit": "a".repeat(40), etag: '"../../x"', "content-length": "5" },
      { "x-repo-commit": "a".repeat(40), etag: '".."', "content-length": "5" },
    ]
  ) {
    await using hub = hubWithFiles();
    hub.hubFaults.push({ status: 200, headers } as Fault);
    await fails(hub, "corrupt", "does not answer like a Hugging Face hub");
  }
});

Deno.test("hubFile: a hub in trouble is asked again, in a time that it may set", async () => {
  await using hub = hubWithFiles();
  const date = new Date(Date.now() - 5000).toUTCString();
  hub.hubFaults.push({ status: 500 }, { status: 429, headers: { "retry-after": date } }, { status: 503 });
  await hubFile(PLACE, "var_d16.pth", hub.options());
  hub.hubFaults.push(...Array(5).fill({ status: 503 }));
  await fails(hub, "unreachable", "answered 503", { name: "README.md" });
  assertEquals(hub.hubFaults, []);
  hub.hubFaults.push({ status: 429, headers: { "retry-after": "1" } });
  const begun = performance.now();
  await hubFile(PLACE, "README.md", hub.options());
  assert(performance.now() - begun >= 990);
});

Deno.test("hubFile: without the hub the cache is good enough, and offline mode asks nobody", async () => {
  await using hub = hubWithFiles();
  await fails(hub, "offline", `Cannot find var_d16.pth of hf:owner/name in ${hub.cache}`, { offline: true });
  const file = await hubFile(PLACE, "var_d16.pth", hub.options());
  const before = hub.seen.length;
  assertEquals(await hubFile(PLACE, "var_d16.pth", hub.options({ offline: true })), file);
  assertEquals(await hubFileNames(PLACE, hub.options({ offline: true })), ["var_d16.pth"]);
  assertEquals(hub.seen.length, before);
  for (const status of [500, 401]) {
    hub.hubFaults.push({ status });
    assertEquals(await hubFile(PLACE, "var_d16.pth", hub.options()), file);
  }
  assertEquals(hub.seen.length, before + 2);
  const gone = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const endpoint = `http://127.0.0.1:${gone.addr.port}`;
  gone.close();
  assertEquals(await hubFile(PLACE, "var_d16.pth", hub.options({ endpoint })), file);
  assertEquals(await hubFileNames(PLACE, hub.options({ endpoint })), ["var_d16.pth"]);
  const error = await fails(hub, "unreachable", "did not answer (error sending request: ", {
    endpoint,
    name: "README.md",
    retries: 0,
  });
  assertStringIncludes(error.message, "refused");
  // What the hub has deleted is gone all the same.
  hub.files.delete("var_d16.pth");
  await fails(hub, "missing", "no such file");
});

Deno.test("hubFileNames: all files are listed, page after page", async () => {
  await using hub = hubWithFiles();
  hub.hubFaults.push({ status: 503 });
  assertEquals(await hubFileNames(PLACE, hub.options()), ["var_d16.pth", "README.md"]);
  hub.token = "hf_right";
  await assertRejects(
    () => hubFileNames(PLACE, hub.options()),
    HubError,
    "the list of files of hf:owner/name",
  );
});

Deno.test("hubFile: an abort ends every wait at once, and the next download goes on from there", async () => {
  await using hub = hubWithFiles();
  const reason = new Error("enough");
  const ends = async (options: HubOptions): Promise<void> => {
    const error = await assertRejects(() => hubFile(PLACE, "var_d16.pth", hub.options(options)));
    assertEquals(error, reason);
  };
  await ends({ signal: AbortSignal.abort(reason) });
  assertEquals(hub.seen, []);

  const transfer = new AbortController();
  hub.cdnFaults.push({ silentAfter: 4000 });
  const onProgress = ({ bytes }: DownloadProgress): void => {
    if (bytes === 4000) transfer.abort(reason);
  };
  await ends({ signal: transfer.signal, onProgress, retries: 0 });
  assertEquals(layout(hub), { [`blobs/${BLOB}.incomplete`]: 4000 });

  const pause = new AbortController();
  hub.hubFaults.push({ status: 503, headers: { "retry-after": "200" } });
  setTimeout(() => pause.abort(reason), 50);
  await ends({ signal: pause.signal });

  // Somebody else downloads it.
  const lock = await Deno.open(`${hub.cache}/.locks/models--owner--name/${BLOB}.lock`, {
    read: true,
    write: true,
  });
  await lock.lock(true);
  const wait = new AbortController();
  setTimeout(() => wait.abort(reason), 150);
  await ends({ signal: wait.signal });
  lock.close();

  const { path } = await hubFile(PLACE, "var_d16.pth", hub.options());
  assertEquals([await Deno.readFile(path), hub.transfers], [BIG, [null, "bytes=4000-"]]);
});

Deno.test("hubFile: a full disk is an error that says how much is missing, and what has come is kept", async () => {
  await using hub = hubWithFiles();
  const write = Deno.FsFile.prototype.write;
  let room = 2500;
  Deno.FsFile.prototype.write = function (bytes) {
    if (room === 0) {
      return Promise.reject(Object.assign(new Error("No space left on device"), { code: "ENOSPC" }));
    }
    const part = bytes.subarray(0, room);
    room -= part.length;
    return write.call(this, part);
  };
  try {
    await fails(hub, "full", "the disk is full; 7500 of 10000 bytes are still to come, and ");
    assertEquals(layout(hub), { [`blobs/${BLOB}.incomplete`]: 2500 });
    assertEquals(hub.transfers.length, 1);
  } finally {
    Deno.FsFile.prototype.write = write;
  }
  const { path } = await hubFile(PLACE, "var_d16.pth", hub.options());
  assertEquals([await Deno.readFile(path), hub.transfers], [BIG, [null, "bytes=2500-"]]);

  hub.sizes.set("README.md", 2 ** 52);
  const before = hub.seen.length;
  await fails(hub, "full", `${2 ** 52} of ${2 ** 52} bytes are still to come`, { name: "README.md" });
  assertEquals(hub.seen.length, before + 1);
});

Deno.test("hubFile: where links cannot be made the content is copied", async () => {
  const { symlink, link } = Deno;
  const denied = (): Promise<void> => Promise.reject(new Deno.errors.PermissionDenied("not here"));
  try {
    for (const [hard, links] of [[link, 2], [denied, 1]] as const) {
      await using hub = hubWithFiles();
      Object.assign(Deno, { symlink: denied, link: hard });
      const { path, sha256 } = await hubFile(PLACE, "var_d16.pth", hub.options());
      const { isSymlink, nlink, size } = await Deno.lstat(path);
      assertEquals([isSymlink, nlink, size, sha256], [false, links, BIG.length, BLOB]);
      const again = await hubFile(PLACE, "var_d16.pth", hub.options());
      assertEquals([again, hub.transfers.length], [{
        path,
        bytes: BIG.length,
        commit: hub.commit,
        sha256: BLOB,
      }, 1]);
    }
  } finally {
    Object.assign(Deno, { symlink, link });
  }
});

Deno.test("hubFile: where there are no locks each download keeps to itself", async () => {
  const { tryLock } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.tryLock = () => Promise.reject(new Error("Function not implemented (os error 38)"));
  try {
    await using hub = hubWithFiles();
    hub.cdnFaults.push({ flip: true }, { flip: true });
    await fails(hub, "corrupt", "fetched twice");
    hub.cdnFaults.push({ cutAfter: 4000 });
    await fails(hub, "unreachable", "broke off", { retries: 0 });
    assertEquals(layout(hub), {});
    const all = Array.from({ length: 3 }, () => hubFile(PLACE, "var_d16.pth", hub.options()));
    for (const { path } of await Promise.all(all)) assertEquals(await Deno.readFile(path), BIG);
    assertEquals(layout(hub), wholeLayout(hub));
  } finally {
    Deno.FsFile.prototype.tryLock = tryLock;
  }
});
