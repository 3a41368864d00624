// The codebook vector nearest to each row of features.
// Bindings: features [count, channels], codebook [vocabulary, channels], tokens [count]. One workgroup per row; its threads share the
// codes and then keep the least (distance, code). Expects exact.wgsl and exact_sums.wgsl in front of it.
// Squared distances from exact differences, summed in channel order with the same bits on every device; equal distances go to the lower
// code. Distances are compared as bits, in which NaN counts as infinity. Twin: nearest.ts.

struct Parameters {
  count: u32,
  vocabulary: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> features: array<f32>;
@group(0) @binding(2) var<storage, read> codebook: array<f32>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;

const LANES = 256u;

// The best of each thread: bits of the distance, code.
var<workgroup> best: array<vec2<u32>, LANES>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * groups.x + group.x;
  if (row >= parameters.count) {
    return;
  }
  let channels = parameters.channels;
  var mine = vec2<u32>(0xffffffffu, 0xffffffffu);
  for (var code = lane; code < parameters.vocabulary; code += LANES) {
    var sum = 0.0;
    for (var c = 0u; c < channels; c++) {
      sum = add_square(sum, difference(features[row * channels + c], codebook[code * channels + c]));
    }
    let bits = min(bitcast<u32>(sum), 0x7f800000u);
    if (bits < mine.x) {
      mine = vec2<u32>(bits, code);
    }
  }
  best[lane] = mine;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      let here = best[lane];
      let other = best[lane + half];
      if (other.x < here.x || (other.x == here.x && other.y < here.y)) {
        best[lane] = other;
      }
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    tokens[row] = best[0].y;
  }
}
