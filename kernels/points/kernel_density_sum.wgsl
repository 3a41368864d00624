// Adds up, for each query, what kernel_density.wgsl left for the stretches, and scales it to a density or its
// logarithm. Bindings: partials [batch, stretches, block], two words each: top and sum; scales [batch], a
// mantissa and an exponent each; shares [queries] or [batch, queries], by which the sums are divided if
// `divided` is 1 (else any array); output [batch, queries] as words. One workgroup per 16 queries (x) and
// batch element (y): 16 threads share a query's stretches, and one of them adds their sums in order.
// Infinities and NaN are written as words. Expects nothing in front of it. Twin: kernel_density_sum.ts.

struct Parameters {
  queries: u32,
  stretches: u32,
  first: u32,
  block: u32,
  log: u32,
  divided: u32,
  // Words from one batch element's shares to the next.
  share_stride: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> partials: array<vec2f>;
@group(0) @binding(2) var<storage, read> scales: array<vec2f>;
@group(0) @binding(3) var<storage, read> shares: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<u32>;

const SLICES = 16u;
const WIDTH = 16u;
const LOWEST = -0x1.fffffep+127f;
const NAN_BITS = 0x7fc00000u;
const INFINITE_BITS = 0x7f800000u;
const MINUS_INFINITE_BITS = 0xff800000u;
const LN_2 = 0.6931471805599453f;

// [slice, query].
var<workgroup> sums: array<vec2f, SLICES * WIDTH>;

// 2^x for integers x <= 127, exactly; 0 below -126. The sum is one of integers, since Mesa would add 127 to a
// part of a float x first.
fn power(x: f32) -> f32 {
  return bitcast<f32>((i32(max(x, -127.0)) + 127) << 23u);
}

fn merge(a: vec2f, b: vec2f) -> vec2f {
  let top = max(a.x, b.x);
  return vec2f(top, a.y * power(a.x - top) + b.y * power(b.x - top));
}

// x * 2^exponent.
fn raise(x: f32, exponent: f32) -> f32 {
  let half = floor(clamp(exponent, -252.0, 252.0) * 0.5);
  return x * power(half) * power(clamp(exponent, -252.0, 252.0) - half);
}

fn density(query: u32, element: u32, total: vec2f) -> u32 {
  if ((bitcast<u32>(total.y) & 0x7fffffffu) > INFINITE_BITS) {
    return NAN_BITS;
  }
  if (total.y == 0.0) {
    return select(0u, MINUS_INFINITE_BITS, parameters.log == 1u);
  }
  let scale = scales[element];
  var sum = total.y * scale.x;
  if (parameters.divided == 1u) {
    sum /= shares[element * parameters.share_stride + query];
  }
  let exponent = total.x + scale.y;
  if (parameters.log == 1u) {
    // Between 1 and 2, where log2 has a bound in absolute terms.
    let bits = bitcast<u32>(sum);
    let mantissa = bitcast<f32>((bits & 0x7fffffu) | 0x3f800000u);
    return bitcast<u32>((exponent + f32(i32(bits >> 23u) - 127) + log2(mantissa)) * LN_2);
  }
  return bitcast<u32>(raise(sum, exponent));
}

@compute @workgroup_size(SLICES * WIDTH)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let element = group.y;
  let place = group.x * WIDTH + lane % WIDTH;
  var total = vec2f(LOWEST, 0.0);
  if (place < parameters.block) {
    for (var stretch = lane / WIDTH; stretch < parameters.stretches; stretch += SLICES) {
      total = merge(total, partials[(element * parameters.stretches + stretch) * parameters.block + place]);
    }
  }
  sums[lane] = total;
  workgroupBarrier();
  if (lane < WIDTH && place < parameters.block) {
    for (var slice = 1u; slice < SLICES; slice++) {
      total = merge(total, sums[slice * WIDTH + lane]);
    }
    let query = parameters.first + place;
    output[element * parameters.queries + query] = density(query, element, total);
  }
}
