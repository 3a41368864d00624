/**
 * What spatial guidance takes for the prior of a map, in float64 and step by step: bilinear, and the low band
 * of its cosine transform replaced by that of the coarse map.
 *
 * @module
 */

/** Width and height of a map. */
export interface MapSides {
  readonly width: number;
  readonly height: number;
}

type Matrix = number[][];

/** Maps of some tokens, resized: [positions, tokens], of values [positions, `vocabulary`]. */
export function spatialPrior(
  coarse: ArrayLike<number>,
  { from, to, vocabulary, tokens = vocabulary }: {
    readonly from: MapSides;
    readonly to: MapSides;
    readonly vocabulary: number;
    readonly tokens?: number;
  },
): number[] {
  const [down, across] = [operators(from.height, to.height), operators(from.width, to.width)];
  const output = new Array<number>(to.width * to.height * tokens);
  for (let token = 0; token < tokens; token++) {
    const map = Array.from(
      { length: from.height },
      (_, y) =>
        Array.from({ length: from.width }, (_, x) => coarse[(y * from.width + x) * vocabulary + token]!),
    );
    const [smooth, own, low] = [0, 1, 2].map((k) =>
      multiply(multiply(down[k]!, map), transposed(across[k]!))
    );
    for (let y = 0; y < to.height; y++) {
      for (let x = 0; x < to.width; x++) {
        output[(y * to.width + x) * tokens + token] = smooth![y]![x]! + own![y]![x]! - low![y]![x]!;
      }
    }
  }
  return output;
}

/**
 * Along an axis: interpolation, the map's own low band at the new length, the low band of the interpolated.
 */
function operators(length: number, longer: number): Matrix[] {
  const kept = Math.min(length, longer);
  const [before, after] = [basis(length).slice(0, kept), basis(longer).slice(0, kept)];
  const resized = bilinear(length, longer);
  const own = multiply(transposed(after), before).map((row) =>
    row.map((value) => value * Math.sqrt(longer / length))
  );
  return [resized, own, multiply(multiply(transposed(after), after), resized)];
}

/** Orthonormal vectors of the cosine transform. */
function basis(length: number): Matrix {
  return Array.from({ length }, (_, k) =>
    Array.from(
      { length },
      (_, i) => Math.sqrt((k === 0 ? 1 : 2) / length) * Math.cos(Math.PI * k * (i + 0.5) / length),
    ));
}

function bilinear(length: number, longer: number): Matrix {
  return Array.from({ length: longer }, (_, y) => {
    const row = new Array<number>(length).fill(0);
    const center = Math.max(0, (y + 0.5) * length / longer - 0.5);
    const low = Math.min(Math.floor(center), length - 1);
    row[low]! += 1 - (center - low);
    row[Math.min(low + 1, length - 1)]! += center - low;
    return row;
  });
}

function multiply(a: Matrix, b: Matrix): Matrix {
  return a.map((row) => b[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * b[k]![j]!, 0)));
}

function transposed(a: Matrix): Matrix {
  return a[0]!.map((_, j) => a.map((row) => row[j]!));
}
