// The squared distance between each row of features and the code its token names.
// Bindings: features [count, channels], codebook [vocabulary, channels], tokens [count], distances [count].
// One thread per row. Expects exact.wgsl and exact_sums.wgsl in front of it.
// Exact differences, their squares summed in channel order with the same bits on every device; infinity where
// the distance is not finite or the token names no code. Twin: code_distance.ts.

struct Parameters {
  count: u32,
  vocabulary: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> features: array<f32>;
@group(0) @binding(2) var<storage, read> codebook: array<f32>;
@group(0) @binding(3) var<storage, read> tokens: array<u32>;
@group(0) @binding(4) var<storage, read_write> distances: array<u32>;

const LANES = 64u;
const INFINITE = 0x7f800000u;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = (group.y * groups.x + group.x) * LANES + lane;
  if (row >= parameters.count) {
    return;
  }
  let token = tokens[row];
  let known = token < parameters.vocabulary;
  let feature = row * parameters.channels;
  let code = select(0u, token * parameters.channels, known);
  var sum = 0.0;
  for (var c = 0u; c < parameters.channels; c++) {
    sum = add_square(sum, difference(features[feature + c], codebook[code + c]));
  }
  distances[row] = select(INFINITE, min(bitcast<u32>(sum), INFINITE), known);
}
