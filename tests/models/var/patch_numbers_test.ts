/** The sides of VAR's token maps, from each of what may tell them. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { patchNumbersOfLevels, readPatchNumbers } from "../../../models/var/patch_numbers.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";

Deno.test("patchNumbersOfLevels: patch numbers come from the scale of each token", () => {
  assertEquals(patchNumbersOfLevels([0, 1, 1, 1, 1], "f"), [1, 2]);
  assertEquals(patchNumbersOfLevels([0, 1], "f"), [1, 1]);
  const odd = [[0, 1, 0, 1, 1, 1], [1, 1, 1, 1, 0], [0, 0, 0, 0, 1], [0, 1e9], [0, 0.5], [NaN], [-1]];
  for (const scales of [[], [0, 1, 1], [0, 2], ...odd]) {
    const error = assertThrows(() => patchNumbersOfLevels(scales, "var.pth"), ModelFileError);
    assertEquals([error.file, error.tensor], ["var.pth", "lvl_1L"]);
  }
});

Deno.test("readPatchNumbers: buffers that can be derived need not be there", async () => {
  const read = (
    [tokens, scales]: readonly [number, number],
    buffers: Record<string, readonly number[]> = {},
  ): Promise<readonly number[]> => {
    const tensors = Object.entries(buffers).map(([name, values]) => {
      const shape = name === "lvl_1L" ? [1, values.length] : [1, 1, tokens, tokens];
      return [name, { shape, dtype: "F32" }] as const;
    });
    return readPatchNumbers({
      set: new WeightSet("var.pth", new Map(tensors)),
      readFloat32: (name) => Promise.resolve(Float32Array.from(buffers[name]!)),
    }, { tokens, scales });
  };
  /** What each token may look at, as it is kept for training. */
  const mask = (levels: readonly number[]): number[] => {
    return levels.flatMap((own) => levels.map((other) => other > own ? -Infinity : 0));
  };
  assertEquals(await read([30, 4]), [1, 2, 3, 4]);
  assertEquals(await read([130, 6]), [1, 2, 3, 4, 6, 8]);
  assertEquals(await read([1, 1]), [1]);
  assertEquals(await read([680, 10]), [1, 2, 3, 4, 5, 6, 8, 10, 13, 16]);
  // A buffer goes before what is likely.
  const levels = [1, 2, 2, 3].flatMap((side, scale) => new Array<number>(side * side).fill(scale));
  assertEquals(await read([18, 4], { lvl_1L: levels }), [1, 2, 2, 3]);
  assertEquals(await read([18, 4], { attn_bias_for_masking: mask(levels) }), [1, 2, 2, 3]);
  // 85 is 4 + 81 and 36 + 49.
  const cases = [[18, 4, "no list of 4"], [86, 3, "more than one list of 3"], [
    5,
    3,
    "no list of 3",
  ]] as const;
  for (const [tokens, scales, found] of cases) {
    const error = await assertRejects(() => read([tokens, scales]), ModelFileError, "Cannot tell the patch");
    assertEquals([error.tensor, error.expected], [
      "lvl_1L",
      `the scale of each of the ${tokens} tokens, or the mask attn_bias_for_masking`,
    ]);
    assert(error.found!.includes(found), error.message);
  }
  // Too many to try them all.
  await assertRejects(() => read([1e12, 40]), ModelFileError, "Cannot tell the patch numbers");
  const blind = new Array<number>(30 * 30).fill(-Infinity);
  await assertRejects(() => read([30, 4], { attn_bias_for_masking: blind }), ModelFileError, "see itself");
});
