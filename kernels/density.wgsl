// Gaussian densities of the candidates of each image: for each candidate the sum, over positions and candidates, of
// exp(-|difference of their code vectors|^2 / (2 h^2)), its own term of 1 included, not normalized.
// Bindings: tokens [images, draws, positions], codebook [vocabulary, channels], bandwidth [images, positions] ([images] when `joint`
// is 1: all positions together are one vector), scores [images, draws]. One thread per candidate; a workgroup takes the candidates it
// compares with four at a time through workgroup memory. Expects exact.wgsl and exact_sums.wgsl in front of it.
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

// Four candidates' values of up to 64 channels.
var<workgroup> others: array<vec4<f32>, LANES>;

fn token(image: u32, draw: u32, position: u32) -> u32 {
  return tokens[(image * parameters.draws + draw) * parameters.positions + position];
}

// A token that is no code stands for zeros; so does a candidate beyond the last.
fn value(image: u32, draw: u32, position: u32, channel: u32) -> f32 {
  if (draw >= parameters.draws || channel >= parameters.channels) {
    return 0.0;
  }
  let code = token(image, draw, position);
  if (code >= parameters.vocabulary) {
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
  let inverse = reciprocal(h);
  return product(product(inverse, inverse), parameters.half_log2_e);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let blocks = (parameters.draws + LANES - 1u) / LANES;
  let index = group.y * groups.x + group.x;
  let image = index / blocks;
  if (image >= parameters.images) {
    return;
  }
  let channels = parameters.channels;
  let draw = index % blocks * LANES + lane;
  let mine = min(draw, parameters.draws - 1u);
  let places = select(parameters.positions, 1u, parameters.joint == 1u);
  let grouped = parameters.positions / places;

  var total = vec2<u32>(0u);
  for (var place = 0u; place < places; place++) {
    let factor = exponent_factor(image, place, places);
    for (var other = 0u; other < parameters.draws; other += 4u) {
      var sums = vec4<f32>(0.0);
      for (var position = place * grouped; position < (place + 1u) * grouped; position++) {
        let code = token(image, mine, position);
        let known = code < parameters.vocabulary;
        let row = select(0u, code, known) * channels;
        for (var start = 0u; start < channels; start += LANES) {
          workgroupBarrier();
          others[lane] = vec4<f32>(
            value(image, other, position, start + lane),
            value(image, other + 1u, position, start + lane),
            value(image, other + 2u, position, start + lane),
            value(image, other + 3u, position, start + lane),
          );
          workgroupBarrier();
          for (var c = 0u; c < min(LANES, channels - start); c++) {
            let x = select(0.0, codebook[row + start + c], known);
            sums = add_squared_differences(sums, x, others[c]);
          }
        }
      }
      for (var i = 0u; i < min(4u, parameters.draws - other); i++) {
        total = add64(total, vec2<u32>(exp2_negative(product(sums[i], factor)), 0u));
      }
    }
  }
  if (draw < parameters.draws) {
    scores[image * parameters.draws + draw] = truncate64(total) * 0x1p-30f;
  }
}
