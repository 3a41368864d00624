// The residual step, one thread per value: a direct 3 x 3 convolution from global memory.

struct Parameters {
  count: u32,
  channels: u32,
  side: u32,
  keep: f32,
  share: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> features: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> state: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.count) {
    return;
  }
  let side = parameters.side;
  let channels = parameters.channels;
  let output = i / (side * side) % channels;
  let image = i / (side * side * channels);
  let y = i / side % side;
  let x = i % side;
  var sum = bias[output];
  for (var c = 0u; c < channels; c++) {
    for (var tap = 0u; tap < 9u; tap++) {
      let v = y + tap / 3u - 1u;
      let u = x + tap % 3u - 1u;
      if (v < side && u < side) {
        sum += weight[(output * channels + c) * 9u + tap] * features[((image * channels + c) * side + v) * side + u];
      }
    }
  }
  state[i] += parameters.keep * features[i] + parameters.share * sum;
}
