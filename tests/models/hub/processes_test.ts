/**
 * Several users of one cache at once, in one process and in several.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { hubFile, type HubPlace } from "../../../models/hub/mod.ts";
import { runChild, startChild } from "./child.ts";
import { content, FakeHub, sha256 } from "./fake_hub.ts";

const PLACE: HubPlace = { repository: "owner/name", revision: "main" };
const BIG = content(100_000);

function childArgs(hub: FakeHub): string[] {
  return ["file", "hf:owner/name", "var_d16.pth", JSON.stringify(hub.options())];
}

Deno.test("hubFile: a file is downloaded once, however many want it", async () => {
  await using hub = new FakeHub();
  hub.files.set("var_d16.pth", BIG);
  hub.cdnFaults.push({ cutAfter: 50_000 });
  const here = Array.from({ length: 5 }, () => hubFile(PLACE, "var_d16.pth", hub.options()));
  const there = Array.from({ length: 2 }, () => runChild(childArgs(hub)));
  const paths = [
    ...(await Promise.all(here)).map(({ path }) => path),
    ...(await Promise.all(there)).map(({ result }) => result.path),
  ];
  assertEquals([new Set(paths).size, paths.length], [1, 7]);
  assertEquals(await Deno.readFile(String(paths[0])), BIG);
  assertEquals(hub.transfers, [null, "bytes=50000-"]);
});

Deno.test("hubFile: a process that is killed leaves neither a lock nor half a file", async () => {
  await using hub = new FakeHub();
  hub.files.set("var_d16.pth", BIG);
  hub.cdnFaults.push({ silentAfter: 30_000 });
  const child = startChild(childArgs(hub));
  const incomplete = `${hub.cache}/models--owner--name/blobs/${sha256(BIG)}.incomplete`;
  for (let i = 0; i < 1000 && (await Deno.stat(incomplete).catch(() => ({ size: 0 }))).size < 30_000; i++) {
    await new Promise((done) => setTimeout(done, 20));
  }
  const waiting = hubFile(PLACE, "var_d16.pth", hub.options());
  child.kill("SIGKILL");
  await child.output();
  assertEquals(await Deno.readFile((await waiting).path), BIG);
  assertEquals(hub.transfers, [null, "bytes=30000-"]);
});

Deno.test("hubFile: access to the cache and to the hub is all the access that is needed", async () => {
  await using hub = new FakeHub();
  hub.files.set("var_d16.pth", BIG);
  const net = new URL(hub.endpoint).host;
  const permissions = [
    `--allow-read=${hub.cache}`,
    `--allow-write=${hub.cache}`,
    `--allow-net=${net},localhost`,
  ];
  const { result, complaint } = await runChild(childArgs(hub), { permissions });
  assertEquals([complaint, result.sha256], ["", sha256(BIG)]);
  assertEquals(await Deno.readFile(String(result.path)), BIG);

  const closed = await runChild(childArgs(hub), { permissions: permissions.slice(0, 2) });
  assert(closed.complaint.includes("NotCapable"), closed.complaint);
  assertStringIncludes(closed.complaint, "--allow-net");
});
