// Nearest codes, one thread per feature vector, which goes through the whole codebook. The channels must be a
// multiple of 4.

struct Parameters {
  count: u32,
  vocabulary: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> features: array<vec4f>;
@group(0) @binding(2) var<storage, read> codebook: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= parameters.count) {
    return;
  }
  let quads = parameters.channels / 4u;
  var best = 0x1p100f;
  var nearest = 0u;
  for (var code = 0u; code < parameters.vocabulary; code++) {
    var sum = 0.0;
    for (var q = 0u; q < quads; q++) {
      let difference = features[id.x * quads + q] - codebook[code * quads + q];
      sum += dot(difference, difference);
    }
    if (sum < best) {
      best = sum;
      nearest = code;
    }
  }
  tokens[id.x] = nearest;
}
