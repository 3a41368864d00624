// Squared distances between vectors and 64-bit sums, with the same bits on every device. Expects exact.wgsl
// in front of it. Twin: exact_sums.ts.

// a - b; a difference below 2^-50 counts as 0, since its square leaves the normal numbers, which a device may
// flush to 0.
fn difference(a: f32, b: f32) -> f32 {
  let d = a - b;
  return select(d, 0.0, abs(d) < 0x1p-50f);
}

// Four sums at once: sum + difference(a, b)^2.
fn add_squared_differences(sum: vec4f, a: f32, b: vec4f) -> vec4f {
  let whole = vec4f(a) - b;
  let d = select(whole, vec4f(0.0), abs(whole) < vec4f(0x1p-50f));
  let h = bitcast<vec4f>(bitcast<vec4u>(d) & vec4u(0xfffff000u));
  let l = d - h;
  return ((sum + h * h) + 2.0 * h * l) + l * l;
}

// The largest f32 that does not exceed x.
fn truncate64(x: vec2u) -> f32 {
  let length = select(32u - countLeadingZeros(x.x), 64u - countLeadingZeros(x.y), x.y != 0u);
  if (length <= 24u) {
    return f32(x.x);
  }
  let drop = length - 24u;
  var mantissa = 0u;
  if (drop < 32u) {
    mantissa = shift_right64(x, drop).x;
  } else {
    mantissa = x.y >> (drop - 32u);
  }
  return bitcast<f32>(((126u + length) << 23u) | (mantissa & 0x7fffffu));
}

// 1 / (2 h^2 ln 2), what turns a squared distance into the power of 1/2 that a Gaussian of bandwidth h is; h
// is held between 2^-40 and 2^40.
fn exponent_factor(h: f32) -> f32 {
  var held = select(0x1p-40f, h, h > 0x1p-40f);
  held = select(held, 0x1p40f, held > 0x1p40f);
  // Not the product of the inverse with itself, whose equal parts a compiler may gather and round
  // differently.
  let inverse = reciprocal(held);
  // 0.72134754 is 1 / (2 ln 2).
  return product(inverse, product(inverse, 0.72134754));
}
