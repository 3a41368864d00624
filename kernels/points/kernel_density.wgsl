// For every query, the weighted sum of Gaussian kernels over one stretch of the points, never the matrix of
// all pairs. Bindings: points [batch, count, quads], queries [batch, queries, quads], weights [count] or
// [batch, count], inverse_bandwidths [batch], partials [batch, stretches, block], two words each: top and
// sum. A workgroup takes 4 * LANES queries (x), one stretch of the points (y) and one batch element (z).
// A thread keeps four queries in registers and streams the points past them, which it loads at addresses that
// are the same for the whole workgroup. Rows of more than 8 quads (QUADS = 0) would not fit; there the
// queries are loaded again for every 8 points. A sum is in units of 2^top, where the integer top is the
// largest exponent so far, rounded up: moving it costs no digits, and no exponent is too small. Terms are
// added in pairs, 16 pairs to a group, the groups to the stretch. Expects nothing in front of it. Twin:
// kernel_density.ts.

override QUADS: u32;
override LANES: u32;

struct Parameters {
  count: u32,
  queries: u32,
  quads: u32,
  stretch: u32,
  // The queries of this call.
  first: u32,
  block: u32,
  // Words from one batch element's weights to the next.
  weight_stride: u32,
  leave_one_out: u32,
  // 1 / (2 ln 2).
  half_log2_e: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> points: array<vec4f>;
@group(0) @binding(2) var<storage, read> queries: array<vec4f>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read> inverse_bandwidths: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec2u>;

const GROUP = 32u;
// The exponent of nothing.
const LOWEST = -0x1.fffffep+127f;
const NAN_BITS = 0x7fc00000u;
const INFINITE_BITS = 0x7f800000u;

// Four sums, each in units of 2^top.
struct Sums {
  top: vec4f,
  sum: vec4f,
}

// Quads of the four queries: up to eight of each. Members rather than an array, which would be indexed in a
// loop: that takes 1.03 to 1.13 times as long on llvmpipe at 32 dimensions.
struct Own {
  a: mat4x4f,
  b: mat4x4f,
  c: mat4x4f,
  d: mat4x4f,
  e: mat4x4f,
  f: mat4x4f,
  g: mat4x4f,
  h: mat4x4f,
}

// What a thread needs to know about its pairs of a query and a point.
struct Pairs {
  // From squared distance to exponent.
  factor: f32,
  // Where the weights of the batch element begin.
  weights: u32,
  // The end of the stretch.
  end: u32,
  // The point that each query leaves out, if any.
  without: vec4u,
}

// 2^x for integers x <= 0, exactly; 0 below -126. The sum is one of integers, since Mesa would add 127 to a
// part of a float x first.
fn power(x: vec4f) -> vec4f {
  return bitcast<vec4f>((vec4i(max(x, vec4f(-127.0))) + 127) << vec4u(23u));
}

fn load(rows: vec4u, quad: u32) -> mat4x4f {
  return mat4x4f(queries[rows.x + quad], queries[rows.y + quad], queries[rows.z + quad], queries[rows.w + quad]);
}

// Squared lengths of the differences.
fn squares(x: vec4f, own: mat4x4f) -> vec4f {
  let a = x - own[0];
  let b = x - own[1];
  let c = x - own[2];
  let d = x - own[3];
  return vec4f(dot(a, a), dot(b, b), dot(c, c), dot(d, d));
}

fn distances(row: u32, own: Own) -> vec4f {
  var sum = squares(points[row], own.a);
  if (QUADS > 1u) {
    sum += squares(points[row + 1u], own.b);
  }
  if (QUADS > 2u) {
    sum += squares(points[row + 2u], own.c);
  }
  if (QUADS > 3u) {
    sum += squares(points[row + 3u], own.d);
  }
  if (QUADS > 4u) {
    sum += squares(points[row + 4u], own.e);
  }
  if (QUADS > 5u) {
    sum += squares(points[row + 5u], own.f);
  }
  if (QUADS > 6u) {
    sum += squares(points[row + 6u], own.g);
  }
  if (QUADS > 7u) {
    sum += squares(points[row + 7u], own.h);
  }
  return sum;
}

// A weight as mantissa and exponent; below 2^-126 it counts as 0, as on devices that flush such numbers.
fn weight(pairs: Pairs, point: u32) -> vec2f {
  let bits = bitcast<u32>(weights[pairs.weights + min(point, pairs.end - 1u)]);
  let mantissa = bitcast<f32>((bits & 0x7fffffu) | 0x3f800000u);
  let counts = point < pairs.end && bits >= 0x800000u;
  return select(vec2f(0.0, LOWEST), vec2f(mantissa, f32(i32(bits >> 23u) - 127)), counts);
}

// Two terms more, of points i and i + 1 at these squared distances.
fn add(sums: Sums, pairs: Pairs, i: u32, first: vec4f, second: vec4f) -> Sums {
  let w0 = weight(pairs, i);
  let w1 = weight(pairs, i + 1u);
  let e0 = select(w0.y - first * pairs.factor, vec4f(LOWEST), vec4u(i) == pairs.without);
  let e1 = select(w1.y - second * pairs.factor, vec4f(LOWEST), vec4u(i + 1u) == pairs.without);
  let top = max(sums.top, ceil(max(e0, e1)));
  let terms = w0.x * exp2(e0 - top) + w1.x * exp2(e1 - top);
  return Sums(top, sums.sum * power(sums.top - top) + terms);
}

fn merge(a: Sums, b: Sums) -> Sums {
  let top = max(a.top, b.top);
  return Sums(top, a.sum * power(a.top - top) + b.sum * power(b.top - top));
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let element = group.z;
  let begin = group.y * parameters.stretch;
  let end = min(begin + parameters.stretch, parameters.count);
  let point_rows = element * parameters.count;
  let inverse = inverse_bandwidths[element];
  let place = group.x * 4u * LANES + lane + LANES * vec4u(0u, 1u, 2u, 3u);
  let query = parameters.first + min(place, vec4u(parameters.block - 1u));
  let rows = (element * parameters.queries + query) * parameters.quads;
  let pairs = Pairs(
    inverse * inverse * parameters.half_log2_e,
    element * parameters.weight_stride,
    end,
    select(vec4u(0xffffffffu), query, parameters.leave_one_out == 1u),
  );

  var total = Sums(vec4f(LOWEST), vec4f(0.0));
  // The distances to one of the points, in which a query that is not a number shows.
  var probe = vec4f(0.0);
  if (QUADS > 0u) {
    var own: Own;
    own.a = load(rows, 0u);
    if (QUADS > 1u) {
      own.b = load(rows, 1u);
    }
    if (QUADS > 2u) {
      own.c = load(rows, 2u);
    }
    if (QUADS > 3u) {
      own.d = load(rows, 3u);
    }
    if (QUADS > 4u) {
      own.e = load(rows, 4u);
    }
    if (QUADS > 5u) {
      own.f = load(rows, 5u);
    }
    if (QUADS > 6u) {
      own.g = load(rows, 6u);
    }
    if (QUADS > 7u) {
      own.h = load(rows, 7u);
    }
    for (var start = begin; start < end; start += GROUP) {
      var sums = Sums(vec4f(LOWEST), vec4f(0.0));
      for (var i = start; i < min(start + GROUP, end); i += 2u) {
        probe = distances((point_rows + i) * QUADS, own);
        sums = add(sums, pairs, i, probe, distances((point_rows + min(i + 1u, end - 1u)) * QUADS, own));
      }
      total = merge(total, sums);
    }
  } else {
    let quads = parameters.quads;
    for (var start = begin; start < end; start += GROUP) {
      var sums = Sums(vec4f(LOWEST), vec4f(0.0));
      for (var i = start; i < min(start + GROUP, end); i += 8u) {
        let low_rows = (point_rows + min(i + vec4u(0u, 1u, 2u, 3u), vec4u(end - 1u))) * quads;
        let high_rows = (point_rows + min(i + vec4u(4u, 5u, 6u, 7u), vec4u(end - 1u))) * quads;
        var near = mat4x4f();
        var far = mat4x4f();
        for (var quad = 0u; quad < quads; quad++) {
          let own = load(rows, quad);
          near += mat4x4f(
            squares(points[low_rows.x + quad], own),
            squares(points[low_rows.y + quad], own),
            squares(points[low_rows.z + quad], own),
            squares(points[low_rows.w + quad], own),
          );
          far += mat4x4f(
            squares(points[high_rows.x + quad], own),
            squares(points[high_rows.y + quad], own),
            squares(points[high_rows.z + quad], own),
            squares(points[high_rows.w + quad], own),
          );
        }
        probe = near[0];
        sums = add(sums, pairs, i, near[0], near[1]);
        sums = add(sums, pairs, i + 2u, near[2], near[3]);
        sums = add(sums, pairs, i + 4u, far[0], far[1]);
        sums = add(sums, pairs, i + 6u, far[2], far[3]);
      }
      total = merge(total, sums);
    }
  }

  let stretches = (parameters.count + parameters.stretch - 1u) / parameters.stretch;
  for (var i = 0u; i < 4u; i++) {
    if (place[i] < parameters.block) {
      // Where every point was left out, the sum holds the terms of those.
      var sum = select(bitcast<u32>(total.sum[i]), 0u, total.top[i] == LOWEST);
      if ((bitcast<u32>(probe[i]) & 0x7fffffffu) > INFINITE_BITS) {
        sum = NAN_BITS;
      }
      partials[(element * stretches + group.y) * parameters.block + place[i]] = vec2u(bitcast<u32>(total.top[i]), sum);
    }
  }
}
