/**
 * What is summed over pairs of vectors, in WebAssembly's text format: four values of f32 at a time, or two of
 * f64. `pairs.ts` runs it, `assemble.ts` makes it binary.
 *
 * Rows of both sets are whole vectors of 16 bytes. Loops run at least once: rows are an even number, columns
 * a multiple of 4, steps (vectors of a row) at least 1. Addresses are in bytes, and memory is unchecked but
 * by its size.
 *
 * @module
 */

const COLUMNS = ["a", "b", "c", "d"] as const;

/** Lines for each name, one after the other. */
function each(names: readonly string[], line: (name: string) => string): string {
  return names.map(line).join("\n");
}

/** The lanes of two vectors, 0 to 3 from the first, 4 to 7 from the second. */
function shuffle(lanes: readonly number[], x: string, y: string): string {
  const bytes = lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte));
  return `(i8x16.shuffle ${bytes.join(" ")} ${x} ${y})`;
}

/** How numbers lie in a vector of 16 bytes. */
interface Shape {
  readonly type: "f32x4" | "f64x2";
  /** The power of two of a number's bytes. */
  readonly shift: number;
  /** Adds the sums of each of four vectors to four numbers in a row. */
  readonly addLanes: (sums: string, to: string) => string;
}

function names(sums: string): [string, string, string, string] {
  return COLUMNS.map((column) => `(local.get $${sums}${column})`) as [string, string, string, string];
}

const SINGLE: Shape = {
  type: "f32x4",
  shift: 2,
  // (0 + 2) + (1 + 3).
  addLanes(sums, to) {
    const [a, b, c, d] = names(sums);
    return `
    (local.set $${sums}a (f32x4.add ${shuffle([0, 4, 1, 5], a, b)} ${shuffle([2, 6, 3, 7], a, b)}))
    (local.set $${sums}c (f32x4.add ${shuffle([0, 4, 1, 5], c, d)} ${shuffle([2, 6, 3, 7], c, d)}))
    (v128.store (local.get $${to}) (f32x4.add (v128.load (local.get $${to}))
      (f32x4.add ${shuffle([0, 1, 4, 5], a, c)} ${shuffle([2, 3, 6, 7], a, c)})))`;
  },
};

const DOUBLE: Shape = {
  type: "f64x2",
  shift: 3,
  addLanes(sums, to) {
    const [a, b, c, d] = names(sums);
    const add = (offset: number, x: string, y: string): string => `
    (v128.store offset=${offset} (local.get $${to}) (f64x2.add (v128.load offset=${offset} (local.get $${to}))
      (f64x2.add ${shuffle([0, 1, 4, 5], x, y)} ${shuffle([2, 3, 6, 7], x, y)})))`;
    return add(0, a, b) + add(16, c, d);
  },
};

/**
 * A function that adds a sum over the dimensions for each pair to a matrix [rows, columns]. Two rows and four
 * columns advance together: eight sums, which stay in registers.
 */
function matrix(
  name: string,
  { shift, addLanes }: Shape,
  term: (own: string, sum: string) => string,
): string {
  return `
  (func (export "${name}")
    (param $left i32) (param $right i32) (param $out i32) (param $rows i32) (param $columns i32) (param $steps i32)
    (local $stride i32) (local $pitch i32) (local $end i32) (local $line_end i32) (local $own_end i32)
    (local $own i32) (local $below i32) (local $x v128) (local $y v128) (local $other v128) (local $e v128)
    ${each(COLUMNS, (c) => `(local $${c} i32) (local $x${c} v128) (local $y${c} v128)`)}
    (local.set $stride (i32.shl (local.get $steps) (i32.const 4)))
    (local.set $pitch (i32.shl (local.get $columns) (i32.const ${shift})))
    (local.set $end (i32.add (local.get $out) (i32.mul (local.get $pitch) (local.get $rows))))
    (loop $row
      (local.set $line_end (i32.add (local.get $out) (local.get $pitch)))
      (local.set $own_end (i32.add (local.get $left) (local.get $stride)))
      (local.set $d (local.get $right))
      (loop $column
        (local.set $own (local.get $left))
        (local.set $a (local.get $d))
        (local.set $b (i32.add (local.get $a) (local.get $stride)))
        (local.set $c (i32.add (local.get $b) (local.get $stride)))
        (local.set $d (i32.add (local.get $c) (local.get $stride)))
        ${each(COLUMNS, (c) => `(local.set $x${c} ${ZERO}) (local.set $y${c} ${ZERO})`)}
        (loop $step
          (local.set $x (v128.load (local.get $own)))
          (local.set $y (v128.load (i32.add (local.get $own) (local.get $stride))))
          ${
    each(COLUMNS, (c) => `
          (local.set $other (v128.load (local.get $${c})))
          (local.set $${c} (i32.add (local.get $${c}) (i32.const 16)))
          ${term("x", `x${c}`)}
          ${term("y", `y${c}`)}`)
  }
          (local.set $own (i32.add (local.get $own) (i32.const 16)))
          (br_if $step (i32.lt_u (local.get $own) (local.get $own_end))))
        (local.set $below (i32.add (local.get $out) (local.get $pitch)))
        ${addLanes("x", "out")}
        ${addLanes("y", "below")}
        (local.set $out (i32.add (local.get $out) (i32.const ${4 << shift})))
        (br_if $column (i32.lt_u (local.get $out) (local.get $line_end))))
      (local.set $left (i32.add (local.get $own_end) (local.get $stride)))
      (local.set $out (i32.add (local.get $out) (local.get $pitch)))
      (br_if $row (i32.lt_u (local.get $out) (local.get $end)))))`;
}

const ZERO = "(v128.const i32x4 0 0 0 0)";

function four(value: number): string {
  return `(v128.const f32x4 ${Array(4).fill(value).join(" ")})`;
}

/** 1.5 * 2^23: a float near it holds an integer in its lowest bits. */
const INTEGERS = 12582912;
/**
 * (2^x - 1) / x on [-1/2, 1/2]; with the arithmetic around it 2^x is within 1.7 units of 2^-24, and exact for
 * integers.
 */
const POWER_SERIES = [
  0.6931471824645996,
  0.24022647738456726,
  0.055503323674201965,
  0.00961843691766262,
  0.0013398875016719103,
  0.00015353360504377633,
];

/** Sets $p to 2^$e for $e <= 0: 0 from -127 on, NaN for NaN. Uses $n. */
const POWER = `
    (local.set $e (f32x4.max (local.get $e) ${four(-127)}))
    (local.set $n (f32x4.add (local.get $e) ${four(INTEGERS)}))
    (local.set $e (f32x4.sub (local.get $e) (f32x4.sub (local.get $n) ${four(INTEGERS)})))
    (local.set $p ${
  POWER_SERIES.reduceRight((sum, factor) =>
    `(f32x4.add (f32x4.mul ${sum} (local.get $e)) ${four(factor)})`, ZERO)
})
    (local.set $p (f32x4.mul
      (f32x4.add (f32x4.mul (local.get $p) (local.get $e)) ${four(1)})
      (i32x4.add (i32x4.shl (local.get $n) (i32.const 23)) (v128.const i32x4 ${
  Array(4).fill(127 << 23).join(" ")
}))))`;

/** Swaps halves, then neighbours, to bring what `combine` makes of the four lanes into each. */
function combineLanes(name: string, combine: string): string {
  const x = `(local.get $${name})`;
  return `
    (local.set $${name} (${combine} ${x} ${shuffle([2, 3, 0, 1], x, x)}))
    (local.set $${name} (${combine} ${x} ${shuffle([1, 0, 3, 2], x, x)}))`;
}

/**
 * For each row of squared distances, adds `mantissa * 2^(exponent - square * factor)` over some columns to
 * the row's pair (top, sum), which stands for sum * 2^top. The largest exponent is sought first.
 */
const SUMS = `
  (func (export "sums")
    (param $squares i32) (param $pitch i32) (param $exponents i32) (param $mantissas i32) (param $columns i32)
    (param $pairs i32) (param $rows i32) (param $factor f32)
    (local $end i32) (local $length i32) (local $i i32) (local $f v128) (local $top v128) (local $old v128)
    (local $sum v128) (local $e v128) (local $n v128) (local $p v128)
    (local.set $f (f32x4.splat (local.get $factor)))
    (local.set $length (i32.shl (local.get $columns) (i32.const 2)))
    (local.set $end (i32.add (local.get $pairs) (i32.shl (local.get $rows) (i32.const 3))))
    (loop $row
      (local.set $old (v128.load32_splat (local.get $pairs)))
      (local.set $top (local.get $old))
      (local.set $i (i32.const 0))
      (loop $highest
        ;; Which takes the first one if the second is NaN.
        (local.set $top (f32x4.pmax (local.get $top) (f32x4.sub
          (v128.load (i32.add (local.get $exponents) (local.get $i)))
          (f32x4.mul (v128.load (i32.add (local.get $squares) (local.get $i))) (local.get $f)))))
        (local.set $i (i32.add (local.get $i) (i32.const 16)))
        (br_if $highest (i32.lt_u (local.get $i) (local.get $length))))
      ${combineLanes("top", "f32x4.pmax")}
      (local.set $top (f32x4.ceil (local.get $top)))
      (local.set $sum ${ZERO})
      (local.set $i (i32.const 0))
      (loop $term
        (local.set $e (f32x4.sub
          (f32x4.sub
            (v128.load (i32.add (local.get $exponents) (local.get $i)))
            (f32x4.mul (v128.load (i32.add (local.get $squares) (local.get $i))) (local.get $f)))
          (local.get $top)))
        ${POWER}
        (local.set $sum (f32x4.add (local.get $sum) (f32x4.mul
          (v128.load (i32.add (local.get $mantissas) (local.get $i))) (local.get $p))))
        (local.set $i (i32.add (local.get $i) (i32.const 16)))
        (br_if $term (i32.lt_u (local.get $i) (local.get $length))))
      ${combineLanes("sum", "f32x4.add")}
      (local.set $e (f32x4.sub (local.get $old) (local.get $top)))
      ${POWER}
      (f32.store (local.get $pairs) (f32x4.extract_lane 0 (local.get $top)))
      (f32.store offset=4 (local.get $pairs) (f32.add
        (f32x4.extract_lane 0 (local.get $sum))
        (f32x4.extract_lane 0 (f32x4.mul (local.get $p) (v128.load32_splat offset=4 (local.get $pairs))))))
      (local.set $squares (i32.add (local.get $squares) (local.get $pitch)))
      (local.set $pairs (i32.add (local.get $pairs) (i32.const 8)))
      (br_if $row (i32.lt_u (local.get $pairs) (local.get $end)))))`;

/** Writes `(value - mean) * share` in f64, for each row of values and its share, at any strides. */
const CENTER = `
  (func (export "center")
    (param $values i32) (param $mean i32) (param $mean_end i32) (param $shares i32) (param $shares_end i32)
    (param $out i32) (param $row_stride i32) (param $value_stride i32)
    (local $at i32) (local $to i32)
    (loop $row
      (local.set $at (local.get $mean))
      (local.set $to (local.get $out))
      (loop $value
        (f64.store (local.get $to) (f64.mul
          (f64.sub (f64.promote_f32 (f32.load (local.get $values))) (f64.load (local.get $at)))
          (f64.load (local.get $shares))))
        (local.set $values (i32.add (local.get $values) (i32.const 4)))
        (local.set $to (i32.add (local.get $to) (local.get $value_stride)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $value (i32.lt_u (local.get $at) (local.get $mean_end))))
      (local.set $out (i32.add (local.get $out) (local.get $row_stride)))
      (local.set $shares (i32.add (local.get $shares) (i32.const 8)))
      (br_if $row (i32.lt_u (local.get $shares) (local.get $shares_end)))))`;

/** Square roots of words in a row, in place. */
const ROOTS = `
  (func (export "roots") (param $at i32) (param $end i32)
    (loop $quad
      (v128.store (local.get $at) (f32x4.sqrt (v128.load (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $quad (i32.lt_u (local.get $at) (local.get $end)))))`;

/**
 * Writes sums of rows with weights, `sum + (weight * value)` from the first row to the last, for columns that
 * are a multiple of 8. Weights are a vector apart.
 */
const MIX = `
  (func (export "mix")
    (param $weights i32) (param $weights_end i32) (param $values i32) (param $stride i32)
    (param $out i32) (param $out_end i32)
    (local $weight i32) (local $at i32) (local $w v128) (local $a v128) (local $b v128)
    (loop $column
      (local.set $weight (local.get $weights))
      (local.set $at (local.get $values))
      (local.set $a ${ZERO})
      (local.set $b (local.get $a))
      (loop $row
        (local.set $w (v128.load32_splat (local.get $weight)))
        (local.set $a (f32x4.add (local.get $a) (f32x4.mul (local.get $w) (v128.load (local.get $at)))))
        (local.set $b (f32x4.add (local.get $b)
          (f32x4.mul (local.get $w) (v128.load offset=16 (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (local.get $stride)))
        (local.set $weight (i32.add (local.get $weight) (i32.const 16)))
        (br_if $row (i32.lt_u (local.get $weight) (local.get $weights_end))))
      (v128.store (local.get $out) (local.get $a))
      (v128.store offset=16 (local.get $out) (local.get $b))
      (local.set $values (i32.add (local.get $values) (i32.const 32)))
      (local.set $out (i32.add (local.get $out) (i32.const 32)))
      (br_if $column (i32.lt_u (local.get $out) (local.get $out_end)))))`;

/** Text of the module, with so many pages of memory. */
export function pairsText(pages: number): string {
  const difference = (own: string, sum: string): string => `
          (local.set $e (f32x4.sub (local.get $${own}) (local.get $other)))
          (local.set $${sum} (f32x4.add (local.get $${sum}) (f32x4.mul (local.get $e) (local.get $e))))`;
  const product = ({ type }: Shape) => (own: string, sum: string): string => `
          (local.set $${sum} (${type}.add (local.get $${sum}) (${type}.mul (local.get $${own}) (local.get $other))))`;
  return `(module
  (memory (export "memory") ${pages})
  ${matrix("squares", SINGLE, difference)}
  ${matrix("products", SINGLE, product(SINGLE))}
  ${matrix("wideProducts", DOUBLE, product(DOUBLE))}
  ${CENTER}
  ${SUMS}
  ${ROOTS}
  ${MIX})`;
}
