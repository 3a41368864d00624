// Kept positions of one source map, one thread per word of the target.

struct Parameters {
  count: u32,
  positions: u32,
  channels: u32,
  stride: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> keep: array<u32>;
@group(0) @binding(4) var<storage, read_write> target_maps: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.count || keep[i % parameters.positions] == 0u) {
    return;
  }
  let map = rows[i / parameters.stride] * parameters.channels + i / parameters.positions % parameters.channels;
  target_maps[i] = source[map * parameters.positions + i % parameters.positions];
}
