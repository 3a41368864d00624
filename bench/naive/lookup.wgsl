// Codebook lookup, one thread per token: neighbouring threads write far apart.

struct Parameters {
  total: u32,
  positions: u32,
  vocabulary: u32,
  channels: u32,
  planes: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> codebook: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  let channels = parameters.channels;
  let positions = parameters.positions;
  if (i >= parameters.total / channels) {
    return;
  }
  for (var c = 0u; c < channels; c++) {
    var target_index = i * channels + c;
    if (parameters.planes == 1u) {
      target_index = (i / positions * channels + c) * positions + i % positions;
    }
    output[target_index] = codebook[tokens[i] * channels + c];
  }
}
