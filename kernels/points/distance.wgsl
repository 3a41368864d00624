// Distances or inner products between all rows of a and all rows of b, f32 or f16.
// Bindings: own [batch, own_count, dimensions], others [batch, others_count, dimensions], one of them a and
// one b; own_inverse and others_inverse, their inverse lengths, f32, for the cosine metric; output [batch,
// rows, columns], each row starting at a whole word. A thread holds four own vectors and streams the others
// past them, loaded at addresses that are the same for the whole workgroup: one load serves 256 pairs. Up to
// 32 dimensions the own vectors stay in registers for 32 others; beyond, 8 others and 4 own vectors advance
// together, four dimensions at a time. Sums of exact differences, never the norm expansion, so close rows
// keep their digits and identical rows are at exactly 0. For the cosine metric rows are scaled to length 1,
// as 1 - cos is half the squared distance of unit vectors. Expects nothing in front of it. Twin: distance.ts.

struct Parameters {
  own_count: u32,
  others_count: u32,
  dimensions: u32,
  batch: u32,
  // Workgroups side by side along the own vectors, and below each other along the others.
  tiles_across: u32,
  tiles_down: u32,
  // Lanes of a workgroup that have own vectors, four each.
  lanes: u32,
  // Words from one output of an own vector, of another vector and of a matrix to the next; with f16,
  // own_stride is in halves.
  own_stride: u32,
  other_stride: u32,
  batch_stride: u32,
  // 0xffffffff, which compilers do not know.
  all_bits: u32,
}

const SQUARED_EUCLIDEAN = 0u;
const EUCLIDEAN = 1u;
const COSINE = 2u;
const INNER_PRODUCT = 3u;

override METRIC: u32;
// dimensions / 4, rounded up, if that is at most 8; else 0.
override STEPS: u32;
// Whether dimensions is a multiple of 4.
override ALIGNED: bool;
override HALF_INPUTS: bool;
override HALF_OUTPUT: bool;

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> own: array<vec4u>;
@group(0) @binding(2) var<storage, read> others: array<vec4u>;
@group(0) @binding(3) var<storage, read> own_inverse: array<f32>;
@group(0) @binding(4) var<storage, read> others_inverse: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<u32>;

const LANES = 64u;

fn own_value(i: u32) -> f32 {
  if (HALF_INPUTS) {
    return unpack2x16float(own[i / 8u][i / 2u % 4u])[i % 2u];
  }
  return bitcast<f32>(own[i / 4u][i % 4u]);
}

fn others_value(i: u32) -> f32 {
  if (HALF_INPUTS) {
    return unpack2x16float(others[i / 8u][i / 2u % 4u])[i % 2u];
  }
  return bitcast<f32>(others[i / 4u][i % 4u]);
}

// Four values at a multiple of 4, of the four or eight in a vector.
fn unpacked(words: vec4u, i: u32) -> vec4f {
  if (HALF_INPUTS) {
    let two = select(words.xy, words.zw, i % 8u == 4u);
    return vec4f(unpack2x16float(two.x), unpack2x16float(two.y));
  }
  return bitcast<vec4f>(words);
}

// Rounds for good: `all_bits` keeps compilers from fusing the product into a difference, which would not be 0
// for identical rows.
fn scaled(x: vec4f, scale: f32) -> vec4f {
  if (METRIC == COSINE) {
    return bitcast<vec4f>(bitcast<vec4u>(x * scale) & vec4u(parameters.all_bits));
  }
  return x;
}

// Dimensions d to d + 3 of the vector whose first value is at `first`; zeros beyond the last.
fn own_four(first: u32, d: u32, scale: f32) -> vec4f {
  let i = first + d;
  if (ALIGNED) {
    return scaled(unpacked(own[select(i / 4u, i / 8u, HALF_INPUTS)], i), scale);
  }
  let last = parameters.dimensions - 1u - d;
  let four = vec4f(
    own_value(i),
    own_value(i + min(last, 1u)),
    own_value(i + min(last, 2u)),
    own_value(i + min(last, 3u)),
  );
  return scaled(select(vec4f(), four, vec4u(last) >= vec4u(0u, 1u, 2u, 3u)), scale);
}

fn others_four(first: u32, d: u32, scale: f32) -> vec4f {
  let i = first + d;
  if (ALIGNED) {
    return scaled(unpacked(others[select(i / 4u, i / 8u, HALF_INPUTS)], i), scale);
  }
  let last = parameters.dimensions - 1u - d;
  let four = vec4f(
    others_value(i),
    others_value(i + min(last, 1u)),
    others_value(i + min(last, 2u)),
    others_value(i + min(last, 3u)),
  );
  return scaled(select(vec4f(), four, vec4u(last) >= vec4u(0u, 1u, 2u, 3u)), scale);
}

// Four dimensions of the four own vectors.
fn block(first: vec4u, d: u32, scale: vec4f) -> mat4x4f {
  if (STEPS > 0u && d >= 4u * STEPS) {
    return mat4x4f();
  }
  return mat4x4f(
    own_four(first.x, d, scale.x),
    own_four(first.y, d, scale.y),
    own_four(first.z, d, scale.z),
    own_four(first.w, d, scale.w),
  );
}

// What four dimensions of another vector add to the sums with the four own vectors.
fn terms(x: vec4f, own: mat4x4f) -> vec4f {
  if (METRIC == INNER_PRODUCT) {
    return x * own;
  }
  let d0 = x - own[0];
  let d1 = x - own[1];
  let d2 = x - own[2];
  let d3 = x - own[3];
  return vec4f(dot(d0, d0), dot(d1, d1), dot(d2, d2), dot(d3, d3));
}

// The f16 nearest to x, ties to even, as Float16Array rounds; in integers, since WGSL leaves the rounding and
// what is too large open.
fn half(x: f32) -> u32 {
  let bits = bitcast<u32>(x) & 0x7fffffffu;
  var nearest = (bits - 0x38000000u + 0xfffu + ((bits >> 13u) & 1u)) >> 13u;
  if (bits < 0x38800000u) {
    // Subnormal: multiples of 2^-24, which is the unit of f32 from 0.5 on.
    nearest = bitcast<u32>(bitcast<f32>(bits) + 0.5) - 0x3f000000u;
  } else if (bits > 0x7f800000u) {
    nearest = 0x7e00u;
  } else if (bits >= 0x477ff000u) {
    nearest = 0x7c00u;
  }
  return nearest | ((bitcast<u32>(x) >> 16u) & 0x8000u);
}

// Writes the results of the own vectors `column` with another vector.
fn store(sums: vec4f, column: vec4u, at: u32, scales: vec4f, scale: f32) {
  var values = sums;
  if (METRIC == EUCLIDEAN) {
    values = select(sqrt(sums), vec4f(), sums == vec4f());
  } else if (METRIC == COSINE) {
    // Exactly one of the two has no direction, and the other one is not NaN.
    let apart = (scales == vec4f()) != vec4<bool>(scale == 0.0);
    let real = (bitcast<vec4u>(sums) & vec4u(0x7fffffffu)) <= vec4u(0x7f800000u);
    values = select(0.5 * sums, vec4f(1.0), apart & real);
  }
  let inside = column < vec4u(parameters.own_count);
  if (HALF_OUTPUT) {
    if (inside.x) {
      output[at + column.x / 2u] = half(values.x) | select(0u, half(values.y) << 16u, inside.y);
    }
    if (inside.z) {
      output[at + column.z / 2u] = half(values.z) | select(0u, half(values.w) << 16u, inside.w);
    }
    return;
  }
  let words = bitcast<vec4u>(values);
  let places = at + column * parameters.own_stride;
  if (inside.x) {
    output[places.x] = words.x;
  }
  if (inside.y) {
    output[places.y] = words.y;
  }
  if (inside.z) {
    output[places.z] = words.z;
  }
  if (inside.w) {
    output[places.w] = words.w;
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  let tiles = parameters.tiles_across * parameters.tiles_down;
  let matrix = index / tiles;
  if (matrix >= parameters.batch || lane >= parameters.lanes) {
    return;
  }
  let dimensions = parameters.dimensions;
  let height = select(8u, 32u, STEPS > 0u);
  let start = index % tiles / parameters.tiles_across * height;
  let end = min(start + height, parameters.others_count);
  let last = end - 1u;

  let first_column = index % tiles % parameters.tiles_across * 4u * parameters.lanes;
  var column = first_column + lane + parameters.lanes * vec4u(0u, 1u, 2u, 3u);
  if (HALF_OUTPUT) {
    // Two neighbours to a word.
    column = first_column + 2u * lane + vec4u(0u, 1u, 2u * parameters.lanes, 2u * parameters.lanes + 1u);
  }
  let mine = matrix * parameters.own_count + min(column, vec4u(parameters.own_count - 1u));
  let first = mine * dimensions;
  var scales = vec4f(1.0);
  if (METRIC == COSINE) {
    scales = vec4f(own_inverse[mine.x], own_inverse[mine.y], own_inverse[mine.z], own_inverse[mine.w]);
  }
  let row = matrix * parameters.others_count;
  let at = matrix * parameters.batch_stride;
  let stride = parameters.other_stride;

  if (STEPS > 0u) {
    // Written out: with an array of blocks and a loop over it the same bits take 1.3 to 1.4 times as long on
    // llvmpipe at 32 dimensions, and as long at 4.
    let b0 = block(first, 0u, scales);
    let b1 = block(first, 4u, scales);
    let b2 = block(first, 8u, scales);
    let b3 = block(first, 12u, scales);
    let b4 = block(first, 16u, scales);
    let b5 = block(first, 20u, scales);
    let b6 = block(first, 24u, scales);
    let b7 = block(first, 28u, scales);
    for (var r = start; r < end; r++) {
      let x = (row + r) * dimensions;
      let scale = others_inverse[row + r];
      var sums = terms(others_four(x, 0u, scale), b0);
      if (STEPS > 1u) {
        sums += terms(others_four(x, 4u, scale), b1);
      }
      if (STEPS > 2u) {
        sums += terms(others_four(x, 8u, scale), b2);
      }
      if (STEPS > 3u) {
        sums += terms(others_four(x, 12u, scale), b3);
      }
      if (STEPS > 4u) {
        sums += terms(others_four(x, 16u, scale), b4);
      }
      if (STEPS > 5u) {
        sums += terms(others_four(x, 20u, scale), b5);
      }
      if (STEPS > 6u) {
        sums += terms(others_four(x, 24u, scale), b6);
      }
      if (STEPS > 7u) {
        sums += terms(others_four(x, 28u, scale), b7);
      }
      store(sums, column, at + r * stride, scales, scale);
    }
    return;
  }

  // Others beyond the last are computed as if they were the last, and not stored. Written out, too: an array
  // of sums and a loop over it take 1.15 to 1.3 times as long at 128 and 512 dimensions.
  let lower = row + min(start + vec4u(0u, 1u, 2u, 3u), vec4u(last));
  let upper = row + min(start + vec4u(4u, 5u, 6u, 7u), vec4u(last));
  let x = lower * dimensions;
  let y = upper * dimensions;
  let p = vec4f(others_inverse[lower.x], others_inverse[lower.y], others_inverse[lower.z], others_inverse[lower.w]);
  let q = vec4f(others_inverse[upper.x], others_inverse[upper.y], others_inverse[upper.z], others_inverse[upper.w]);
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();
  var s4 = vec4f();
  var s5 = vec4f();
  var s6 = vec4f();
  var s7 = vec4f();
  for (var d = 0u; d < dimensions; d += 4u) {
    let b = block(first, d, scales);
    s0 += terms(others_four(x.x, d, p.x), b);
    s1 += terms(others_four(x.y, d, p.y), b);
    s2 += terms(others_four(x.z, d, p.z), b);
    s3 += terms(others_four(x.w, d, p.w), b);
    s4 += terms(others_four(y.x, d, q.x), b);
    s5 += terms(others_four(y.y, d, q.y), b);
    s6 += terms(others_four(y.z, d, q.z), b);
    s7 += terms(others_four(y.w, d, q.w), b);
  }
  let results = array<vec4f, 8>(s0, s1, s2, s3, s4, s5, s6, s7);
  let scale = array<f32, 8>(p.x, p.y, p.z, p.w, q.x, q.y, q.z, q.w);
  for (var r = 0u; r < 8u; r++) {
    if (start + r < end) {
      store(results[r], column, at + (start + r) * stride, scales, scale[r]);
    }
  }
}
