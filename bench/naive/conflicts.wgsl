// Which candidates are too close to each other, one thread per pair of each image, written to memory.

struct Parameters {
  images: u32,
  draws: u32,
  positions: u32,
  channels: u32,
  threshold: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> candidates: array<u32>;
@group(0) @binding(2) var<storage, read> codebook: array<f32>;
@group(0) @binding(3) var<storage, read_write> conflicts: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  let draws = parameters.draws;
  if (i >= parameters.images * draws * draws) {
    return;
  }
  let first = i / (draws * draws) * draws;
  let a = (first + i / draws % draws) * parameters.positions;
  let b = (first + i % draws) * parameters.positions;
  var sum = 0.0;
  for (var p = 0u; p < parameters.positions; p++) {
    for (var c = 0u; c < parameters.channels; c++) {
      let x = codebook[candidates[a + p] * parameters.channels + c];
      let y = codebook[candidates[b + p] * parameters.channels + c];
      sum += (x - y) * (x - y);
    }
  }
  conflicts[i] = u32(sqrt(sum) < parameters.threshold);
}
