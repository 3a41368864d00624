/**
 * Which files of a repository make a model.
 */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { convertModel } from "../../models/convert.ts";
import { openModelFolder } from "../../models/folder/model_folder.ts";
import { createModelFolder } from "../../models/folder/folder_writer.ts";
import { HubError, type HubPlace } from "../../models/hub/mod.ts";
import { type HubCheckpoints, type HubModel, hubModel, hubNotice } from "../../models/hub_model.ts";
import { FakeHub, sha256 } from "./hub/fake_hub.ts";

const PLACE: HubPlace = { repository: "owner/name", revision: "main" };
const VAE = "vae_ch160v4096z32.pth";
const GOLDEN = new URL("../fixtures/golden/var-adaln/", import.meta.url);

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

/** Names of the checkpoints that were found, without their folder. */
function namesIn(model: HubModel): Record<string, string> {
  return Object.fromEntries(
    Object.entries((model as HubCheckpoints).checkpoints).map((
      [part, path],
    ) => [part, path.slice(path.lastIndexOf("/") + 1)]),
  );
}

Deno.test("hubModel: the transformer of a depth and the tokenizer make a model, and nothing else is fetched", async () => {
  await using hub = await hubWithDepths(16, 20, 30);
  const files = await hubModel(PLACE, 20, hub.options());
  const snapshot = `${hub.cache}/models--owner--name/snapshots/${hub.commit}`;
  const hashOf = (name: string): string => sha256(hub.files.get(name)!);
  assertEquals(files, {
    checkpoints: { var: `${snapshot}/var_d20.pth`, vae: `${snapshot}/${VAE}` },
    sha256: { var: hashOf("var_d20.pth"), vae: hashOf(VAE) },
  });
  assertEquals(hub.transfers.length, 2);
  // Nobody asks for more than these two.
  assertEquals(hub.seen.filter(({ method }) => method === "HEAD").length, 2);
  assertEquals(hub.seen.filter(({ path }) => path.includes("/api/")).length, 0);
  assertEquals(await hubModel(PLACE, 20, hub.options({ offline: true })), files);
  assertEquals(await hubModel(PLACE, undefined, hub.options({ offline: true })), files);
  assertEquals(hub.transfers.length, 2);
});

Deno.test("hubModel: both checkpoints are of one commit, whatever is pushed meanwhile", async () => {
  await using hub = await hubWithDepths(16);
  const first = hub.commit;
  const begun = hubModel(PLACE, 16, {
    ...hub.options(),
    onProgress({ file, bytes, total }) {
      if (file === "var_d16.pth" && bytes === total) hub.commit = "beef".padEnd(40, "0");
    },
  });
  const error = await assertRejects(() => begun, HubError);
  // The fake hub knows its newest commit only; what matters is which one was asked for.
  const { path } = hub.seen.findLast(({ method }) => method === "HEAD")!;
  assertEquals([error.reason, path], ["missing", `/owner/name/resolve/${first}/${VAE}`]);
});

Deno.test("hubModel: without a depth there must be one transformer", async () => {
  await using one = await hubWithDepths(24);
  const files = await hubModel(PLACE, undefined, one.options());
  assertEquals(namesIn(files), { var: "var_d24.pth", vae: VAE });
  await using many = await hubWithDepths(30, 16, 100);
  await assertRejects(
    () => hubModel(PLACE, undefined, many.options()),
    HubError,
    "it has several, say which by its depth: 16, 30, 100",
  );
  assertEquals(many.transfers, []);
  await using none = await hubWithDepths();
  await assertRejects(
    () => hubModel(PLACE, undefined, none.options()),
    HubError,
    "it has neither model.json nor var_d16.pth, FlexVARd16-epo179.pth, infinity_2b_reg.pth or the like",
  );
});

Deno.test("hubModel: a depth that is not there is answered with those that are", async () => {
  await using hub = await hubWithDepths(16, 30);
  const error = await assertRejects(
    () => hubModel(PLACE, 20, hub.options()),
    HubError,
    "there is depth 16, 30",
  );
  assertEquals(error.reason, "missing");
  await assertRejects(
    () => hubModel(PLACE, 0.5, hub.options()),
    RangeError,
    "depth must be an integer >= 1",
  );
  hub.files.delete(VAE);
  await assertRejects(() => hubModel(PLACE, 16, hub.options()), HubError, VAE);
  await using none = await hubWithDepths();
  const nothing = await assertRejects(() => hubModel(PLACE, 16, none.options()), HubError, "var_d16.pth");
  assertEquals(nothing.message.includes("depth"), false);
});

Deno.test("hubModel: only what is not there is looked for under other names", async () => {
  await using hub = await hubWithDepths(16);
  hub.token = "secret";
  const error = await assertRejects(() => hubModel(PLACE, 16, hub.options()), HubError);
  assertEquals([error.reason, hub.seen.length], ["denied", 1]);
  hub.token = undefined;
  // A signal that comes while others are looked for ends the search.
  const controller = new AbortController();
  hub.files[Symbol.iterator] = () => {
    controller.abort(new Error("enough"));
    return new Map<string, Uint8Array<ArrayBuffer>>().entries();
  };
  const options = hub.options({ signal: controller.signal });
  const stopped = await assertRejects(() => hubModel(PLACE, 20, options), Error);
  assertEquals(stopped.message, "enough");
});

/** A repository of others with transformers under these names, and the authors' one with the tokenizer. */
async function hubWithTuned(repository: string, ...names: string[]): Promise<FakeHub> {
  const hub = new FakeHub();
  const [transformer, tokenizer] = await Promise.all(
    ["var.pth", "vae.pth"].map((name) => Deno.readFile(new URL(name, GOLDEN))),
  );
  hub.repository = repository;
  for (const name of names) hub.files.set(name, transformer!);
  hub.others.set("FoundationVision/var", new Map([[VAE, tokenizer!]]));
  return hub;
}

Deno.test("hubModel: transformers that others have tuned come with the authors' tokenizer", async () => {
  const repository = "nvidia/DirectDiscriminativeOptimization";
  const place = { repository, revision: "main" };
  // As the repository is described: two for VAR among files of other models.
  await using hub = await hubWithTuned(
    repository,
    "var_d16-ddo.pth",
    "var_d30-ddo.pth",
    "edm2-img64-s-ddo.pkl",
  );
  assertEquals(namesIn(await hubModel(place, 16, hub.options())), { var: "var_d16-ddo.pth", vae: VAE });
  await assertRejects(() => hubModel(place, 20, hub.options()), HubError, "there is depth 16, 30");
  await assertRejects(() => hubModel(place, undefined, hub.options()), HubError, "its depth: 16, 30");
  assertEquals(hubNotice(place)!.commercial, false);
  assertEquals(hubNotice({ ...place, repository: "owner/name" }), undefined);
});

Deno.test("hubModel: of several transformers of a depth one is named by its file", async () => {
  const repository = "Zigeng/VAR_CoDe";
  const place = { repository, revision: "main" };
  const names = [6, 7, 8, 9].flatMap((scales) => [`drafter_${scales}.pth`, `refiner_${scales}.pth`]);
  await using hub = await hubWithTuned(repository, ...names);
  const error = await assertRejects(() => hubModel(place, 30, hub.options()), HubError);
  assertStringIncludes(error.message, 'name one, like "hf:Zigeng/VAR_CoDe/drafter_6.pth"');
  const find = async (file: string): Promise<unknown> => {
    return namesIn(await hubModel({ ...place, file }, undefined, hub.options()));
  };
  assertEquals(await find("drafter_8.pth"), { var: "drafter_8.pth", vae: VAE });
  assertEquals(await find("refiner_8.pth"), { var: "refiner_8.pth", vae: VAE });
  await assertRejects(() => find("drafter_5.pth"), HubError, "drafter_5.pth");
  await assertRejects(() => find("other.pth"), HubError, "by its name the file is no transformer");
});

Deno.test("hubModel: a repository may hold a model folder", async () => {
  await using hub = new FakeHub();
  const place = await Deno.makeTempDir();
  try {
    await using writer = await createModelFolder(`${place}/model`);
    await convertModel({ var: new URL("var.pth", GOLDEN), vae: new URL("vae.pth", GOLDEN) }, writer);
    for (const { name } of Deno.readDirSync(`${place}/model`)) {
      hub.files.set(name, await Deno.readFile(`${place}/model/${name}`));
    }
    // Another depth is found out before the weights are fetched.
    const error = await assertRejects(() => hubModel(PLACE, 16, hub.options()), HubError, "has depth 2");
    assertEquals([error.reason, hub.transfers.length], ["missing", 1]);
    const found = await hubModel(PLACE, undefined, hub.options());
    const folder = `${hub.cache}/models--owner--name/snapshots/${hub.commit}`;
    assertEquals(found, { folder });
    for (const [name, bytes] of hub.files) assertEquals(await Deno.readFile(`${folder}/${name}`), bytes);
    assertEquals(await hubModel(PLACE, 2, hub.options()), found);
    assertEquals(await hubModel(PLACE, undefined, hub.options({ offline: true })), found);
    assertEquals(await hubModel(PLACE, 2, hub.options({ offline: true })), found);
    // All of one commit, too.
    const first = hub.commit;
    const begun = hubModel(PLACE, 2, {
      ...hub.options({ cacheFolder: `${hub.cache}/fresh` }),
      onProgress({ file, bytes, total }) {
        if (file === "model.json" && bytes === total) hub.commit = "beef".padEnd(40, "0");
      },
    });
    await assertRejects(() => begun, HubError);
    const { path } = hub.seen.findLast(({ method }) => method === "HEAD")!;
    assertEquals(path.startsWith(`/owner/name/resolve/${first}/`), true, path);
    const { manifest } = await openModelFolder(folder);
    assertEquals([manifest.family, Object.keys(manifest.files).length], ["var", hub.files.size - 1]);
  } finally {
    await Deno.remove(place, { recursive: true });
  }
});

/** A repository of these files, whose content nobody reads. */
function hubOf(...names: string[]): FakeHub {
  const hub = new FakeHub();
  for (const name of names) hub.files.set(name, new TextEncoder().encode(name.padEnd(200)));
  return hub;
}

Deno.test("hubModel: of which family a model is, the names of its files tell", async () => {
  await using hub = hubOf("README.md", "FlexVARd16-epo179.pth", "FlexVARd20-epo249.pth", "FlexVAE.pth");
  const shallow = { var: "FlexVARd16-epo179.pth", vae: "FlexVAE.pth" };
  assertEquals(namesIn(await hubModel(PLACE, 16, hub.options())), shallow);
  assertEquals(namesIn(await hubModel(PLACE, 16, hub.options({ offline: true }))), shallow);
  assertEquals(namesIn(await hubModel(PLACE, undefined, hub.options({ offline: true }))), shallow);
  assertEquals(hub.transfers.length, 2);
  await assertRejects(
    () => hubModel(PLACE, undefined, hub.options()),
    HubError,
    "it has several, say which by its depth: 16, 20",
  );
  await assertRejects(() => hubModel(PLACE, 24, hub.options()), HubError, "there is depth 16, 20");
  await assertRejects(() => hubModel(PLACE, 30, hub.options()), HubError, "there is depth 16, 20");
  // Another epoch than the published one.
  hub.files.set("FlexVARd20-epo100.pth", new Uint8Array(200));
  assertEquals(namesIn(await hubModel(PLACE, 20, hub.options())).var, "FlexVARd20-epo249.pth");
  hub.files.delete("FlexVARd20-epo249.pth");
  assertEquals(namesIn(await hubModel(PLACE, 20, hub.options())).var, "FlexVARd20-epo100.pth");
  hub.files.set("FlexVARd20-epo50.pth", new Uint8Array(201));
  await assertRejects(
    () => hubModel(PLACE, 20, hub.options()),
    HubError,
    "Cannot choose a model of depth 20 of hf:owner/name: it has FlexVARd20-epo100.pth and FlexVARd20-epo50.pth",
  );
  // A repository may hold models of several families.
  hub.files.set("var_d30.pth", new Uint8Array(200));
  hub.files.set(VAE, new Uint8Array(200));
  assertEquals(namesIn(await hubModel(PLACE, 30, hub.options())), { var: "var_d30.pth", vae: VAE });
  // Each depth is told once, and of equal ones the first family's is taken.
  hub.files.set("var_d16.pth", new Uint8Array(200));
  await assertRejects(() => hubModel(PLACE, 24, hub.options()), HubError, "; there is depth 16, 20, 30");
  for (const depth of [20, 50, 100]) hub.files.delete(`FlexVARd20-epo${depth}.pth`);
  hub.files.delete("var_d30.pth");
  for (const depth of [16, undefined]) {
    assertEquals(namesIn(await hubModel(PLACE, depth, hub.options())), { var: "var_d16.pth", vae: VAE });
  }
});

Deno.test("hubModel: in the repository of a family only its files are asked for", async () => {
  await using hub = hubOf("FlexVARd16-epo179.pth", "FlexVARd24-epo349.pth", "FlexVAE.pth");
  const place = { repository: "jiaosiyu1999/FlexVAR", revision: "main" };
  hub.repository = place.repository;
  assertEquals(namesIn(await hubModel(place, 24, hub.options())).var, "FlexVARd24-epo349.pth");
  assertEquals(hub.seen.filter(({ path }) => /\/var_d/.test(path)), []);
  const missing = await assertRejects(() => hubModel(place, 30, hub.options()), HubError);
  assertEquals(
    missing.message,
    "Cannot find a model of depth 30 in hf:jiaosiyu1999/FlexVAR; there is depth 16, 24",
  );
  const offline = hub.options({ offline: true, cacheFolder: `${hub.cache}/empty` });
  await assertRejects(() => hubModel(place, 16, offline), HubError, "FlexVARd16-epo179.pth");
});

Deno.test("hubModel: a tokenizer of an unknown name is the only other checkpoint", async () => {
  await using hub = hubOf(
    "FlexVARd16-epo179.pth",
    "FlexVARd20-epo249.pth",
    "tokenizer-of-mine.pth",
    "notes.txt",
  );
  const model = await hubModel(PLACE, 16, hub.options());
  assertEquals(namesIn(model), { var: "FlexVARd16-epo179.pth", vae: "tokenizer-of-mine.pth" });
  assertEquals(await hubModel(PLACE, 16, hub.options({ offline: true })), model);
  hub.files.set("another.pth", new Uint8Array(200));
  await assertRejects(
    () => hubModel(PLACE, 20, hub.options()),
    HubError,
    "which of tokenizer-of-mine.pth, another.pth stands for it is not known",
  );
  hub.files.set("FlexVAE.pth", new Uint8Array(200));
  assertEquals(namesIn(await hubModel(PLACE, 20, hub.options())).vae, "FlexVAE.pth");
  for (const name of ["FlexVAE.pth", "another.pth", "tokenizer-of-mine.pth"]) hub.files.delete(name);
  // What the cache holds of a commit is that commit's, whatever the hub says.
  const fresh = hub.options({ cacheFolder: `${hub.cache}/fresh` });
  await assertRejects(() => hubModel(PLACE, 20, fresh), HubError, "FlexVAE.pth");
});
