/**
 * What products of integers must do by the native provider, as tests for a process of its own, which
 * `native_graph_session_test.ts` runs with `--no-lock`.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { openModelSource } from "../../../models/convert.ts";
import { integerProduct } from "../../../models/graphs/integer_product.ts";
import { measureIntegers, requireFastIntegers } from "../../../models/graphs/integer_speed.ts";
import { loadModel } from "../../../models/load.ts";
import type { Model } from "../../../models/model.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { VAR } from "../../../models/var/family.ts";
import type { Compute } from "../../../models/weights/dtype.ts";
import { goldenCheckpoints } from "../../fixtures/golden/golden.ts";
import { assertSameAlone } from "../class_conditional/alone.ts";
import { flexVarCheckpoints } from "../flexvar/checkpoints.ts";
import { assertIntegerLayers, assertRowsAlone } from "./integer_layer.ts";

/** Whether this processor has products of integers; where it has none, the refusal is what can be tested. */
async function fastIntegers(): Promise<boolean> {
  const { floats, integers, exact } = await measureIntegers();
  assert(floats > 0 && integers > 0);
  const refusal = await requireFastIntegers({ provider: "native" }).then(() => undefined, (error) => error);
  if (refusal === undefined) return true;
  assert(refusal instanceof RangeError && (!exact || /gains too little/.test(refusal.message)), `${refusal}`);
  return false;
}

Deno.test("integerProduct: natively, too, a layer has the sums of its definition", async () => {
  if (!await fastIntegers()) return;
  using device = new CpuDevice();
  await assertIntegerLayers({ product: integerProduct, device, cpuProvider: "native" });
});

Deno.test("integerProduct: natively, too, a row has the same bits alone and beside others", async () => {
  using device = new CpuDevice();
  await assertRowsAlone({ product: integerProduct, device, cpuProvider: "native" });
});

Deno.test("VAR: by products of integers an image alone is to the bit what it is in a batch", async () => {
  if (!await fastIntegers()) return;
  using device = new CpuDevice();
  await assertSameAlone(device, { cpuProvider: "native", compute: "int8" });
});

/** Logits of the second scale, of the model's first label or a prompt. */
async function secondLogits(model: Model): Promise<Float32Array> {
  const label = model.labels.kind === "classes" ? 3 : "a red cube";
  using generation = await model.start({ labels: [model.resolveLabel(label)], guided: true });
  using first = await generation.logits();
  assert(first.length > 0);
  using tokens = model.device.allocate(model.tokens.words);
  generation.accept(tokens);
  using logits = await generation.logits();
  return await readFloats(logits);
}

/**
 * Root mean square of what integers may change, as a share of the deviation. Rounding to 127 steps of the
 * largest of normal numbers, which is 3 to 4 deviations, makes an error of 3.5 / 127 / √12 = 0.8 % of
 * theirs; of both sides 1.1 %, and of the four products of each of at most 4 blocks, if none of it is lost
 * and none cancels, 1.1 % · √17 = 4.6 %.
 */
const INTEGER_ERROR = 0.046;

Deno.test("loadModel: products of integers give the logits of floats up to their rounding, in every family", async () => {
  if (!await fastIntegers()) return;
  const flexvar = await flexVarCheckpoints();
  for (const source of ["demo", "demo-t2i", flexvar]) {
    const logitsOf = async (compute: Compute): Promise<Float32Array> => {
      await using model = await loadModel(source, {
        device: "cpu",
        cpuProvider: "native",
        threads: 2,
        compute,
      });
      assertEquals([model.compute, model.dtype], [compute, "f32"]);
      return await secondLogits(model);
    };
    const [wanted, found] = [await logitsOf("f32"), await logitsOf("int8")];
    const power = (values: Float32Array) =>
      Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    const error = power(found.map((value, i) => value - wanted[i]!)) / power(wanted);
    // As small as that of floats alone, nothing would have been rounded.
    assert(
      error > 1e-4 && error < INTEGER_ERROR,
      `${typeof source === "string" ? source : "FlexVAR"}: ${error}`,
    );
  }
});

Deno.test("loadModel: weights for products of integers take a quarter, and those that are rounded are refused", async () => {
  if (!await fastIntegers()) return;
  const options = { device: "cpu", cpuProvider: "native", compute: "int8" } as const;
  await using model = await loadModel("demo", options);
  await using floats = await loadModel("demo", { ...options, compute: "f32" });
  assertEquals([model.compute, floats.compute, model.storedDtype], ["int8", "f32", "f16"]);
  assert(Object.keys(model.fingerprints).includes("transformer.safetensors as int8"));
  assert(model.weightBytes < floats.weightBytes);
  await assertRejects(
    () => loadModel("demo", { ...options, memory: 1000 }),
    RangeError,
    "Cannot load the model as int8 as it needs ",
  );
  using folder = await openModelSource(goldenCheckpoints("var-adaln"), { dtype: "q8" });
  using device = new CpuDevice();
  const error = await assertRejects(
    () => VAR.load(folder, device, { cpuProvider: "native", compute: "int8" }),
    ModelFileError,
    "Cannot convert weights that are quantized, as what is lost would be lost twice",
  );
  assertEquals(error.found, "q8");
});
