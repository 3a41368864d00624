// Codes of bits, one thread per token, which writes all of its channels.

struct Parameters {
  count: u32,
  positions: u32,
  channels: u32,
  planes: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> bits: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  let channels = parameters.channels;
  let positions = parameters.positions;
  if (i >= parameters.count) {
    return;
  }
  let size = inverseSqrt(f32(channels));
  for (var c = 0u; c < channels; c++) {
    var target_index = i * channels + c;
    if (parameters.planes == 1u) {
      target_index = (i / positions * channels + c) * positions + i % positions;
    }
    let bit = (bits[i * ((channels + 31u) / 32u) + c / 32u] >> (c % 32u)) & 1u;
    output[target_index] = (2.0 * f32(bit) - 1.0) * size;
  }
}
