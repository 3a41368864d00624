// Silverman's bandwidth of the candidates' bits at each position of each image: the mean over bits of the
// standard deviation over the candidates, times a factor made on the host.
// Bindings: tokens [images, draws, positions, words], output [images, positions]. One workgroup per position,
// which takes a word at a time, eight threads to each of its bits. Expects exact.wgsl in front of it.
// Counts are integers and the roots are added in the order of the bits: the same bits on every device. Twin:
// hamming_bandwidth.ts.

struct Parameters {
  // images * positions.
  places: u32,
  draws: u32,
  positions: u32,
  bits: u32,
  words: u32,
  // Silverman's factor over the number of bits and the divisor of the deviations.
  scale: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

const LANES = 256u;
const BITS = 32u;

// How many ones each thread counted.
var<workgroup> ones: array<u32, LANES>;
var<workgroup> deviations: array<f32, BITS>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let place = group.y * groups.x + group.x;
  if (place >= parameters.places) {
    return;
  }
  let draws = parameters.draws;
  let stride = parameters.positions * parameters.words;
  let first = place / parameters.positions * draws * stride + place % parameters.positions * parameters.words;
  let bit = lane % BITS;
  var sum = 0.0;
  for (var word = 0u; word < parameters.words; word++) {
    var count = 0u;
    for (var i = lane / BITS; i < draws; i += LANES / BITS) {
      count += (tokens[first + i * stride + word] >> bit) & 1u;
    }
    ones[lane] = count;
    workgroupBarrier();
    if (lane < BITS) {
      for (var i = lane + BITS; i < LANES; i += BITS) {
        count += ones[i];
      }
      // At most 2^24, which f32 holds.
      deviations[lane] = square_root(f32(count * (draws - count)));
    }
    workgroupBarrier();
    for (var i = 0u; i < min(BITS, parameters.bits - word * BITS); i++) {
      sum += deviations[i];
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    output[place] = product(sum, parameters.scale);
  }
}
