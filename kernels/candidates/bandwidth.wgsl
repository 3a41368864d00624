// Silverman's bandwidth of the candidates at each position of each image: the mean over dimensions of the
// standard deviation over the candidates, times a factor made on the host.
// Bindings: tokens [images, draws, positions], codebook [vocabulary, channels], output [images, positions],
// or [images] when `joint` is 1 and all positions together are one vector. One workgroup per output, which
// takes 32 dimensions at a time, eight threads to each. Expects exact.wgsl and exact_sums.wgsl in front of
// it.
// Per dimension the values become integers of 24 bits between their least and their greatest one, and are
// summed as integers: the result has the same bits on every device and in whatever order the candidates come.
// Twin: bandwidth.ts.

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

const LANES = 256u;
const COLUMNS = 32u;
const SLICES = LANES / COLUMNS;

// What each thread found among its candidates.
var<workgroup> least: array<f32, LANES>;
var<workgroup> greatest: array<f32, LANES>;
var<workgroup> partial: array<vec2u, LANES>;
var<workgroup> deviations: array<f32, COLUMNS>;

// A token that is no code stands for zeros.
fn value(image: u32, draw: u32, position: u32, channel: u32) -> f32 {
  let token = tokens[(image * parameters.draws + draw) * parameters.positions + position];
  if (token >= parameters.vocabulary) {
    return 0.0;
  }
  return codebook[token * parameters.channels + channel];
}

fn total(column: u32) -> vec2u {
  var sum = partial[column];
  for (var slice = 1u; slice < SLICES; slice++) {
    sum = add64(sum, partial[slice * COLUMNS + column]);
  }
  return sum;
}

@compute @workgroup_size(LANES)
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
  let draws = parameters.draws;
  let image = index / per_image;
  let dimensions = parameters.channels * select(1u, parameters.positions, joint);
  let slice = lane / COLUMNS;
  let column = lane % COLUMNS;
  var mean_deviation = 0.0;
  for (var start = 0u; start < dimensions; start += COLUMNS) {
    // Threads beyond the last dimension repeat it, as barriers are for all.
    let d = min(start + column, dimensions - 1u);
    let position = index % per_image + d / parameters.channels;
    let channel = d % parameters.channels;

    var low = value(image, 0u, position, channel);
    var high = low;
    for (var i = slice; i < draws; i += SLICES) {
      let x = value(image, i, position, channel);
      low = select(low, x, x < low);
      high = select(high, x, x > high);
    }
    least[lane] = low;
    greatest[lane] = high;
    workgroupBarrier();
    for (var i = column; i < LANES; i += COLUMNS) {
      low = select(low, least[i], least[i] < low);
      high = select(high, greatest[i], greatest[i] > high);
    }
    let range = high - low;
    let flat = !(range >= 0x1p-50f);
    // The power of 2 that brings the range to 24 bits, and its inverse.
    let exponent = select(bitcast<u32>(range) >> 23u, 127u, flat);
    let to_units = bitcast<f32>((277u - exponent) << 23u);
    let from_units = bitcast<f32>((exponent - 23u) << 23u);

    var sum = vec2u(0u);
    for (var i = slice; i < draws; i += SLICES) {
      sum = add64(sum, vec2u(u32((value(image, i, position, channel) - low) * to_units), 0u));
    }
    partial[lane] = sum;
    workgroupBarrier();
    // A few units off at most; the second order error that leaves is far below f32.
    let mean = i32(product(truncate64(total(column)), parameters.one_over_draws));
    workgroupBarrier();
    var squares = vec2u(0u);
    for (var i = slice; i < draws; i += SLICES) {
      let off = u32(abs(i32((value(image, i, position, channel) - low) * to_units) - mean));
      squares = add64(squares, multiply_wide(off, off));
    }
    partial[lane] = squares;
    workgroupBarrier();
    if (slice == 0u) {
      let variance = product(truncate64(total(column)), parameters.one_over_divisor);
      deviations[column] = select(square_root(variance) * from_units, 0.0, flat);
    }
    workgroupBarrier();
    if (lane == 0u) {
      for (var i = 0u; i < min(COLUMNS, dimensions - start); i++) {
        mean_deviation += deviations[i];
      }
    }
  }
  if (lane == 0u) {
    output[index] = product(mean_deviation, parameters.scale);
  }
}
