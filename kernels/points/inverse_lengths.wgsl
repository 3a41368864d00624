// 1 / |v| for each row v: 0 for a row shorter than 2^-50, NaN for one that holds NaN or infinity or is longer
// than 2^126. Bindings: input [count, dimensions] f32 or f16, output [count] f32. One thread to a row.
// Expects nothing in front of it. Twin: inverse_lengths.ts.

struct Parameters {
  count: u32,
  dimensions: u32,
  // 1 where the input is f16.
  halves: u32,
  // The bits of NaN, which WGSL cannot spell.
  nan: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

const LANES = 64u;

fn value(i: u32) -> f32 {
  if (parameters.halves == 1u) {
    return unpack2x16float(input[i / 2u])[i % 2u];
  }
  return bitcast<f32>(input[i]);
}

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = id.y * groups.x * LANES + id.x;
  if (row >= parameters.count) {
    return;
  }
  let first = row * parameters.dimensions;
  // Four partial sums, so that their rounding grows with a quarter of the dimensions; once for values 2^30
  // times as large, whose squares do not underflow, and once for values 2^-64 times as large, whose squares
  // do not overflow.
  var large_sums = vec4f();
  var small_sums = vec4f();
  for (var d = 0u; d < parameters.dimensions; d += 4u) {
    let last = parameters.dimensions - 1u - d;
    let i = first + d;
    let four = vec4f(value(i), value(i + min(last, 1u)), value(i + min(last, 2u)), value(i + min(last, 3u)));
    let x = select(vec4f(), four, vec4u(last) >= vec4u(0u, 1u, 2u, 3u));
    let large = x * 0x1p30f;
    let small = x * 0x1p-64f;
    large_sums += large * large;
    small_sums += small * small;
  }
  let large_sum = dot(large_sums, vec4f(1.0));
  let small_sum = dot(small_sums, vec4f(1.0));
  var inverse = select(0.0, inverseSqrt(large_sum) * 0x1p30f, large_sum >= 0x1p-40f);
  // Compared as integers, since these may be infinite or NaN: with the bits of 2^100 and 2^124.
  if ((bitcast<u32>(large_sum) & 0x7fffffffu) > 0x71800000u) {
    inverse = inverseSqrt(small_sum) * 0x1p-64f;
  }
  if ((bitcast<u32>(small_sum) & 0x7fffffffu) > 0x7d800000u) {
    inverse = bitcast<f32>(parameters.nan);
  }
  output[row] = inverse;
}
