/**
 * Whether an image alone is the same as in a batch, to the bit, for tests on every provider.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Device } from "../../../kernels/device/device.ts";
import { openModelSource } from "../../../models/convert.ts";
import type { CpuProvider } from "../../../models/graphs/graph_session.ts";
import type { Model } from "../../../models/model.ts";
import { VAR } from "../../../models/var/family.ts";
import { type Compute, DTYPES } from "../../../models/weights/dtype.ts";
import { forceScale, goldenCheckpoints } from "../../fixtures/golden/golden.ts";

/** Logits of every scale of the first image of a batch, with tokens that are made up. */
async function logitsOf(model: Model, classes: readonly number[], guided: boolean): Promise<Float32Array[]> {
  const labels = classes.map((id) => ({ id, name: String(id) }));
  using generation = await model.start({ labels, guided });
  const found: Float32Array[] = [];
  for (const side of model.patchNumbers) {
    const map = Uint32Array.from({ length: side * side }, (_, i) => 7 * i % model.tokens.logits);
    using tokens = model.device.upload(Uint32Array.from(classes.flatMap(() => [...map])));
    const logits = await forceScale(generation, tokens);
    found.push(logits.subarray(0, side * side * model.tokens.logits));
  }
  return found;
}

/** Asserts it for weights of every type, and for products of integers where they are asked for. */
export async function assertSameAlone(
  device: Device,
  { cpuProvider, compute }: { readonly cpuProvider?: CpuProvider; readonly compute?: Compute } = {},
): Promise<void> {
  for (const dtype of compute === undefined ? DTYPES : ["f32"] as const) {
    const options = { dtype, ...(compute && { compute }), ...(cpuProvider && { cpuProvider, threads: 2 }) };
    for (const guided of [false, true]) {
      // One after the other, so that neither finds what the other keeps of classes.
      const run = async (classes: readonly number[]): Promise<Float32Array[]> => {
        const folder = await openModelSource(goldenCheckpoints("var-adaln"), { dtype });
        await using model = await VAR.load(folder, device, options);
        return await logitsOf(model, classes, guided);
      };
      const alone = await run([3]);
      const beside = await run([3, 1, 4]);
      assert(alone.length > 1);
      for (const [scale, logits] of beside.entries()) {
        assertEquals(
          alone[scale],
          logits,
          `${compute ?? dtype}, ${guided ? "with" : "without"} guidance, scale ${scale}`,
        );
      }
    }
  }
}
