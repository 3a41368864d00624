// Silverman's bandwidth of the candidates at each position of each image: the mean over dimensions of the standard deviation over the
// candidates, times a factor made on the host.
// Bindings: tokens [images, draws, positions], codebook [vocabulary, channels], output [images, positions], or [images] when `joint` is
// 1 and all positions together are one vector. One workgroup per output; its threads share the dimensions. Expects exact.wgsl and
// exact_sums.wgsl in front of it.
// Per dimension the values become integers of 24 bits between their least and their greatest one, and are summed as integers: the
// result has the same bits on every device and in whatever order the candidates come. Twin: bandwidth.ts.

struct Parameters {
  images: u32,
  draws: u32,
  positions: u32,
  vocabulary: u32,
  channels: u32,
  joint: u32,
  // 1 / draws.
  one_over_draws: f32,
  // 1 over the divisor of the variance.
  one_over_divisor: f32,
  // Silverman's factor over the number of dimensions.
  scale: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> codebook: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

const LANES = 64u;

var<workgroup> deviations: array<f32, LANES>;

// A token that is no code stands for zeros.
fn value(image: u32, draw: u32, position: u32, channel: u32) -> f32 {
  let token = tokens[(image * parameters.draws + draw) * parameters.positions + position];
  if (token >= parameters.vocabulary) {
    return 0.0;
  }
  return codebook[token * parameters.channels + channel];
}

fn deviation(image: u32, position: u32, channel: u32) -> f32 {
  let draws = parameters.draws;
  var least = value(image, 0u, position, channel);
  var greatest = least;
  for (var i = 1u; i < draws; i++) {
    let x = value(image, i, position, channel);
    if (x < least) {
      least = x;
    }
    if (x > greatest) {
      greatest = x;
    }
  }
  let range = greatest - least;
  if (!(range >= 0x1p-50f)) {
    return 0.0;
  }
  // The power of 2 that brings the range to 24 bits, and its inverse.
  let exponent = bitcast<u32>(range) >> 23u;
  let to_units = bitcast<f32>((277u - exponent) << 23u);
  let from_units = bitcast<f32>((exponent - 23u) << 23u);

  var sum = vec2<u32>(0u);
  for (var i = 0u; i < draws; i++) {
    sum = add64(sum, vec2<u32>(u32((value(image, i, position, channel) - least) * to_units), 0u));
  }
  // A few units off at most; the second order error that leaves is far below f32.
  let mean = i32(product(truncate64(sum), parameters.one_over_draws));
  var squares = vec2<u32>(0u);
  for (var i = 0u; i < draws; i++) {
    let d = u32(abs(i32((value(image, i, position, channel) - least) * to_units) - mean));
    squares = add64(squares, multiply_wide(d, d));
  }
  return square_root(product(truncate64(squares), parameters.one_over_divisor)) * from_units;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  let joint = parameters.joint == 1u;
  let per_image = select(parameters.positions, 1u, joint);
  if (index >= parameters.images * per_image) {
    return;
  }
  let image = index / per_image;
  let first = index % per_image;
  let dimensions = parameters.channels * select(1u, parameters.positions, joint);
  var sum = 0.0;
  for (var start = 0u; start < dimensions; start += LANES) {
    let d = start + lane;
    if (d < dimensions) {
      deviations[lane] = deviation(image, first + d / parameters.channels, d % parameters.channels);
    }
    workgroupBarrier();
    if (lane == 0u) {
      for (var i = 0u; i < min(LANES, dimensions - start); i++) {
        sum += deviations[i];
      }
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    output[index] = product(sum, parameters.scale);
  }
}
