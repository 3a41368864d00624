// Squared distances, one thread per output word, everything from global memory. Its variations, cosine by the
// textbook formula and f16, are made by the two constants.

struct Parameters {
  rows: u32,
  columns: u32,
  dimensions: u32,
}

override COSINE: bool = false;
override HALVES: bool = false;

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

fn value_a(i: u32) -> f32 {
  if (HALVES) {
    return unpack2x16float(a[i / 2u])[i % 2u];
  }
  return bitcast<f32>(a[i]);
}

fn value_b(i: u32) -> f32 {
  if (HALVES) {
    return unpack2x16float(b[i / 2u])[i % 2u];
  }
  return bitcast<f32>(b[i]);
}

fn squared_distance(row: u32, column: u32) -> f32 {
  var sum = 0.0;
  for (var d = 0u; d < parameters.dimensions; d++) {
    let difference = value_a(row + d) - value_b(column + d);
    sum += difference * difference;
  }
  return sum;
}

fn cosine_distance(row: u32, column: u32) -> f32 {
  var product = 0.0;
  var length_a = 0.0;
  var length_b = 0.0;
  for (var d = 0u; d < parameters.dimensions; d++) {
    let x = value_a(row + d);
    let y = value_b(column + d);
    product += x * y;
    length_a += x * x;
    length_b += y * y;
  }
  return 1.0 - product * inverseSqrt(length_a * length_b);
}

fn distance_of(i: u32) -> f32 {
  let row = i / parameters.columns * parameters.dimensions;
  let column = i % parameters.columns * parameters.dimensions;
  if (COSINE) {
    return cosine_distance(row, column);
  }
  return squared_distance(row, column);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  let pairs = parameters.rows * parameters.columns;
  if (HALVES) {
    if (2u * i < pairs) {
      output[i] = pack2x16float(vec2f(distance_of(2u * i), distance_of(2u * i + 1u)));
    }
  } else if (i < pairs) {
    output[i] = bitcast<u32>(distance_of(i));
  }
}
