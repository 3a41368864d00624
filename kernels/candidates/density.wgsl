// Gaussian densities of the candidates of each image: for each candidate the sum, over positions and
// candidates, of exp(-|difference of their code vectors|^2 / (2 h^2)), its own term of 1 included, not
// normalized.
// Bindings: tokens [images, draws, positions], codebook [vocabulary, channels], bandwidth [images, positions]
// ([images] when `joint` is 1: all positions together are one vector), scores [images, draws]. One workgroup
// per eight candidates, whose values all its threads load at the same address; the threads share those they
// are compared with. Expects exact.wgsl and exact_sums.wgsl in front of it. Same bits on every device:
// squared distances are summed in channel order, kernel values are integers in units of 2^-30, and their
// 64-bit sum, exact in any order, becomes f32 by dropping what does not fit. Equal tokens count 1 whatever
// their code. Twin: density.ts.

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
  // The own term of 1 per place does not count.
  leave_one_out: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> codebook: array<f32>;
@group(0) @binding(3) var<storage, read> bandwidth: array<f32>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;

const LANES = 64u;
// Candidates of a workgroup.
const OWN = 8u;

// 64-bit sums of four candidates.
struct Sums {
  low: vec4u,
  high: vec4u,
}

// What each thread found for the eight candidates.
var<workgroup> partial: array<array<Sums, 2>, LANES>;

fn token(image: u32, draw: u32, position: u32) -> u32 {
  return tokens[(image * parameters.draws + min(draw, parameters.draws - 1u)) * parameters.positions + position];
}

fn tokens_from(image: u32, draw: u32, position: u32) -> vec4u {
  return vec4u(
    token(image, draw, position),
    token(image, draw + 1u, position),
    token(image, draw + 2u, position),
    token(image, draw + 3u, position),
  );
}

// Where the vectors of a token and of the eight that it is compared with start, and whether they have one:
// one that is no code stands for zeros.
struct Rows {
  x: u32,
  a: vec4u,
  b: vec4u,
  known_x: bool,
  known_a: vec4<bool>,
  known_b: vec4<bool>,
}

// Squared distances between them.
struct Distances {
  a: vec4f,
  b: vec4f,
}

fn rows(x: u32, a: vec4u, b: vec4u) -> Rows {
  let known_x = x < parameters.vocabulary;
  let known_a = a < vec4u(parameters.vocabulary);
  let known_b = b < vec4u(parameters.vocabulary);
  let none = vec4u(0u);
  return Rows(
    select(0u, x * parameters.channels, known_x),
    select(none, a * parameters.channels, known_a),
    select(none, b * parameters.channels, known_b),
    known_x,
    known_a,
    known_b,
  );
}

fn values(at: vec4u, known: vec4<bool>) -> vec4f {
  return select(vec4f(0.0), vec4f(codebook[at.x], codebook[at.y], codebook[at.z], codebook[at.w]), known);
}

fn add_channel(sums: Distances, at: Rows, channel: u32) -> Distances {
  let x = select(0.0, codebook[at.x + channel], at.known_x);
  return Distances(
    add_squared_differences(sums.a, x, values(at.a + channel, at.known_a)),
    add_squared_differences(sums.b, x, values(at.b + channel, at.known_b)),
  );
}

fn add_kernel(sums: Sums, distances: vec4f, factor: f32, same: vec4<bool>) -> Sums {
  let value = vec4u(
    exp2_negative(product(distances.x, factor)),
    exp2_negative(product(distances.y, factor)),
    exp2_negative(product(distances.z, factor)),
    exp2_negative(product(distances.w, factor)),
  );
  let kernel = select(value, vec4u(0x40000000u), same);
  let low = sums.low + kernel;
  return Sums(low, sums.high + select(vec4u(0u), vec4u(1u), low < kernel));
}

// The bandwidth with epsilon.
fn width(image: u32, place: u32, places: u32) -> f32 {
  if (parameters.batch == 0u) {
    return bandwidth[image * places + place] + parameters.epsilon;
  }
  var sum = 0.0;
  for (var i = 0u; i < parameters.images; i++) {
    sum += bandwidth[i * places + place];
  }
  return product(sum, parameters.one_over_images) + parameters.epsilon;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let blocks = (parameters.draws + OWN - 1u) / OWN;
  let index = group.y * groups.x + group.x;
  let image = index / blocks;
  if (image >= parameters.images) {
    return;
  }
  let first = index % blocks * OWN;
  let places = select(parameters.positions, 1u, parameters.joint == 1u);
  let grouped = parameters.positions / places;

  // Of the first four candidates and of the next four.
  var sums_a = Sums();
  var sums_b = Sums();
  for (var place = 0u; place < places; place++) {
    let factor = exponent_factor(width(image, place, places));
    for (var other = lane; other < parameters.draws; other += LANES) {
      var distances = Distances();
      var same_a = vec4<bool>(true);
      var same_b = vec4<bool>(true);
      for (var position = place * grouped; position < (place + 1u) * grouped; position++) {
        let code = token(image, other, position);
        let a = tokens_from(image, first, position);
        let b = tokens_from(image, first + 4u, position);
        same_a &= a == vec4u(code);
        same_b &= b == vec4u(code);
        let at = rows(code, a, b);
        // Four channels a turn: some software adapters end a thread's loops after 65535 turns.
        let whole = parameters.channels & ~3u;
        for (var c = 0u; c < whole; c += 4u) {
          distances = add_channel(distances, at, c);
          distances = add_channel(distances, at, c + 1u);
          distances = add_channel(distances, at, c + 2u);
          distances = add_channel(distances, at, c + 3u);
        }
        for (var c = whole; c < parameters.channels; c++) {
          distances = add_channel(distances, at, c);
        }
      }
      sums_a = add_kernel(sums_a, distances.a, factor, same_a);
      sums_b = add_kernel(sums_b, distances.b, factor, same_b);
    }
  }
  partial[lane] = array<Sums, 2>(sums_a, sums_b);
  workgroupBarrier();
  if (lane < OWN && first + lane < parameters.draws) {
    var total = vec2u(0u);
    for (var i = 0u; i < LANES; i++) {
      let sums = partial[i][lane / 4u];
      total = add64(total, vec2u(sums.low[lane % 4u], sums.high[lane % 4u]));
    }
    if (parameters.leave_one_out == 1u) {
      total = subtract64(total, multiply_wide(places, 0x40000000u));
    }
    scores[image * parameters.draws + first + lane] = truncate64(total) * 0x1p-30f;
  }
}
