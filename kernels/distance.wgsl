// Distances between all rows of a and all rows of b, squared Euclidean or cosine.
// Bindings: a [rows, dimensions], b [columns, dimensions], output [rows, columns]. One workgroup computes 16 x 16 distances and walks
// the dimensions in tiles of 16 held in workgroup memory. Expects exact.wgsl in front of it.
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

const SIDE = 16u;

var<workgroup> tile_a: array<f32, 256>;
var<workgroup> tile_b: array<f32, 256>;
// Inverse lengths of the 16 rows of a, then of the 16 rows of b; 1 for the Euclidean metric, 0 for a row without a direction.
var<workgroup> scales: array<f32, 32>;

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

@compute @workgroup_size(256)
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
  let y = lane / SIDE;
  let x = lane % SIDE;

  // Squared lengths: 8 threads to a row; the tiles hold their partial sums.
  if (parameters.cosine == 1u) {
    let row = lane / 8u;
    var sum = 0.0;
    for (var d = lane % 8u; d < parameters.dimensions; d += 8u) {
      if (row < SIDE) {
        sum = add_square(sum, value_a(first_row + row, d));
      } else {
        sum = add_square(sum, value_b(first_column + row - SIDE, d));
      }
    }
    tile_a[lane] = sum;
  }
  workgroupBarrier();
  if (lane < 32u) {
    var scale = 1.0;
    if (parameters.cosine == 1u) {
      var sum = 0.0;
      for (var i = 0u; i < 8u; i++) {
        sum += tile_a[lane * 8u + i];
      }
      scale = 0.0;
      if (sum >= 0x1p-100f) {
        scale = inverseSqrt(sum);
      }
    }
    scales[lane] = scale;
  }
  workgroupBarrier();

  var sum = 0.0;
  for (var start = 0u; start < parameters.dimensions; start += SIDE) {
    tile_a[lane] = value_a(first_row + y, start + x) * scales[y];
    tile_b[lane] = value_b(first_column + y, start + x) * scales[SIDE + y];
    workgroupBarrier();
    for (var d = 0u; d < SIDE; d++) {
      let difference = tile_a[y * SIDE + d] - tile_b[x * SIDE + d];
      sum += difference * difference;
    }
    workgroupBarrier();
  }

  if (parameters.cosine == 1u) {
    sum *= 0.5;
    // Exactly one of the two has no direction.
    if ((scales[y] == 0.0) != (scales[SIDE + x] == 0.0)) {
      sum = 1.0;
    }
  }
  if (first_row + y < parameters.rows && first_column + x < parameters.columns) {
    output[(first_row + y) * parameters.columns + first_column + x] = sum;
  }
}
