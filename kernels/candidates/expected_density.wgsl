// The densities that candidates of bits have on average among as many as are drawn, from the chances of the
// bits alone: at each position 1 + (N - 1) times the product, over bits, of p + (1 - p) q, where p is the
// chance of the candidate's own value and q the kernel of one different bit.
// Bindings: logits [images of a batch, positions, bits, 2], the conditional ones, then, when the weight is
// not 0, as many unconditional ones; tokens [images, draws, positions, words]; kept [positions], 1 where
// nothing counts (any array where there is none); sums [images, positions, draws, 2] (64-bit integers in
// units of 2^-30, low word first). One workgroup per position of each image. Exact products in the order of
// the bits: the same bits on every device. Expects exact.wgsl, logit.wgsl, bit_chance.wgsl and
// exact_sums.wgsl in front of it. Twin: expected_density.ts.

struct Parameters {
  // images * positions.
  places: u32,
  draws: u32,
  positions: u32,
  bits: u32,
  // Places of the batch before these, and of the whole batch.
  places_before: u32,
  places_of_batch: u32,
  // N - 1.
  others: u32,
  has_kept: u32,
  weight: f32,
  // As in bit_chance.wgsl.
  sharpness: f32,
  certain: u32,
  // Silverman's factor over the number of bits.
  scale: f32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read> tokens: array<u32>;
@group(0) @binding(3) var<storage, read> kept: array<u32>;
@group(0) @binding(4) var<storage, read_write> sums: array<vec2u>;

const LANES = 64u;
// Of a token.
const MAX_BITS = 512u;
// Products below this count as 0, so that none leaves the normal range.
const LEAST_PRODUCT = 0x1p-40;

// Of each bit: the likelier value in the highest bit; then the factors of the likelier and the other value.
var<workgroup> chances: array<u32, MAX_BITS>;
var<workgroup> likelier: array<f32, MAX_BITS>;
var<workgroup> other: array<f32, MAX_BITS>;
var<workgroup> one_different: f32;

fn key_at(i: u32) -> u32 {
  let conditional = logits[i];
  // Guided against itself a value stays what it is.
  var unconditional = conditional;
  if (parameters.weight != 0.0) {
    unconditional = logits[2u * parameters.places_of_batch * parameters.bits + i];
  }
  return logit_key(guide(conditional, unconditional, parameters.weight));
}

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
  for (var bit = lane; bit < parameters.bits; bit += LANES) {
    let i = 2u * ((parameters.places_before + place) * parameters.bits + bit);
    let chance = bit_chance(key_at(i), key_at(i + 1u), parameters.sharpness, parameters.certain);
    let odds = truncate64(vec2u(chance & 0x7fffffffu, 0u)) * 0x1p-30;
    let likely = reciprocal(1.0 + odds);
    chances[bit] = chance;
    likelier[bit] = likely;
    other[bit] = product(odds, likely);
  }
  workgroupBarrier();
  if (lane == 0u) {
    var deviations = 0.0;
    for (var bit = 0u; bit < parameters.bits; bit++) {
      deviations += square_root(product(likelier[bit], other[bit]));
    }
    let width = product(deviations, parameters.scale) + parameters.epsilon;
    one_different = truncate64(vec2u(exp2_negative(exponent_factor(width)), 0u)) * 0x1p-30;
  }
  workgroupBarrier();
  for (var bit = lane; bit < parameters.bits; bit += LANES) {
    let likely = likelier[bit];
    let unlikely = other[bit];
    likelier[bit] = likely + product(unlikely, one_different);
    other[bit] = unlikely + product(likely, one_different);
  }
  workgroupBarrier();

  let words = (parameters.bits + 31u) / 32u;
  let position = place % parameters.positions;
  let first = place / parameters.positions * parameters.draws;
  let counts = parameters.has_kept == 0u || kept[select(0u, position, parameters.has_kept == 1u)] == 0u;
  for (var draw = lane; draw < parameters.draws; draw += LANES) {
    let at = ((first + draw) * parameters.positions + position) * words;
    var agreement = 1.0;
    for (var bit = 0u; bit < parameters.bits; bit++) {
      let value = (tokens[at + bit / 32u] >> (bit % 32u)) & 1u;
      agreement = product(agreement, select(other[bit], likelier[bit], value == chances[bit] >> 31u));
      if (agreement < LEAST_PRODUCT) {
        agreement = 0.0;
        break;
      }
    }
    let sum = add64(vec2u(1u << 30u, 0u), multiply_wide(parameters.others, u32(agreement * 0x1p30)));
    sums[place * parameters.draws + draw] = select(vec2u(0u), sum, counts);
  }
}
