// Squared distances to given codes in plain f32, one thread per row.

struct Parameters {
  count: u32,
  vocabulary: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> features: array<f32>;
@group(0) @binding(2) var<storage, read> codebook: array<f32>;
@group(0) @binding(3) var<storage, read> tokens: array<u32>;
@group(0) @binding(4) var<storage, read_write> distances: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.count || tokens[i] >= parameters.vocabulary) {
    return;
  }
  var sum = 0.0;
  for (var c = 0u; c < parameters.channels; c++) {
    let difference = features[i * parameters.channels + c] - codebook[tokens[i] * parameters.channels + c];
    sum += difference * difference;
  }
  distances[i] = sum;
}
