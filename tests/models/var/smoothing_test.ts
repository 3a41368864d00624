/** How far VAR mixes vectors, against the released code's numbers. */

import { assertAlmostEquals, assertEquals } from "@std/assert";
import { varMixing } from "../../../models/var/smoothing.ts";

Deno.test("varMixing gives the released code's numbers for ten scales", () => {
  const taus = [0.27, 0.2415, 0.213, 0.1845, 0.156, 0.1275, 0.099, 0.0705, 0.042, 0.0135];
  for (const [scale, expected] of taus.entries()) {
    const { sharpness, tau } = varMixing(scale / 9);
    assertEquals(sharpness, 1 + scale / 9);
    // A few roundings of float64.
    assertAlmostEquals(tau, expected, 1e-15);
  }
});
