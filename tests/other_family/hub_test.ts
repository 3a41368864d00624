/**
 * Files on the hub that are not all in one repository, and models that are told apart by names of sizes: what
 * a text-to-image family publishes.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { HubError, hubModel, type HubPlace, loadModel, registerFamily } from "../../mod.ts";
import type { HubCheckpoints } from "../../models/hub_model.ts";
import { FakeHub, sha256 } from "../models/hub/fake_hub.ts";
import { checkpoint } from "./checkpoint.ts";
import { BITS, MOSAIC } from "./mosaic.ts";

registerFamily(MOSAIC);
/** One whose text encoder may lie in several places. */
registerFamily({
  ...MOSAIC,
  name: "tiles",
  title: "Tiles",
  published: {
    repository: "nobody/tiles",
    example: "tiles_2B.bin",
    sizeOf: (file) => /^tiles_(\w+)\.bin$/.exec(file)?.[1],
    transformer: () => undefined,
    others: {
      text: [
        { repository: "somebody/letters", revision: "v2", name: "letters.bin" },
        "letters.bin",
        { repository: "anybody/letters", name: "letters.bin" },
      ],
    },
  },
});

const PLACE: HubPlace = { repository: "owner/name", revision: "main" };
const LETTERS = "letters.safetensors";

/** A file that nobody reads. */
function file(name: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(name.padEnd(200));
}

/** Where the checkpoints lie in the cache. */
function placesIn(hub: FakeHub, model: unknown): string[] {
  return Object.values((model as HubCheckpoints).checkpoints).map((path) =>
    path.slice(hub.cache.length + 1).replace(`/snapshots/${hub.commit}`, "")
  );
}

/** A hub with models of some sizes, and the text encoder in a repository of its own. */
function hubOf(...names: string[]): FakeHub {
  const hub = new FakeHub();
  for (const name of names) hub.files.set(name, file(name));
  hub.others.set("somebody/letters", new Map([[LETTERS, file(LETTERS)]]));
  return hub;
}

Deno.test("loadModel finds a model by the name of its size, and its text encoder elsewhere", async () => {
  await using hub = hubOf();
  const net = await checkpoint("colors.weight", [3, BITS], 12.9898);
  const text = await checkpoint("letters.weight", [128, BITS], 78.233);
  hub.files.set("mosaic_tiny.safetensors", net).set("mosaic_large.safetensors", net);
  hub.others.get("somebody/letters")!.set(LETTERS, text);
  const options = { device: "cpu", size: "tiny", hub: hub.options() } as const;
  {
    await using model = await loadModel("hf:owner/name", options);
    assertEquals([model.family, model.size], ["mosaic", "tiny"]);
    assertEquals(model.fingerprints, { "net as f32": sha256(net), "text as f32": sha256(text) });
  }
  // What is in the cache is found there, in either repository.
  const offline = { ...options, hub: hub.options({ offline: true }) };
  await using again = await loadModel("hf:owner/name", offline);
  assertEquals(again.labels, { kind: "texts" });
  assertEquals(hub.transfers.length, 2);
  // The size that was asked for is that of the file's name; what is in it tells its own.
  await assertRejects(
    () => loadModel("hf:owner/name", { ...options, size: "large" }),
    RangeError,
    'Cannot load the model "Mosaic" as size must be its own, tiny: current value is "large"',
  );
});

Deno.test("hubModel names the sizes that there are", async () => {
  await using hub = hubOf("mosaic_10B.safetensors", "mosaic_2B.safetensors");
  await assertRejects(
    () => hubModel(PLACE, undefined, hub.options()),
    HubError,
    "it has several, say which by its size: 2B, 10B",
  );
  await assertRejects(
    () => hubModel(PLACE, "8B", hub.options()),
    HubError,
    "; there is size 2B, 10B",
  );
  await assertRejects(
    () => hubModel(PLACE, 16, hub.options()),
    HubError,
    "; there is size 2B, 10B",
  );
  hub.files.set("var_d16.pth", file("var_d16.pth"));
  await assertRejects(
    () => hubModel(PLACE, 20, hub.options()),
    HubError,
    "; there is depth 16 or size 2B, 10B",
  );
  await assertRejects(
    () => hubModel(PLACE, undefined, hub.options()),
    HubError,
    "say which by its depth: 16 or size: 2B, 10B",
  );
  assertEquals(placesIn(hub, await hubModel(PLACE, "2B", hub.options())), [
    "models--owner--name/mosaic_2B.safetensors",
    `models--somebody--letters/${LETTERS}`,
  ]);
});

Deno.test("hubModel looks for a part where its family says, in that order", async () => {
  await using hub = hubOf("tiles_2B.bin", "notes.pth");
  const letters = ["models--owner--name/letters.bin", "models--anybody--letters/letters.bin"];
  const found = async (): Promise<string> => {
    const options = hub.options({ cacheFolder: `${hub.cache}/${crypto.randomUUID()}` });
    const places = placesIn(hub, await hubModel(PLACE, "2B", options));
    return places[1]!.slice(37);
  };
  // The only other checkpoint may be the part, as one candidate lies beside the transformer.
  assertEquals(await found(), "models--owner--name/notes.pth");
  hub.others.set("anybody/letters", new Map([["letters.bin", file("letters.bin")]]));
  assertEquals(await found(), letters[1]);
  hub.files.set("letters.bin", file("letters.bin"));
  assertEquals(await found(), letters[0]);
  // The revision that is named is asked for.
  const asked = hub.seen.filter(({ path }) => path.startsWith("/somebody/"));
  assertEquals(new Set(asked.map(({ path }) => path)), new Set(["/somebody/letters/resolve/v2/letters.bin"]));
});

Deno.test("hubModel takes nothing beside the transformer for a part that lies elsewhere", async () => {
  await using hub = hubOf("mosaic_2B.safetensors", "notes.pth");
  hub.others.clear();
  const error = await assertRejects(() => hubModel(PLACE, "2B", hub.options()), HubError);
  assertEquals([error.reason, error.message.includes("somebody/letters")], ["missing", true], error.message);
});
