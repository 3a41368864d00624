/** Model folders of which parts are left out. */

import { assertEquals, assertRejects } from "@std/assert";
import { isLeftOut, PartialFolder } from "../../../models/folder/partial_folder.ts";
import { createVirtualFolder } from "../../../models/folder/virtual_folder.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { FACTS } from "./small_folder.ts";

const LEFT = { weights: ["text_encoder"], files: ["text_tokenizer.json"] };

Deno.test("isLeftOut: weight files, fingerprints and what belongs to them go, and no others", () => {
  const gone = [
    "text_encoder",
    "text_encoder.safetensors",
    "text_encoder-00001-of-00003.safetensors",
    "text_encoder as f16",
    'text_encoder of "ema" as q4',
    "text_encoder.safetensors as q8",
    "text_encoder-00001-of-00003.safetensors as f32",
    "text_tokenizer.json",
  ];
  const kept = [
    "text_encoder.onnx",
    "text_encoder_2.safetensors",
    "my_text_encoder",
    "text_encoder-1.safetensors",
    "transformer as f16",
    'transformer of "text_encoder" as f16',
    "tokenizer.safetensors",
    "model.json",
  ];
  assertEquals(gone.filter((name) => !isLeftOut(name, LEFT)), []);
  assertEquals(kept.filter((name) => isLeftOut(name, LEFT)), []);
});

Deno.test("PartialFolder: what is left out is as if it were not there, and the rest as it was", async () => {
  const bytes = (): Uint8Array => new Uint8Array(4);
  let disposed = 0;
  const prints = { "transformer as f32": "1", "text_encoder as f32": "2", "text_tokenizer.json": "3" };
  await using writer = createVirtualFolder("nowhere", { fingerprints: () => prints });
  writer.own({ [Symbol.dispose]: () => disposed++ });
  for (const part of ["transformer", "text_encoder"]) {
    await writer.writeTensors(part, [{ name: part, dtype: "F32", shape: [1], bytes }]);
  }
  for (const name of ["text_tokenizer.json", "text_encoder.onnx"]) {
    await writer.write(name, new Uint8Array(1));
  }
  const whole = await writer.finish(FACTS);
  {
    using folder = new PartialFolder(whole, LEFT);
    assertEquals([folder.location, folder.manifest], ["nowhere", whole.manifest]);
    assertEquals(["transformer", "text_encoder"].map((part) => folder.hasWeights(part)), [true, false]);
    assertEquals(["transformer", "text_encoder"].map((part) => whole.hasWeights(part)), [true, true]);
    assertEquals(folder.fingerprints, { "transformer as f32": "1" });
    assertEquals([...(await folder.tensors("transformer")).keys()], ["transformer"]);
    using weights = await folder.weights("transformer");
    assertEquals((await weights.read("transformer")).length, 4);
    assertEquals((await folder.read("text_encoder.onnx")).length, 1);
    using source = await folder.open("transformer.safetensors");
    assertEquals(source.file, "nowhere/transformer.safetensors");
    for (
      const use of [
        () => folder.weights("text_encoder"),
        () => folder.tensors("text_encoder"),
        () => folder.read("text_tokenizer.json"),
        () => folder.open("text_encoder.safetensors"),
      ]
    ) {
      await assertRejects(
        use,
        ModelFileError,
        "Cannot use a part of the model that was left out: nowhere/text",
      );
    }
    assertEquals(disposed, 0);
  }
  assertEquals(disposed, 1);
});
