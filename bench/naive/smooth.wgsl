// Mean code vectors, one thread per value: each goes through the whole vocabulary with an online softmax, so
// that all channels of a position repeat the same noise. Without guidance. Expects exact.wgsl, logit.wgsl and
// threefry.wgsl in front of it, for the truncation's keys.

struct Parameters {
  rows: u32,
  positions: u32,
  vocabulary: u32,
  channels: u32,
  weight: f32,
  factor: f32,
  inverse_tau: f32,
  scale: u32,
  seed_low: u32,
  seed_high: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> truncation: array<vec2u>;
@group(0) @binding(3) var<storage, read> codebook: array<f32>;
@group(0) @binding(4) var<storage, read> lanes: array<u32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.rows * parameters.channels) {
    return;
  }
  let channel = i / parameters.positions % parameters.channels;
  let position = i % parameters.positions;
  let image = i / (parameters.positions * parameters.channels);
  let row = image * parameters.positions + position;
  let seed = vec2u(parameters.seed_low, parameters.seed_high);
  let stream = stream_key(seed, lanes[image], parameters.scale, NOISE_PURPOSE);
  let limit = truncation[row];
  var greatest = -0x1p100;
  var total = 0.0;
  var sum = 0.0;
  for (var token = 0u; token < parameters.vocabulary; token++) {
    let logit = logits[row * parameters.vocabulary + token];
    if (!is_kept(logit_key(bitcast<u32>(logit)), token, limit.x, limit.y)) {
      continue;
    }
    let u = (f32(threefry(stream, vec2u(position, token)).x >> 9u) + 0.5) * 0x1p-23;
    let score = (logit * parameters.factor - log(-log(u))) * parameters.inverse_tau;
    if (score > greatest) {
      let shrink = exp(greatest - score);
      total *= shrink;
      sum *= shrink;
      greatest = score;
    }
    let weight = exp(score - greatest);
    total += weight;
    sum += weight * codebook[token * parameters.channels + channel];
  }
  output[i] = sum / total;
}
