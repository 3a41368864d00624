// Densities of candidates from those of their positions, one thread per candidate.

struct Parameters {
  draws: u32,
  positions: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> scores: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= parameters.draws) {
    return;
  }
  var sum = 0.0;
  for (var position = 0u; position < parameters.positions; position++) {
    sum += sums[position * parameters.draws + id.x];
  }
  scores[id.x] = sum;
}
