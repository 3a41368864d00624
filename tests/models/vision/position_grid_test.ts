import { assert, assertEquals } from "@std/assert";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { resizeGrid } from "../../../models/vision/position_grid.ts";
import { maxDifference } from "../../fixtures/golden/golden.ts";
import { publishedFile, recorded } from "./published_networks.ts";

/** Of values up to 0.6 in f32: a sum of at most 11 products along each axis. */
const ROUNDING = 2e-7;

for (
  const [name, options] of [
    ["dinov2_reg", { antialias: true }],
    ["dinov2", { antialias: false, offset: 0.1 }],
  ] as const
) {
  Deno.test(`resizeGrid: positions of ${name} become those of PyTorch`, async () => {
    using file = await openCheckpoint(await publishedFile(name));
    const all = (await file.readFloat32("pos_embed")).subarray(128);
    const resized = resizeGrid(all, { from: 37, to: 16, channels: 128, ...options });
    const first8 = Float32Array.from({ length: 256 * 8 }, (_, i) => resized[(i >> 3) * 128 + (i & 7)]!);
    const difference = maxDifference(first8, await recorded(`${name}.positions`));
    assert(difference <= ROUNDING, `${difference}`);
  });
}

Deno.test("resizeGrid: a grid of the same size stays as it is, a larger one goes through its points", () => {
  const values = Float32Array.from({ length: 3 * 3 * 2 }, (_, i) => Math.sin(i));
  for (const antialias of [true, false]) {
    assertEquals(resizeGrid(values, { from: 3, to: 3, channels: 2, antialias }), values);
    // Nine points for three: each third one lies on a point.
    const finer = resizeGrid(values, { from: 3, to: 9, channels: 2, antialias });
    for (let i = 0; i < 9; i++) {
      const at = ((3 * Math.floor(i / 3) + 1) * 9 + 3 * (i % 3) + 1) * 2;
      assertEquals(finer.subarray(at, at + 2), values.subarray(2 * i, 2 * i + 2));
    }
  }
});
