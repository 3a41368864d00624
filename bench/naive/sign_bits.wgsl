// Bits by sign, one thread per token, which reads all of its channels.

struct Parameters {
  count: u32,
  positions: u32,
  channels: u32,
  planes: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> features: array<f32>;
@group(0) @binding(2) var<storage, read_write> bits: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  let channels = parameters.channels;
  let positions = parameters.positions;
  if (i >= parameters.count) {
    return;
  }
  let stride = (channels + 31u) / 32u;
  for (var w = 0u; w < stride; w++) {
    bits[i * stride + w] = 0u;
  }
  for (var c = 0u; c < channels; c++) {
    var source = i * channels + c;
    if (parameters.planes == 1u) {
      source = (i / positions * channels + c) * positions + i % positions;
    }
    if (features[source] > 0.0) {
      bits[i * stride + c / 32u] |= 1u << (c % 32u);
    }
  }
}
