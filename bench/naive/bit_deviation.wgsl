// Standard deviation of the candidates' bits, one thread per position and bit.

struct Parameters {
  draws: u32,
  positions: u32,
  bits: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read_write> deviations: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= parameters.positions * parameters.bits) {
    return;
  }
  let position = id.x / parameters.bits;
  let bit = id.x % parameters.bits;
  let words = (parameters.bits + 31u) / 32u;
  var sum = 0.0;
  for (var d = 0u; d < parameters.draws; d++) {
    sum += f32((tokens[(d * parameters.positions + position) * words + bit / 32u] >> (bit % 32u)) & 1u);
  }
  let mean = sum / f32(parameters.draws);
  deviations[id.x] = sqrt(mean * (1.0 - mean));
}
