/**
 * Which files of a repository make a model.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { convertVar, createModelFolder, openModelFolder } from "../../../models/mod.ts";
import { HubError, type HubPlace } from "../../../models/hub/mod.ts";
import { hubModel, officialVarFiles } from "../../../models/var/official.ts";
import { FakeHub, sha256 } from "../hub/fake_hub.ts";

const PLACE: HubPlace = { repository: "owner/name", revision: "main" };
const VAE = "vae_ch160v4096z32.pth";
const GOLDEN = new URL("../../fixtures/golden/var-adaln/", import.meta.url);

/** A repository with transformers of some depths, all the same, and the tokenizer. */
async function hubWithDepths(...depths: number[]): Promise<FakeHub> {
  const hub = new FakeHub();
  const [transformer, tokenizer] = await Promise.all(
    ["var.pth", "vae.pth"].map((name) => Deno.readFile(new URL(name, GOLDEN))),
  );
  for (const depth of depths) hub.files.set(`var_d${depth}.pth`, transformer!);
  hub.files.set(VAE, tokenizer!);
  return hub;
}

Deno.test("The transformer of a depth and the tokenizer make a model, and nothing else is fetched", async () => {
  await using hub = await hubWithDepths(16, 20, 30);
  const files = await officialVarFiles(PLACE, 20, hub.options());
  const snapshot = `${hub.cache}/models--owner--name/snapshots/${hub.commit}`;
  const hashOf = (name: string): string => sha256(hub.files.get(name)!);
  assertEquals(files, {
    var: `${snapshot}/var_d20.pth`,
    vae: `${snapshot}/${VAE}`,
    sha256: { var: hashOf("var_d20.pth"), vae: hashOf(VAE) },
  });
  assertEquals(hub.transfers.length, 2);
  assertEquals(await hubModel(PLACE, 20, hub.options()), files);
  assertEquals(await hubModel(PLACE, 20, hub.options({ offline: true })), files);
  assertEquals(await hubModel(PLACE, undefined, hub.options({ offline: true })), files);
  assertEquals(hub.transfers.length, 2);
});

Deno.test("Both checkpoints are of one commit, whatever is pushed meanwhile", async () => {
  await using hub = await hubWithDepths(16);
  const first = hub.commit;
  const begun = officialVarFiles(PLACE, 16, {
    ...hub.options(),
    onProgress({ file, bytes, total }) {
      if (file === "var_d16.pth" && bytes === total) hub.commit = "beef".padEnd(40, "0");
    },
  });
  const error = await assertRejects(() => begun, HubError);
  // The fake hub knows its newest commit only; what matters is which one was asked for.
  assertEquals([error.reason, hub.seen.at(-1)!.path], ["missing", `/owner/name/resolve/${first}/${VAE}`]);
});

Deno.test("Without a depth there must be one transformer", async () => {
  await using one = await hubWithDepths(24);
  const files = await officialVarFiles(PLACE, undefined, one.options());
  assertEquals(files.var.endsWith("/var_d24.pth"), true);
  assertEquals(await hubModel(PLACE, undefined, one.options()), files);
  await using many = await hubWithDepths(30, 16, 100);
  for (const get of [officialVarFiles, hubModel]) {
    const which = "it has several, say which by its depth: 16, 30, 100";
    await assertRejects(() => get(PLACE, undefined, many.options()), HubError, which);
  }
  assertEquals(many.transfers, []);
  await using none = await hubWithDepths();
  await assertRejects(
    () => hubModel(PLACE, undefined, none.options()),
    HubError,
    "neither model.json nor var_d16.pth",
  );
});

Deno.test("A depth that is not there is answered with those that are", async () => {
  await using hub = await hubWithDepths(16, 30);
  const error = await assertRejects(
    () => hubModel(PLACE, 20, hub.options()),
    HubError,
    "there is depth 16, 30",
  );
  assertEquals(error.reason, "missing");
  await assertRejects(
    () => officialVarFiles(PLACE, 0.5, hub.options()),
    RangeError,
    "depth must be an integer >= 1",
  );
  hub.files.delete(VAE);
  await assertRejects(() => officialVarFiles(PLACE, 16, hub.options()), HubError, VAE);
});

Deno.test("A repository may hold a model folder", async () => {
  await using hub = new FakeHub();
  const place = await Deno.makeTempDir();
  try {
    await using writer = await createModelFolder(`${place}/model`);
    await convertVar({ var: new URL("var.pth", GOLDEN), vae: new URL("vae.pth", GOLDEN) }, writer);
    for (const { name } of Deno.readDirSync(`${place}/model`)) {
      hub.files.set(name, await Deno.readFile(`${place}/model/${name}`));
    }
    // Another depth is found out before the weights are fetched.
    const error = await assertRejects(() => hubModel(PLACE, 16, hub.options()), HubError, "has depth 2");
    assertEquals([error.reason, hub.transfers.length], ["missing", 1]);
    const folder = await hubModel(PLACE, undefined, hub.options());
    assertEquals(folder, `${hub.cache}/models--owner--name/snapshots/${hub.commit}`);
    for (const [name, bytes] of hub.files) assertEquals(await Deno.readFile(`${folder}/${name}`), bytes);
    assertEquals(await hubModel(PLACE, 2, hub.options()), folder);
    assertEquals(await hubModel(PLACE, undefined, hub.options({ offline: true })), folder);
    assertEquals(await hubModel(PLACE, 2, hub.options({ offline: true })), folder);
    const { manifest } = await openModelFolder(String(folder));
    assertEquals([manifest.family, Object.keys(manifest.files).length], ["var", hub.files.size - 1]);
  } finally {
    await Deno.remove(place, { recursive: true });
  }
});
