import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { TensorInfo } from "../../../models/checkpoint/mod.ts";
import { openModelSource } from "../../../models/convert.ts";
import type { ModelWeights } from "../../../models/family.ts";
import { inferFlexVarTokenizer, requireFlexVarConfig } from "../../../models/flexvar/config.ts";
import { FLEXVAR } from "../../../models/flexvar/family.ts";
import { IMAGENET_CLASSES } from "../../../models/class_conditional/imagenet.ts";
import { classNamesOf } from "../../../models/label.ts";
import { partPlaces } from "../../../models/part_places.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { type StoredTensor, WeightSet } from "../../../models/weights/weight_set.ts";
import { filledFlexVar, flexVarTensors, safetensors, SMALL_FLEXVAR } from "./checkpoints.ts";

const [transformerPart, tokenizerPart] = FLEXVAR.parts;

/** Tensors as a file's list shows them. */
function stored(
  tensors: readonly { readonly name: string; readonly shape: readonly number[] }[],
  prefix = "",
): Map<string, StoredTensor> {
  return new Map(tensors.map(({ name, shape }) => [prefix + name, { shape, dtype: "F32" }]));
}

function weightsOf(config = SMALL_FLEXVAR): ModelWeights {
  const readFloat32 = (): Promise<never> => Promise.reject(new Error("nothing is to be read"));
  const { transformer, tokenizer } = flexVarTensors(config);
  return {
    transformer: { set: new WeightSet("var.pth", stored(transformer)), readFloat32 },
    tokenizer: { set: new WeightSet("vae.pth", stored(tokenizer)), readFloat32 },
  };
}

Deno.test("FLEXVAR: the parts are found flat, wrapped, and as the trainer saves them", () => {
  const { transformer, tokenizer } = flexVarTensors(SMALL_FLEXVAR);
  const prefixes = (...parts: ReadonlyMap<string, StoredTensor>[]): string[][] => {
    const names = parts.flatMap((part) => [...part]);
    const tensors = new Map(names.map(([name, { shape }]): [string, TensorInfo] => {
      return [name, { name, shape, dtype: "F32" }];
    }));
    return partPlaces(FLEXVAR.parts, { tensors }).map((places) => places.map(({ prefix }) => prefix));
  };
  assertEquals(prefixes(stored(transformer)), [[""], []]);
  assertEquals(prefixes(stored(transformer, "trainer.var_wo_ddp.")), [["trainer.var_wo_ddp."], []]);
  for (const prefix of ["", "model.", "trainer.vae_local."]) {
    assertEquals(prefixes(stored(tokenizer, prefix)), [[], [prefix]]);
  }
  assertEquals(
    prefixes(stored(transformer, "trainer.var_wo_ddp."), stored(tokenizer, "trainer.vae_local.")),
    [["trainer.var_wo_ddp."], ["trainer.vae_local."]],
  );
});

Deno.test("FLEXVAR: VAR's parts are none of FlexVAR's", () => {
  const positions = { name: "pos_1LC", shape: [1, 680, 64] };
  assertEquals(transformerPart!.isIn(stored([{ name: "pos_start", shape: [1, 1, 64] }, positions])), false);
  const codebook = { name: "quantize.embedding.weight", shape: [96, 16] };
  assertEquals(tokenizerPart!.isIn(stored([codebook])), true);
  for (
    const name of [
      "quantize.quant_resi.qresi_ls.0.weight",
      "decoder.up.0.block.0.conv1.weight",
      "encoder.down.0.block.0.conv1.weight",
    ]
  ) {
    assertEquals(tokenizerPart!.isIn(stored([codebook, { name, shape: [1] }])), false);
  }
});

Deno.test("FLEXVAR: sizes are read from the tensors, part by part", async () => {
  assertEquals(await FLEXVAR.infer(weightsOf()), SMALL_FLEXVAR);
  const { transformer, tokenizer } = weightsOf();
  assertEquals(await FLEXVAR.infer({ tokenizer: tokenizer! }), { tokenizer: SMALL_FLEXVAR.tokenizer });
  const { tokenizer: _, ...sizes } = SMALL_FLEXVAR;
  assertEquals(await FLEXVAR.infer({ transformer: transformer! }), sizes);
  const halves = [{ decoder: null }, { encoder: null }, { decoder: null, encoder: null, latentChannels: 4 }];
  for (const half of halves) {
    const config = { ...SMALL_FLEXVAR, tokenizer: { ...SMALL_FLEXVAR.tokenizer, ...half } };
    assertEquals(await FLEXVAR.infer(weightsOf(config)), config);
  }
  // The convolution beside a network that is not there may be.
  const list = flexVarTensors(SMALL_FLEXVAR).tokenizer.filter(({ name }) => !/^(de|en)coder\./.test(name));
  assertEquals(inferFlexVarTokenizer(new WeightSet("vae.pth", stored(list))).latentChannels, 8);
});

Deno.test("FLEXVAR: positions that are no square map are refused", async () => {
  const tensors = flexVarTensors(SMALL_FLEXVAR).transformer.map((tensor) => {
    return tensor.name === "pos_1LC" ? { ...tensor, shape: [1, 64, 8, 4] } : tensor;
  });
  const set = new WeightSet("var.pth", stored(tensors));
  const readFloat32 = (): Promise<never> => Promise.reject(new Error());
  await assertRejects(
    () => FLEXVAR.infer({ transformer: { set, readFloat32 } }),
    ModelFileError,
    "expected [1, 64, 8, 8]",
  );
});

Deno.test("FLEXVAR: all tensors have a place, but for those of training", () => {
  const weights = weightsOf();
  const nowhere = () => ({ file: "", offset: 0, length: 0, type: "float32" as const, shape: [] });
  const graphs = FLEXVAR.graphs(SMALL_FLEXVAR, weights, { transformer: nowhere, tokenizer: nowhere });
  assertEquals([...graphs.keys()], ["condition.onnx", "transformer.onnx", "decoder.onnx", "encoder.onnx"]);
  for (const { weights: name, unused } of FLEXVAR.parts) weights[name]!.set.requireAllTaken(unused);
  // A file without an encoder may hold the convolution after it.
  const decoderOnly = { ...SMALL_FLEXVAR, tokenizer: { ...SMALL_FLEXVAR.tokenizer, encoder: null } };
  const list = flexVarTensors(SMALL_FLEXVAR).tokenizer.filter(({ name }) => !name.startsWith("encoder."));
  const tokenizer = { ...weights.tokenizer!, set: new WeightSet("vae.pth", stored(list)) };
  const fewer = FLEXVAR.graphs(decoderOnly, { ...weights, tokenizer }, {
    transformer: nowhere,
    tokenizer: nowhere,
  });
  assertEquals([...fewer.keys()], ["condition.onnx", "transformer.onnx", "decoder.onnx"]);
  tokenizer.set.requireAllTaken(tokenizerPart!.unused);
  for (
    const name of [
      "attn_bias_for_masking",
      "blocks.3.attn.zero_k_bias",
      "quantize.codebook_used",
    ]
  ) assertEquals(FLEXVAR.parts.map(({ unused }) => unused.test(name)), [true, true]);
  assertEquals(transformerPart!.unused.test("blocks.3.attn.q_bias"), false);
});

Deno.test("published files are told by their names", () => {
  const { published } = FLEXVAR;
  assertEquals(published.repository, "jiaosiyu1999/FlexVAR");
  const files = ["FlexVARd16-epo179.pth", "FlexVARd20-epo249.pth", "FlexVARd24-epo349.pth"];
  assertEquals([16, 20, 24].map((depth) => published.transformer(depth)), files);
  assertEquals(files.map((file) => published.sizeOf(file)), [16, 20, 24]);
  assertEquals(published.sizeOf("FlexVARd30.pth"), 30);
  for (const file of ["FlexVAE.pth", "var_d16.pth", "FlexVARd16-epo179.txt", "old-FlexVARd16-epo179.pth"]) {
    assertEquals(published.sizeOf(file), undefined);
  }
  assertEquals(published.transformer(30), undefined);
  assertEquals(published.others(24, published.repository), { vae: ["FlexVAE.pth"] });
});

Deno.test("FLEXVAR: names, classes and facts", () => {
  assertEquals(FLEXVAR.modelName({ ...SMALL_FLEXVAR, depth: 24 }), "FlexVAR-d24");
  const known = FLEXVAR.labels({ classes: 1000 });
  assertEquals([known?.kind, classNamesOf(known)], ["classes", IMAGENET_CLASSES]);
  assertEquals(FLEXVAR.labels(SMALL_FLEXVAR), { kind: "classes", count: 5, names: [] });
  assertEquals([FLEXVAR.labels({}), FLEXVAR.size(SMALL_FLEXVAR)], [undefined, 1]);
  const facts = new Map(FLEXVAR.describe(SMALL_FLEXVAR));
  assertEquals([...facts.keys()], [
    "transformer",
    "positions",
    "tokenizer",
    "decoder",
    "encoder",
    "pictures",
  ]);
  assertEquals(facts.get("positions"), "a map of 8×8, resized for each token map");
  assertEquals(facts.get("tokenizer"), "48 codes of 4 channels, of length 1");
  assertEquals(facts.get("pictures"), "any multiples of 2 pixels, usually 32×32");
  const { tokenizer, ...transformer } = SMALL_FLEXVAR;
  assertEquals(FLEXVAR.describe(transformer).length, 2);
  assertEquals(FLEXVAR.describe({ tokenizer }).length, 4);
  assertEquals(FLEXVAR.describe({}), []);
});

Deno.test("FLEXVAR: sizes in a folder's description are checked", () => {
  const config = JSON.parse(JSON.stringify(SMALL_FLEXVAR));
  assertEquals(requireFlexVarConfig(config, "model.json"), SMALL_FLEXVAR);
  const refused = (changes: object, expected: string): void => {
    assertThrows(
      () => requireFlexVarConfig({ ...config, ...changes }, "model.json"),
      ModelFileError,
      `a FlexVAR model's "config.${expected}"`,
    );
  };
  refused({ positionSide: 0 }, "positionSide");
  refused({ heads: "1" }, "heads");
  refused({ normalizedAttention: 1 }, "normalizedAttention");
  refused({ tokenizer: null }, "tokenizer");
  refused({ tokenizer: { ...config.tokenizer, latentChannels: undefined } }, "tokenizer.latentChannels");
  refused({ tokenizer: { ...config.tokenizer, encoder: [] } }, "tokenizer.encoder");
});

Deno.test("FLEXVAR: a tensor that is missing is named", async () => {
  const { var: transformer, vae } = filledFlexVar();
  const without = vae.filter(({ name }) => name !== "decoder.mid.1.k.bias");
  const checkpoints = { var: await safetensors(transformer), vae: await safetensors(without) };
  await assertRejects(
    () => openModelSource(checkpoints),
    ModelFileError,
    "decoder.mid.1.k.bias (expected [64])",
  );
});
