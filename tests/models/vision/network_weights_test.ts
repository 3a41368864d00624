import { assertEquals, assertThrows } from "@std/assert";
import { type Checkpoint, openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import { describeGraph } from "../../../models/graphs/graph_file.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import {
  findNetwork,
  nameHere,
  nameInFile,
  openNetworkWeights,
  sparing,
  type TensorLayout,
} from "../../../models/vision/network_weights.ts";
import { publishedFile } from "./published_networks.ts";

const LAYOUT: TensorLayout = {
  title: "a test's layout",
  landmark: "end.weight",
  names: [["scoring_head.8.", "end."], ["scoring_head.", "inner."]],
  unused: /^inner\.[24]\./,
};

Deno.test("findNetwork: tensors have our names, and messages theirs", async () => {
  const rename = (name: string): string => `model.${name}`;
  using checkpoint = await openCheckpoint(await publishedFile("v2_5_head", { rename }));
  const { set, tensors } = findNetwork("a head", checkpoint, [LAYOUT]);
  assertEquals(tensors.get("inner.0.bias")?.name, "model.scoring_head.0.bias");
  assertEquals(set.take("end.weight", [1, -1]), [1, 4]);
  assertThrows(() => set.take("inner.9.weight", [1]), ModelFileError, "model.scoring_head.9.weight");
  assertThrows(() => set.take("end.bias", [2]), ModelFileError, "model.scoring_head.8.bias");
});

Deno.test("findNetwork: a file without the network, or with two of it, is refused", async () => {
  using other = await openCheckpoint(await publishedFile("laion_head"));
  const expected = 'expected "scoring_head.8.weight" (a test\'s layout), found 10 other tensors';
  assertThrows(() => findNetwork("a head", other, [LAYOUT]), ModelFileError, expected);
  // Two of ten tensors are no second set, all of them are.
  using head = await openCheckpoint(await publishedFile("v2_5_head"));
  const averaged = (names: readonly string[]): Pick<Checkpoint, "file" | "tensors"> => {
    const others = names.map((name) =>
      [`ema.${name}`, { ...head.tensors.get(name)!, name: `ema.${name}` }] as const
    );
    return { file: "head.pth", tensors: new Map([...head.tensors, ...others]) };
  };
  const names = [...head.tensors.keys()];
  const few = averaged(names.slice(-2)) as Checkpoint;
  assertEquals(findNetwork("a head", few, [LAYOUT]).tensors.get("end.bias")?.name, "scoring_head.8.bias");
  const all = averaged(names) as Checkpoint;
  assertThrows(() => findNetwork("a head", all, [LAYOUT]), ModelFileError, 'found "" and "ema"');
});

Deno.test("openNetworkWeights: values are as stored, in the shape that is asked for, or replaced", async () => {
  using checkpoint = await openCheckpoint(await publishedFile("v2_5_head"));
  const found = findNetwork("a head", checkpoint, [LAYOUT]);
  const values = new Float32Array([1, 2, 3]);
  const wanted = [{ name: "end.weight", shape: [1, 4] }, { name: "end.bias", shape: [1] }];
  using weights = await openNetworkWeights(found, wanted, { "end.bias": { shape: [3], values } });
  assertEquals(await weights.readFloat32("end.bias"), values);
  assertEquals(
    await weights.readFloat32("end.weight"),
    await checkpoint.readFloat32("scoring_head.8.weight"),
  );
  assertEquals([...weights.tensors.keys()].sort(), ["end.bias", "end.weight"]);
});

Deno.test("nameInFile: undoes nameHere", () => {
  for (const name of ["scoring_head.0.weight", "scoring_head.8.bias"]) {
    assertEquals(nameInFile(LAYOUT, nameHere(LAYOUT, name)), name);
  }
});

Deno.test("sparing: halves stay halves where widened they would take more than a GiB", () => {
  const builder = new GraphBuilder("half");
  const place = { file: "w", offset: 0, length: 2, type: "float16", shape: [1] } as const;
  builder.output({ name: "y", type: "float32", shape: [1] }, builder.weight("w", place));
  const graph = builder.bytes();
  const inputs = (rows: number, dtype: "F16" | "F32"): number => {
    const tensors = new Map([["w", { name: "w", dtype, shape: [rows, 1 << 20] }]]);
    return describeGraph(sparing(graph, { tensors })).inputs.length;
  };
  // A weight that stays what it is can be fed.
  assertEquals([inputs(256, "F16"), inputs(257, "F16"), inputs(257, "F32")], [0, 1, 0]);
});
