// Arithmetic that gives the same bits on every device. WGSL fixes the result of +, - and * on f32 and of all
// integer operations, but it lets a compiler fuse a product into a following sum and leaves division, square
// root and exp2 a few units of slack. So products are split until they are exact (fusing an exact product
// changes nothing), and the rest is done in integers. Stands in front of the kernels that use it. Expects
// nothing in front of it. Twin: exact.ts.

// The upper 12 significant bits of a finite value; the rest, x - upper(x), is exact and has 12 bits too.
fn upper(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
}

// a * b for finite values, to within one and a half units in the last place (three roundings).
// a and b must not be the same value: Mesa then merges equal terms and rounds differently (49,534 of 100,000
// probes of product(x, x) on llvmpipe; none of 100,000 with two values). For squares there is add_square.
// By the letter a compiler might gather al * bh + al * bl, too, which none of those in docs/compilers.md
// does. To mask two of the products with a uniform of ones, as distance.wgsl does, would rule it out, at 2.6
// to 4.6 % of guidance and unit_rows on llvmpipe (medians of 101 pairs).
fn product(a: f32, b: f32) -> f32 {
  let ah = upper(a);
  let al = a - ah;
  let bh = upper(b);
  let bl = b - bh;
  return ((ah * bh + ah * bl) + al * bh) + al * bl;
}

// sum + x * x for finite values.
fn add_square(sum: f32, x: f32) -> f32 {
  let h = upper(x);
  let l = x - h;
  return ((sum + h * h) + 2.0 * h * l) + l * l;
}

// floor(a * b / 2^24) for a, b <= 2^24.
fn multiply24(a: u32, b: u32) -> u32 {
  let ah = a >> 12u;
  let al = a & 0xfffu;
  let bh = b >> 12u;
  let bl = b & 0xfffu;
  return ah * bh + ((ah * bl + al * bh + ((al * bl) >> 12u)) >> 12u);
}

// floor(a * b / 2^24) for a <= 2^24, b <= 2^20: the two upper products are one.
fn multiply24_by_20(a: u32, b: u32) -> u32 {
  return ((a >> 12u) * b + (((a & 0xfffu) * b) >> 12u)) >> 12u;
}

// 2^-t in units of 2^-30 for t >= 0; relative error below 3e-7 plus one unit. 0 from t = 31 on, and for NaN.
fn exp2_negative(t: f32) -> u32 {
  // Fixed point at once: t may be a product at the caller, and t - floor(t) could be fused with it. By way of
  // i32, which is cheaper.
  let fixed = u32(i32(min(t, 31.0) * 16777216.0));
  let f = fixed & 0xffffffu;
  // Chebyshev fit of degree 6 to 2^-f on [0, 1], pinned to 1 at 0, in units of 2^-24.
  var r = 21673u - multiply24_by_20(f, 1929u);
  r = 161014u - multiply24_by_20(f, r);
  r = 931123u - multiply24_by_20(f, r);
  r = 4030325u - multiply24_by_20(f, r);
  r = 11629080u - multiply24(f, r);
  r = 16777216u - multiply24(f, r);
  return select(0u, (r << 6u) >> (fixed >> 24u), t < 31.0);
}

// The largest f32 whose square does not exceed x; for x >= 2^-100, else 0. The device's own root, which may
// be a few units off, is put right in integers: differences of products of 24 bits are small, so their lowest
// 32 bits say all.
fn square_root(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let exponent = i32(bits >> 23u) - 127;
  if (!(x > 0.0) || exponent < -100) {
    return 0.0;
  }
  // x = mantissa * 2^(exponent - 23); the radicand mantissa * 2^(23 or 24) has an even exponent and a root of
  // 24 bits.
  let odd = u32(exponent & 1);
  let mantissa = (bits & 0x7fffffu) | 0x800000u;
  let radicand = mantissa << (23u + odd);
  var root = u32(sqrt(bitcast<f32>(((127u + odd) << 23u) | (bits & 0x7fffffu))) * 8388608.0);
  root += u32(i32(floor(f32(i32(radicand - root * root)) / f32(2u * root))));
  let rest = i32(radicand - root * root);
  root = select(select(root, root + 1u, rest > i32(2u * root)), root - 1u, rest < 0);
  // root has 24 bits and stands for root * 2^((exponent - odd) / 2 - 23).
  let half = (exponent - i32(odd)) / 2;
  return bitcast<f32>((u32(half + 127) << 23u) | (root & 0x7fffffu));
}

// 1 / x, rounded towards 0, for 2^-100 <= x <= 2^100.
fn reciprocal(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let exponent = i32((bits >> 23u) & 0xffu) - 127;
  let mantissa = (bits & 0x7fffffu) | 0x800000u;
  if (mantissa == 0x800000u) {
    return bitcast<f32>(u32(127 - exponent) << 23u);
  }
  // floor(2^47 / mantissa) has 24 bits; the device's own quotient is put right as above. The lowest 32 bits
  // of 2^47 are 0.
  var quotient = u32(8388608.0 * (2.0 / bitcast<f32>(0x3f800000u | (bits & 0x7fffffu))));
  quotient += u32(i32(floor(f32(i32(0u - quotient * mantissa)) / f32(mantissa))));
  let rest = i32(0u - quotient * mantissa);
  quotient = select(select(quotient, quotient + 1u, rest >= i32(mantissa)), quotient - 1u, rest < 0);
  return bitcast<f32>((u32(126 - exponent) << 23u) | (quotient & 0x7fffffu));
}

// Unsigned 64-bit integers as (low, high).
fn add64(a: vec2u, b: vec2u) -> vec2u {
  let low = a.x + b.x;
  return vec2u(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn subtract64(a: vec2u, b: vec2u) -> vec2u {
  return vec2u(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

fn less64(a: vec2u, b: vec2u) -> bool {
  return a.y < b.y || (a.y == b.y && a.x < b.x);
}

// a * b in full.
fn multiply_wide(a: u32, b: u32) -> vec2u {
  let ah = a >> 16u;
  let al = a & 0xffffu;
  let bh = b >> 16u;
  let bl = b & 0xffffu;
  let low = al * bl;
  let middle = ah * bl + (low >> 16u);
  let middle2 = al * bh + (middle & 0xffffu);
  return vec2u((middle2 << 16u) | (low & 0xffffu), ah * bh + (middle >> 16u) + (middle2 >> 16u));
}

// x * 2^-bits, for 0 < bits < 32.
fn shift_right64(x: vec2u, bits: u32) -> vec2u {
  return vec2u((x.x >> bits) | (x.y << (32u - bits)), x.y >> bits);
}

// ceil(total * part / 2^24) for total <= 2^46, part <= 2^24.
fn share(total: vec2u, part: u32) -> vec2u {
  let rounded = add64(multiply_wide(total.x & 0xffffffu, part), vec2u(0xffffffu, 0u));
  let upper_total = shift_right64(total, 24u).x;
  return add64(multiply_wide(upper_total, part), shift_right64(rounded, 24u));
}

// floor(total * u) for total <= 2^46, u the 48-bit fraction made of the upper 24 bits of each word.
fn random_point(total: vec2u, words: vec2u) -> vec2u {
  let upper_total = shift_right64(total, 24u).x;
  let lower_total = total.x & 0xffffffu;
  let a = words.x >> 8u;
  let b = words.y >> 8u;
  var middle = add64(multiply_wide(upper_total, b), multiply_wide(lower_total, a));
  middle = add64(middle, shift_right64(multiply_wide(lower_total, b), 24u));
  return add64(multiply_wide(upper_total, a), shift_right64(middle, 24u));
}
