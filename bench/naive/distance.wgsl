// Squared distances, one thread per pair, everything from global memory.

struct Parameters {
  rows: u32,
  columns: u32,
  dimensions: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.rows * parameters.columns) {
    return;
  }
  let row = i / parameters.columns * parameters.dimensions;
  let column = i % parameters.columns * parameters.dimensions;
  var sum = 0.0;
  for (var d = 0u; d < parameters.dimensions; d++) {
    let difference = a[row + d] - b[column + d];
    sum += difference * difference;
  }
  output[i] = sum;
}
