// Standard deviation of the candidates, one thread per position and channel: a pass for the mean, a pass for
// the squares.

struct Parameters {
  images: u32,
  draws: u32,
  positions: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> codebook: array<f32>;
@group(0) @binding(3) var<storage, read_write> deviations: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.images * parameters.positions * parameters.channels) {
    return;
  }
  let channel = i % parameters.channels;
  let position = i / parameters.channels % parameters.positions;
  let image = i / (parameters.channels * parameters.positions);
  let draws = parameters.draws;
  var sum = 0.0;
  for (var d = 0u; d < draws; d++) {
    let token = tokens[(image * draws + d) * parameters.positions + position];
    sum += codebook[token * parameters.channels + channel];
  }
  let mean = sum / f32(draws);
  var squares = 0.0;
  for (var d = 0u; d < draws; d++) {
    let token = tokens[(image * draws + d) * parameters.positions + position];
    let off = codebook[token * parameters.channels + channel] - mean;
    squares += off * off;
  }
  deviations[i] = sqrt(squares / f32(draws));
}
