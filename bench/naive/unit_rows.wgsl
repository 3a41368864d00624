// Rows at length 1 in plain f32, one thread per row.

struct Parameters {
  count: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.count) {
    return;
  }
  let start = i * parameters.channels;
  var sum = 0.0;
  for (var c = 0u; c < parameters.channels; c++) {
    sum += input[start + c] * input[start + c];
  }
  for (var c = 0u; c < parameters.channels; c++) {
    output[start + c] = input[start + c] * inverseSqrt(sum);
  }
}
