// Logits moved away from the prior of a coarser map, in plain f32, one thread per logit: the prior is a
// product with the whole matrix.

struct Parameters {
  total: u32,
  vocabulary: u32,
  from_positions: u32,
  positions: u32,
  weight: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> coarse: array<f32>;
@group(0) @binding(2) var<storage, read> matrix: array<f32>;
@group(0) @binding(3) var<storage, read_write> logits: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.total) {
    return;
  }
  let channel = i % parameters.vocabulary;
  let position = i / parameters.vocabulary % parameters.positions;
  let lane = i / parameters.vocabulary / parameters.positions;
  let first = lane * parameters.from_positions * parameters.vocabulary + channel;
  var prior = 0.0;
  for (var p = 0u; p < parameters.from_positions; p++) {
    prior += matrix[position * parameters.from_positions + p] * coarse[first + p * parameters.vocabulary];
  }
  logits[i] += parameters.weight * (logits[i] - prior);
}
