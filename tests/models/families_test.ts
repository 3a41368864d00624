/** Which families are known, and a family of one's own. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import { convertModel, describeCheckpoint, openModelSource } from "../../models/convert.ts";
import { openCheckpoint } from "../../models/checkpoint/mod.ts";
import { FAMILIES, familyNamed, registerFamily } from "../../models/families.ts";
import type { CheckpointPart, Family } from "../../models/family.ts";
import { openModelFolder } from "../../models/folder/model_folder.ts";
import { createModelFolder } from "../../models/folder/folder_writer.ts";
import { type HubCheckpoints, hubModel } from "../../models/hub_model.ts";
import { DEMO_MODEL, loadModel } from "../../models/load.ts";
import { ModelFileError } from "../../models/model_file_error.ts";
import { VAR } from "../../models/var/family.ts";
import { goldenCheckpoints } from "../fixtures/golden/golden.ts";
import { FakeHub } from "./hub/fake_hub.ts";
import { inFolder } from "./folder/small_folder.ts";
import "../native.ts";

Deno.test("familyNamed: families are known by name", () => {
  assertEquals(FAMILIES.map(({ name, title }) => [name, title]), [
    ["var", "VAR"],
    ["flexvar", "FlexVAR"],
    ["infinity", "Infinity"],
  ]);
  assert(familyNamed("var") === VAR);
  const error = assertThrows(() => familyNamed("VAR"), RangeError);
  assertEquals(
    error.message,
    'Cannot find the family as its name must be "var" or "flexvar" or "infinity": current value is "VAR"',
  );
  assertThrows(
    () => registerFamily(familyNamed("var")),
    RangeError,
    'Cannot register the family "var" as there is one of this name',
  );
});

Deno.test("FAMILIES: a folder whose sizes are none leaves nothing open", async () => {
  for (const family of FAMILIES) {
    const disposed: string[] = [];
    const folder = await openModelFolder(DEMO_MODEL);
    const damaged = {
      ...folder,
      hasWeights: (part: string) => folder.hasWeights(part),
      location: "damaged",
      manifest: { ...folder.manifest, config: {} },
      [Symbol.dispose]: () => {
        disposed.push("folder");
        folder[Symbol.dispose]();
      },
    };
    const device = new CpuDevice();
    device[Symbol.dispose] = () => disposed.push("device");
    const error = await assertRejects(
      () => family.load(damaged, device, { ownsDevice: true }),
      ModelFileError,
    );
    assert(error.message.includes("damaged/model.json"), error.message);
    assertEquals(disposed, ["folder", "device"]);
  }
});

Deno.test("FAMILIES: every family is told by the names of its published files", () => {
  for (const { published, parts, name } of FAMILIES) {
    const size = published.sizeOf(published.example)!;
    assertEquals([published.transformer(size)].flat()[0], published.example);
    for (const part of parts.slice(1)) {
      const files = published.others(size, published.repository)[part.name]!;
      assert(files.length > 0);
      for (const file of files) {
        const name = typeof file === "string" ? file : file.name;
        assertEquals(FAMILIES.flatMap((family) => family.published.sizeOf(name) ?? []), []);
      }
    }
    for (const other of FAMILIES) {
      if (other.name !== name) assertEquals(other.published.sizeOf(published.example), undefined);
    }
  }
});

/** VAR's models, whose two parts have names of their own. */
function familyOfOnesOwn(): Family {
  const [transformer, tokenizer] = VAR.parts as [CheckpointPart, CheckpointPart];
  return {
    ...VAR,
    name: "mine",
    title: "Mine",
    parts: [{ ...transformer, name: "network" }, { ...tokenizer, name: "codes" }],
    published: {
      repository: "owner/name",
      example: "network-2.bin",
      sizeOf: (file) => file === "network-2.bin" ? 2 : undefined,
      transformer: () => undefined,
      others: () => ({ codes: ["first.bin", "codes.bin"] }),
    },
    modelName: () => "My model",
  };
}

Deno.test("registerFamily: a family of one's own is used like any other", () =>
  inFolder(async (path) => {
    const { var: network, vae: codes } = goldenCheckpoints("var-adaln");
    const source = { network, codes };
    await assertRejects(
      () => openModelSource(source),
      TypeError,
      "source must be { var, vae } or { infinity, vae, t5? }",
    );
    {
      await using writer = await createModelFolder(`${path}/foreign`);
      await convertModel({ folder: DEMO_MODEL }, writer);
      const file = `${path}/foreign/model.json`;
      const text = await Deno.readTextFile(file);
      await Deno.writeTextFile(file, text.replace('"family": "var"', '"family": "mine"'));
    }
    const unknown = await assertRejects(
      () => loadModel(`${path}/foreign`, { device: "cpu" }),
      ModelFileError,
      "Cannot load a model of this family",
    );
    assertEquals([unknown.expected, unknown.found], ['"var" or "flexvar" or "infinity"', '"mine"']);

    registerFamily(familyOfOnesOwn());
    await assertRejects(
      () => loadModel({ var: network } as never, { device: "cpu" }),
      TypeError,
      "{ infinity, vae, t5? } or { network, codes }: current value is",
    );
    {
      await using model = await loadModel(source, { device: "cpu" });
      assertEquals([model.name, model.size], ["My model", 2]);
      assertEquals(Object.keys(model.fingerprints), ["transformer as f32", "tokenizer as f32"]);
    }
    await using writer = await createModelFolder(`${path}/mine`);
    assertEquals((await convertModel(source, writer)).manifest.family, "mine");
    await using model = await loadModel(`${path}/mine`, { device: "cpu", dtype: "q8" });
    assertEquals([model.name, model.dtype], ["My model", "q8"]);
    // The first family that knows a file has it.
    using checkpoint = await openCheckpoint(network);
    assertEquals((await describeCheckpoint(checkpoint)).family?.name, "var");
    const lost = await assertRejects(() => openModelSource({ network: codes, codes }), ModelFileError);
    assertEquals(lost.expected, 'a tensor "pos_start"');

    // What a transformer is tells what its tokenizer should be, whatever other families have.
    const [transformer, tokenizer] = VAR.parts as [CheckpointPart, CheckpointPart];
    const nowhere = { isIn: () => false };
    const others: [string, Family["parts"]][] = [
      ["alike", [transformer, { ...tokenizer, ...nowhere }]],
      ["unlike", [{ ...transformer, ...nowhere }, { ...tokenizer, ...nowhere, landmark: "odd" }]],
    ];
    for (const [name, parts] of others) registerFamily({ ...VAR, name, parts });
    const half = await assertRejects(() => openModelSource({ var: network, vae: network }), ModelFileError);
    assertEquals([half.file, half.expected], [network.href, 'a tensor "quantize.embedding.weight"']);

    await using hub = new FakeHub();
    hub.files.set("network-2.bin", new Uint8Array(200)).set("codes.bin", new Uint8Array(200));
    const found = await hubModel({ repository: "owner/name", revision: "main" }, 2, hub.options());
    assertEquals(Object.keys((found as HubCheckpoints).checkpoints), ["network", "codes"]);
  }));
