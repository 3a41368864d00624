// Bandwidths from the deviations of deviation.wgsl, one thread per position.

struct Parameters {
  outputs: u32,
  channels: u32,
  // Silverman's factor.
  factor: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> deviations: array<f32>;
@group(0) @binding(2) var<storage, read_write> bandwidth: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= parameters.outputs) {
    return;
  }
  var sum = 0.0;
  for (var c = 0u; c < parameters.channels; c++) {
    sum += deviations[id.x * parameters.channels + c];
  }
  bandwidth[id.x] = sum / f32(parameters.channels) * parameters.factor;
}
