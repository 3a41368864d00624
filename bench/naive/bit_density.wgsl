// Densities of candidates of bits at each position, one thread per position and candidate, each kernel value
// computed anew.

struct Parameters {
  draws: u32,
  positions: u32,
  bits: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> bandwidth: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= parameters.positions * parameters.draws) {
    return;
  }
  let position = id.x / parameters.draws;
  let words = (parameters.bits + 31u) / 32u;
  let own = (id.x % parameters.draws * parameters.positions + position) * words;
  let h = bandwidth[position] + 1e-6;
  var sum = 0.0;
  for (var c = 0u; c < parameters.draws; c++) {
    let other = (c * parameters.positions + position) * words;
    var distance = 0u;
    for (var word = 0u; word < words; word++) {
      distance += countOneBits(tokens[own + word] ^ tokens[other + word]);
    }
    sum += exp(-f32(distance) / (2.0 * h * h));
  }
  sums[id.x] = sum;
}
