// The N x N matrix of Gaussian kernel values of each image and position, one thread per pair, written to
// memory.

struct Parameters {
  images: u32,
  draws: u32,
  positions: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> codebook: array<f32>;
@group(0) @binding(3) var<storage, read> bandwidth: array<f32>;
@group(0) @binding(4) var<storage, read_write> kernel_values: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  let draws = parameters.draws;
  if (i >= parameters.images * parameters.positions * draws * draws) {
    return;
  }
  let place = i / (draws * draws);
  let position = place % parameters.positions;
  let first = place / parameters.positions * draws;
  let a = tokens[(first + i / draws % draws) * parameters.positions + position] * parameters.channels;
  let b = tokens[(first + i % draws) * parameters.positions + position] * parameters.channels;
  var sum = 0.0;
  for (var c = 0u; c < parameters.channels; c++) {
    let difference = codebook[a + c] - codebook[b + c];
    sum += difference * difference;
  }
  let h = bandwidth[place] + 1e-6;
  kernel_values[i] = exp(-sum / (2.0 * h * h));
}
