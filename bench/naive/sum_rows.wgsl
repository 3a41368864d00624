// Sums of rows in plain f32, one workgroup per row.

struct Parameters {
  rows: u32,
  items: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * groups.x + group.x;
  if (row >= parameters.rows) {
    return;
  }
  var part = 0.0;
  for (var i = lane; i < parameters.items; i += 64u) {
    part += values[row * parameters.items + i];
  }
  parts[lane] = part;
  workgroupBarrier();
  if (lane == 0u) {
    for (var i = 1u; i < 64u; i++) {
      part += parts[i];
    }
    sums[row] = part;
  }
}
