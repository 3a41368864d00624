// How unlikely tokens are that were drawn, under the conditional logits and under the unconditional ones:
// minus the natural logarithm of their probability, in units of 2^-22. Bindings: logits [sides, images,
// positions, vocabulary], or of bits [sides, images, positions, bits, 2]; tokens [images, positions] as
// indices, or [images, positions, words] as bits; kept [positions], 1 where nothing counts (any array where
// there is none); sums [images, sides, positions, words, 2] (64-bit integers, low word first). One workgroup
// per index, or one invocation per word of bits. Logarithms are fixed-point numbers: the same bits on every
// device. Expects exact.wgsl and logit.wgsl in front of it. Twin: token_evidence.ts.

struct Parameters {
  // Words of all images and sides.
  items: u32,
  images: u32,
  sides: u32,
  positions: u32,
  // Words of a token.
  words: u32,
  bits: u32,
  vocabulary: u32,
  has_kept: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read> tokens: array<u32>;
@group(0) @binding(3) var<storage, read> kept: array<u32>;
@group(0) @binding(4) var<storage, read_write> sums: array<vec2u>;

// Whether tokens are indices, or bits.
override is_index: bool = true;

const THREADS = 64u;
// Of a word.
const BITS = 32u;
// The most that an index or a bit counts: 512 nats.
const LIMIT = 0x80000000u;
// log2(e) as f32, and ln(2) in units of 2^-32.
const LOG2_E = 1.44269504;
const LN_2 = 0xb17217f7u;

var<workgroup> greatest_found: atomic<u32>;
// The upper and the lower 16 bits of weights are added apart, so that neither sum leaves a word.
var<workgroup> upper_sum: atomic<u32>;
var<workgroup> lower_sum: atomic<u32>;

fn key_at(i: u32) -> u32 {
  return logit_key(canonical(logits[i]));
}

// e^-(distance to the greatest) in units of 2^-30; beside +infinity nothing else has weight.
fn weight(key: u32, greatest: u32) -> u32 {
  if (key == greatest) {
    return 1u << 30u;
  }
  if (key == 0u || greatest == INFINITE_KEY) {
    return 0u;
  }
  return exp2_negative((key_logit(greatest) - key_logit(key)) * LOG2_E);
}

// How far a value lies behind the greatest, in units of 2^-22; LIMIT for what cannot be drawn.
fn behind(key: u32, greatest: u32) -> u32 {
  // Two infinities have no difference.
  if (key == greatest) {
    return 0u;
  }
  if (key == 0u || greatest == INFINITE_KEY) {
    return LIMIT;
  }
  return u32(min(key_logit(greatest) - key_logit(key), 512.0) * 4194304.0);
}

// ln(mantissa / 2^31 * 2^exponent) in units of 2^-22, for a mantissa from 2^31 and an exponent to 32.
fn ln_of(number: u32, exponent: u32) -> u32 {
  // Each square doubles the logarithm, and brings the next bit of its fraction in front.
  var mantissa = number;
  var log2 = exponent;
  for (var i = 0u; i < 24u; i++) {
    let square = multiply_wide(mantissa, mantissa);
    let bit = square.y >> 31u;
    mantissa = select((square.y << 1u) | (square.x >> 31u), square.y, bit == 1u);
    log2 = (log2 << 1u) | bit;
  }
  return multiply_wide(log2, LN_2).y >> 2u;
}

// ln(x / 2^30) in units of 2^-22, for 2^30 <= x <= 2^46.
fn ln_of_sum(x: vec2u) -> u32 {
  let length = select(32u - countLeadingZeros(x.x), 64u - countLeadingZeros(x.y), x.y != 0u);
  var mantissa = x.x << (32u - min(length, 32u));
  if (length > 32u) {
    mantissa = shift_right64(x, length - 32u).x;
  }
  return ln_of(mantissa, length - 31u);
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group.y * groups.x + group.x;
  let item = min(select(number * THREADS + lane, number, is_index), parameters.items - 1u);
  // Sides lie within images in what goes out, and images within sides in what comes in.
  let size = parameters.positions * parameters.words;
  let image = item / size / parameters.sides;
  let side = item / size % parameters.sides;
  let position = item % size / parameters.words;
  let row = (side * parameters.images + image) * parameters.positions + position;
  let word = tokens[image * size + item % size];
  let counts = parameters.has_kept == 0u || kept[select(0u, position, parameters.has_kept == 1u)] == 0u;

  if (is_index) {
    let start = row * parameters.vocabulary;
    var greatest = 0u;
    for (var i = lane; i < parameters.vocabulary; i += THREADS) {
      greatest = max(greatest, key_at(start + i));
    }
    atomicMax(&greatest_found, greatest);
    workgroupBarrier();
    greatest = atomicLoad(&greatest_found);
    var upper_part = 0u;
    var lower_part = 0u;
    for (var i = lane; i < parameters.vocabulary; i += THREADS) {
      let share = weight(key_at(start + i), greatest);
      upper_part += share >> 16u;
      lower_part += share & 0xffffu;
    }
    atomicAdd(&upper_sum, upper_part);
    atomicAdd(&lower_sum, lower_part);
    workgroupBarrier();
    if (lane == 0u && number < parameters.items) {
      let high = atomicLoad(&upper_sum);
      let sum = add64(vec2u(atomicLoad(&lower_sum), 0u), vec2u(high << 16u, high >> 16u));
      var found = 0u;
      // What leaves nothing to draw, and what is no token, tells nothing.
      if (counts && greatest != 0u && word < parameters.vocabulary) {
        found = min(LIMIT, behind(key_at(start + word), greatest) + ln_of_sum(sum));
      }
      sums[item] = vec2u(found, 0u);
    }
  } else if (number * THREADS + lane < parameters.items) {
    let first = item % parameters.words * BITS;
    var total = vec2u(0u);
    // The product of the sums of weights, so that one logarithm is enough.
    var mantissa = 0x80000000u;
    var exponent = 0u;
    for (var bit = first; bit < min(first + BITS, parameters.bits) && counts; bit++) {
      let i = 2u * (row * parameters.bits + bit);
      let zero = key_at(i);
      let one = key_at(i + 1u);
      let greatest = max(zero, one);
      let part = behind(select(zero, one, ((word >> (bit - first)) & 1u) == 1u), greatest);
      total = add64(total, vec2u(part, 0u));
      if (greatest != 0u && part < LIMIT) {
        let wide = multiply_wide(mantissa, (1u << 30u) + weight(min(zero, one), greatest));
        let zeros = countLeadingZeros(wide.y);
        mantissa = (wide.y << zeros) | (wide.x >> (32u - zeros));
        exponent += 2u - zeros;
      }
    }
    sums[item] = add64(total, vec2u(ln_of(mantissa, exponent), 0u));
  }
}
