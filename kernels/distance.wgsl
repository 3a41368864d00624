// Distances between all rows of a and all rows of b, squared Euclidean or cosine.
// Bindings: a [rows, dimensions], b [columns, dimensions], output [rows, columns]. One workgroup of 64 threads computes 32 x 32 distances,
// 4 x 4 to a thread, and walks the dimensions in tiles of 16 held in workgroup memory: each value is loaded from there once for four
// distances (7 times as fast on llvmpipe as one distance to a thread, at 1024 x 1024 x 32). Expects exact.wgsl in front of it.
// Sums of exact differences, never the norm expansion, so close rows keep their digits and identical rows are at exactly 0. For the
// cosine metric the rows are scaled to length 1 on their way into the tiles (1 - cos is half the squared distance of unit vectors);
// from there they come rounded, so that no product is fused into the difference. Twin: distance.ts.

struct Parameters {
  rows: u32,
  columns: u32,
  dimensions: u32,
  cosine: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

const SIDE = 32u;
const DEPTH = 16u;

// 16 dimensions of 32 rows each, four rows to a vector: [d, row / 4].
var<workgroup> tile_a: array<vec4f, 128>;
var<workgroup> tile_b: array<vec4f, 128>;
// Inverse lengths of the 32 rows of a, then of the 32 rows of b; 1 for the Euclidean metric, 0 for a row without a direction.
var<workgroup> scales: array<f32, 64>;

fn value_a(row: u32, d: u32) -> f32 {
  if (row >= parameters.rows || d >= parameters.dimensions) {
    return 0.0;
  }
  return a[row * parameters.dimensions + d];
}

fn value_b(row: u32, d: u32) -> f32 {
  if (row >= parameters.columns || d >= parameters.dimensions) {
    return 0.0;
  }
  return b[row * parameters.dimensions + d];
}

fn inverse_length(lane: u32, first_row: u32, first_column: u32) -> f32 {
  var sum = 0.0;
  for (var d = 0u; d < parameters.dimensions; d++) {
    if (lane < SIDE) {
      sum = add_square(sum, value_a(first_row + lane, d));
    } else {
      sum = add_square(sum, value_b(first_column + lane - SIDE, d));
    }
  }
  return select(0.0, inverseSqrt(sum), sum >= 0x1p-100f);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tiles_across = (parameters.columns + SIDE - 1u) / SIDE;
  let index = group.y * groups.x + group.x;
  let first_row = index / tiles_across * SIDE;
  let first_column = index % tiles_across * SIDE;
  if (first_row >= parameters.rows) {
    return;
  }
  let y = lane / 8u;
  let x = lane % 8u;

  scales[lane] = 1.0;
  if (parameters.cosine == 1u) {
    scales[lane] = inverse_length(lane, first_row, first_column);
  }
  workgroupBarrier();

  var sums = array<vec4f, 4>();
  for (var start = 0u; start < parameters.dimensions; start += DEPTH) {
    for (var i = lane; i < 128u; i += 64u) {
      let d = start + i / 8u;
      let q = i % 8u * 4u;
      let row = first_row + q;
      let column = first_column + q;
      tile_a[i] = vec4f(value_a(row, d), value_a(row + 1u, d), value_a(row + 2u, d), value_a(row + 3u, d)) *
        vec4f(scales[q], scales[q + 1u], scales[q + 2u], scales[q + 3u]);
      let p = SIDE + q;
      tile_b[i] = vec4f(value_b(column, d), value_b(column + 1u, d), value_b(column + 2u, d), value_b(column + 3u, d)) *
        vec4f(scales[p], scales[p + 1u], scales[p + 2u], scales[p + 3u]);
    }
    workgroupBarrier();
    for (var d = 0u; d < DEPTH; d++) {
      let of_a = tile_a[d * 8u + y];
      let of_b = tile_b[d * 8u + x];
      let d0 = of_a.x - of_b;
      sums[0] += d0 * d0;
      let d1 = of_a.y - of_b;
      sums[1] += d1 * d1;
      let d2 = of_a.z - of_b;
      sums[2] += d2 * d2;
      let d3 = of_a.w - of_b;
      sums[3] += d3 * d3;
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < 4u; i++) {
    let row = 4u * y + i;
    for (var j = 0u; j < 4u; j++) {
      let column = 4u * x + j;
      var distance = sums[i][j];
      if (parameters.cosine == 1u) {
        distance *= 0.5;
        // Exactly one of the two has no direction.
        if ((scales[row] == 0.0) != (scales[SIDE + column] == 0.0)) {
          distance = 1.0;
        }
      }
      if (first_row + row < parameters.rows && first_column + column < parameters.columns) {
        output[(first_row + row) * parameters.columns + first_column + column] = distance;
      }
    }
  }
}
