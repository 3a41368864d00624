// What guidance has along conditional logits, in plain f32, one workgroup per row.

struct Parameters {
  rows: u32,
  length: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> conditional: array<f32>;
@group(0) @binding(2) var<storage, read> unconditional: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

var<workgroup> parts: array<vec3f, 64>;

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
  var part = vec3f();
  for (var i = lane; i < parameters.length; i += 64u) {
    let value = conditional[row * parameters.length + i];
    let difference = value - unconditional[row * parameters.length + i];
    part += vec3f(difference * value, value * value, difference * difference);
  }
  parts[lane] = part;
  workgroupBarrier();
  if (lane == 0u) {
    for (var i = 1u; i < 64u; i++) {
      part += parts[i];
    }
    sums[3u * row] = part.x;
    sums[3u * row + 1u] = part.y;
    sums[3u * row + 2u] = part.z;
  }
}
