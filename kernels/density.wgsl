// Gaussian densities of the candidates of each image: for each candidate the sum, over positions and candidates, of
// exp(-|difference of their code vectors|^2 / (2 h^2)), its own term of 1 included, not normalized.
// Bindings: tokens [images, draws, positions], codebook [vocabulary, channels], bandwidth [images, positions] ([images] when `joint`
// is 1: all positions together are one vector), scores [images, draws]. One workgroup per four candidates, which it holds in workgroup
// memory; its threads share those they are compared with. Expects exact.wgsl and exact_sums.wgsl in front of it.
// Same bits on every device: squared distances are summed in channel order, kernel values are integers in units of 2^-30, and their
// 64-bit sum, exact in any order, becomes f32 by dropping what does not fit. Twin: density.ts.

struct Parameters {
  images: u32,
  draws: u32,
  positions: u32,
  vocabulary: u32,
  channels: u32,
  joint: u32,
  // Average the bandwidth over the images.
  batch: u32,
  one_over_images: f32,
  epsilon: f32,
  // 1 / (2 ln 2).
  half_log2_e: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> codebook: array<f32>;
@group(0) @binding(3) var<storage, read> bandwidth: array<f32>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;

const LANES = 64u;

// Up to 64 channels of the four candidates.
var<workgroup> mine: array<vec4<f32>, LANES>;
// The four sums of each thread: low words, high words.
var<workgroup> lows: array<vec4<u32>, LANES>;
var<workgroup> highs: array<vec4<u32>, LANES>;

fn token(image: u32, draw: u32, position: u32) -> u32 {
  return tokens[(image * parameters.draws + min(draw, parameters.draws - 1u)) * parameters.positions + position];
}

// A token that is no code stands for zeros; so does a channel beyond the last.
fn value(code: u32, channel: u32) -> f32 {
  if (code >= parameters.vocabulary || channel >= parameters.channels) {
    return 0.0;
  }
  return codebook[code * parameters.channels + channel];
}

// 1 / (2 h^2 ln 2): what turns a squared distance into the power of 1/2 that the kernel is.
fn exponent_factor(image: u32, place: u32, places: u32) -> f32 {
  var h = bandwidth[image * places + place];
  if (parameters.batch == 1u) {
    var sum = 0.0;
    for (var i = 0u; i < parameters.images; i++) {
      sum += bandwidth[i * places + place];
    }
    h = product(sum, parameters.one_over_images);
  }
  h += parameters.epsilon;
  if (!(h > 0x1p-40f)) {
    h = 0x1p-40f;
  }
  if (h > 0x1p40f) {
    h = 0x1p40f;
  }
  // Not the product of the inverse with itself, whose equal parts a compiler may gather and round differently.
  let inverse = reciprocal(h);
  return product(inverse, product(inverse, parameters.half_log2_e));
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let blocks = (parameters.draws + 3u) / 4u;
  let index = group.y * groups.x + group.x;
  let image = index / blocks;
  if (image >= parameters.images) {
    return;
  }
  let channels = parameters.channels;
  let first = index % blocks * 4u;
  let places = select(parameters.positions, 1u, parameters.joint == 1u);
  let grouped = parameters.positions / places;

  var low = vec4<u32>(0u);
  var high = vec4<u32>(0u);
  for (var place = 0u; place < places; place++) {
    let factor = exponent_factor(image, place, places);
    for (var block = 0u; block < parameters.draws; block += LANES) {
      var sums = vec4<f32>(0.0);
      for (var position = place * grouped; position < (place + 1u) * grouped; position++) {
        let other = token(image, block + lane, position);
        for (var start = 0u; start < channels; start += LANES) {
          workgroupBarrier();
          mine[lane] = vec4<f32>(
            value(token(image, first, position), start + lane),
            value(token(image, first + 1u, position), start + lane),
            value(token(image, first + 2u, position), start + lane),
            value(token(image, first + 3u, position), start + lane),
          );
          workgroupBarrier();
          for (var c = 0u; c < min(LANES, channels - start); c += 4u) {
            sums = add_squared_differences(sums, value(other, start + c), mine[c]);
            sums = add_squared_differences(sums, value(other, start + c + 1u), mine[c + 1u]);
            sums = add_squared_differences(sums, value(other, start + c + 2u), mine[c + 2u]);
            sums = add_squared_differences(sums, value(other, start + c + 3u), mine[c + 3u]);
          }
        }
      }
      if (block + lane < parameters.draws) {
        let kernel = vec4<u32>(
          exp2_negative(product(sums.x, factor)),
          exp2_negative(product(sums.y, factor)),
          exp2_negative(product(sums.z, factor)),
          exp2_negative(product(sums.w, factor)),
        );
        low += kernel;
        high += select(vec4<u32>(0u), vec4<u32>(1u), low < kernel);
      }
    }
  }
  lows[lane] = low;
  highs[lane] = high;
  workgroupBarrier();
  if (lane < 4u && first + lane < parameters.draws) {
    var total = vec2<u32>(0u);
    for (var i = 0u; i < LANES; i++) {
      total = add64(total, vec2<u32>(lows[i][lane], highs[i][lane]));
    }
    scores[image * parameters.draws + first + lane] = truncate64(total) * 0x1p-30f;
  }
}
