/** A product of integers is what its definition says, row by row whatever the batch, at extremes too. */

import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { integerProduct } from "../../../models/graphs/integer_product.ts";
import { assertIntegerLayers, assertRowsAlone } from "./integer_layer.ts";

Deno.test("integerProduct: a layer has the sums of its definition", async () => {
  using device = new CpuDevice();
  await assertIntegerLayers({ product: integerProduct, device, cpuProvider: "wasm" });
});

Deno.test("integerProduct: a row has the same bits alone and beside others", async () => {
  using device = new CpuDevice();
  await assertRowsAlone({ product: integerProduct, device, cpuProvider: "wasm" });
});
