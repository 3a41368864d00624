/** Settings of VAR-Scaling for VAR models: the paper's tables, and what a folder says about its model. */

import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { alphaPreset, varSearch } from "../../../models/var/alpha.ts";

Deno.test("alphaPreset: alpha by depth, scale and number of samples, as the paper's tables have it", () => {
  const samples = [20, 50, 100] as const;
  const byDepth = { 16: [2.4, 2.4, 2.6], 20: [2.3, 2.4, 2.5], 24: [2.7, 2.7, 2.8], 30: [2.3, 2.4, 2.4] };
  for (const [depth, row] of Object.entries(byDepth)) {
    assertEquals(samples.map((n) => alphaPreset({ depth: Number(depth), scale: 1, samples: n })), row);
  }
  const byScale = [
    [2.3, 2.4, 2.5],
    [2.3, 2.4, 2.4],
    [1.7, 1.7, 1.8],
    [1.9, 1.9, 1.8],
    [1.9, 1.9, 2.0],
    [1.8, 1.8, 2.0],
    [1.7, 1.7, 1.9],
    [1.4, 1.4, 1.5],
    [1.2, 1.2, 1.3],
    [1.1, 1.1, 1.3],
  ];
  for (const [scale, row] of byScale.entries()) {
    assertEquals(samples.map((n) => alphaPreset({ depth: 30, scale, samples: n })), row);
  }
  // The nearest column and depth, the lower one in the middle; a shift between depths at other scales; the
  // last row beyond the table.
  assertEquals(alphaPreset({ depth: 4, scale: 1, samples: 1 }), 2.4);
  assertEquals(alphaPreset({ depth: 36, scale: 1, samples: 5000 }), 2.4);
  assertEquals(alphaPreset({ depth: 22, scale: 1, samples: 35 }), 2.3);
  assertEquals(alphaPreset({ depth: 30, scale: 0, samples: 75 }), 2.4);
  assertEquals(alphaPreset({ depth: 24, scale: 2, samples: 50 }), 2);
  assertEquals(alphaPreset({ depth: 16, scale: 9, samples: 100 }), 1.5);
  assertEquals(alphaPreset({ depth: 30, scale: 12, samples: 50 }), 1.1);
});

Deno.test("alphaPreset: a number that is none has no alpha", () => {
  for (const wrong of [{ depth: 0 }, { scale: -1 }, { samples: 0 }, { samples: 1.5 }]) {
    assertThrows(() => alphaPreset({ depth: 16, scale: 1, samples: 50, ...wrong }), RangeError, "find alpha");
  }
});

Deno.test("varSearch: a model without tuning is searched as the paper says", () => {
  const { scale, alpha, conflictThreshold, published } = varSearch(24, {});
  assertEquals([scale, conflictThreshold], [1, 1.8]);
  assertEquals(alpha({ scale: 1, samples: 50 }), 2.7);
  assertEquals(alpha({ scale: 2, samples: 50 }), 2);
  assertEquals(published, { cfg: 1, alpha: 2.3, conflictThreshold: 1.8, scale: 1, samples: 50 });
});

Deno.test("varSearch: a folder's tuning shifts alpha on all scales, and replaces the threshold", () => {
  const { alpha, conflictThreshold, published } = varSearch(30, { alpha: 1.9, conflictThreshold: 0.4 });
  assertEquals(conflictThreshold, 0.4);
  // Depth 30 has 2.4 at scale 1 with 50 candidates, so all is 0.5 less.
  assertAlmostEquals(alpha({ scale: 1, samples: 50 }), 1.9, 1e-12);
  assertAlmostEquals(alpha({ scale: 2, samples: 100 }), 1.3, 1e-12);
  assertEquals(published.conflictThreshold, 1.8);
});

Deno.test("varSearch: a folder's alpha is meant at its scale with its candidates, to the last digit", () => {
  const { scale, samples, alpha, published } = varSearch(16, { scale: 2, samples: 100, alpha: 1.37 });
  assertEquals([scale, samples, alpha({ scale: 2, samples: 100 })], [2, 100, 1.37]);
  // The paper has 1.7 and 1.8 at depth 30; depth 16 has as much as that with 50, and 0.2 more with 100.
  assertEquals(alpha({ scale: 2, samples: 50 }), 1.07);
  assertEquals([published.scale, published.samples], [1, 50]);
});

Deno.test("varSearch: no alpha that follows from a folder's is out of range", () => {
  const settings = [1, 20, 50, 100].flatMap((samples) => [0, 1, 5, 9].map((scale) => ({ scale, samples })));
  for (const tuned of [0, 2 ** 20]) {
    const { alpha } = varSearch(16, { scale: 1, samples: 100, alpha: tuned });
    assertEquals(alpha({ scale: 1, samples: 100 }), tuned);
    for (const setting of settings) {
      assert(alpha(setting) >= 0 && alpha(setting) <= 2 ** 20, `${alpha(setting)}`);
    }
  }
});
