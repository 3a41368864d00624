// Densities from the matrices of kernel_values.wgsl, one thread per candidate.

struct Parameters {
  images: u32,
  draws: u32,
  positions: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> kernel_values: array<f32>;
@group(0) @binding(2) var<storage, read_write> scores: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let draws = parameters.draws;
  if (id.x >= parameters.images * draws) {
    return;
  }
  let image = id.x / draws;
  var sum = 0.0;
  for (var position = 0u; position < parameters.positions; position++) {
    let start = ((image * parameters.positions + position) * draws + id.x % draws) * draws;
    for (var c = 0u; c < draws; c++) {
      sum += kernel_values[start + c];
    }
  }
  scores[id.x] = sum;
}
