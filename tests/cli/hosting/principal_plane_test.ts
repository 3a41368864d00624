/** The plane of two principal axes: against vectors that were put together from known ones. */

import { assertAlmostEquals, assertEquals } from "@std/assert";
import { principalPlane } from "../../../cli/hosting/principal_plane.ts";

/** Vectors of `length` numbers: for each row, scores times axes, around a centre. */
function vectorsOf(
  scores: readonly (readonly number[])[],
  axes: readonly (readonly number[])[],
): Float32Array {
  const length = axes[0]!.length;
  return Float32Array.from({ length: scores.length * length }, (_, at) => {
    const i = at % length;
    return 3 - i + scores[Math.floor(at / length)]!.reduce((sum, score, k) => sum + score * axes[k]![i]!, 0);
  });
}

/** Three axes at right angles; the entry of each that is largest in size is positive. */
const AXES = [[0.6, 0.8, 0, 0], [-0.48, 0.36, 0.8, 0], [0, 0, 0, 1]];

Deno.test("principalPlane: vectors made of known scores come back as those", () => {
  // Scores of mean zero whose columns are orthogonal, the third one smallest.
  const scores = [[5, 1, 0.2], [-5, 1, -0.2], [5, -1, -0.2], [-5, -1, 0.2], [0, 3, 0.1], [0, -3, -0.1]];
  // The third column has no product with the first one, and hardly any with the second one.
  const points = principalPlane(vectorsOf(scores, AXES), 6, 4);
  for (const [row, [x, y]] of scores.entries()) {
    assertAlmostEquals(points[2 * row]!, x!, 0.02);
    assertAlmostEquals(points[2 * row + 1]!, y!, 0.05);
  }
});

Deno.test("principalPlane: fewer than two directions leave numbers of 0", () => {
  const line = principalPlane(vectorsOf([[2], [0], [-2]], AXES.slice(0, 1)), 3, 4);
  for (const [i, value] of [2, 0, 0, 0, -2, 0].entries()) assertAlmostEquals(line[i]!, value, 1e-5);
  assertEquals([...principalPlane(vectorsOf([[0], [0]], AXES.slice(0, 1)), 2, 4)], [0, 0, 0, 0]);
  assertEquals([...principalPlane(Float32Array.of(7, 8), 1, 2)], [0, 0]);
  // More numbers than vectors.
  const [a, , b] = principalPlane(Float32Array.of(0, 3, 4, 0, 0, 0), 2, 3);
  assertAlmostEquals(a!, 2.5, 1e-6);
  assertAlmostEquals(b!, -2.5, 1e-6);
});
