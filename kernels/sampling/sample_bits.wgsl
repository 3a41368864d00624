// Draws bits: for each bit two logits, guided; the likelier value for certain or one of both at random,
// packed 32 to a word. One invocation per word and draw. Bindings: logits [images, positions, bits, 2], the
// conditional ones, then, when the weight is not 0, as many unconditional ones; lanes [images]; tokens
// [images, draws, positions, words]. The less likely value weighs w = 2^-(difference * sharpness) beside 1,
// as an integer in units of 2^-30, and is drawn iff u * (2^30 + w) < w * 2^32 for a random word u: integers,
// the same on every device. Expects exact.wgsl, logit.wgsl, bit_chance.wgsl and threefry.wgsl in front of it.
// Twin: sample_bits.ts.

struct Parameters {
  // Words of all images and positions.
  items: u32,
  positions: u32,
  bits: u32,
  // Words of a token.
  words: u32,
  draws: u32,
  first_draw: u32,
  weight: f32,
  // log2(e) / temperature; 0 always takes the likelier value.
  sharpness: f32,
  // The bits of the difference from which on the likelier value is certain; all set there is none.
  certain: u32,
  scale: u32,
  seed_low: u32,
  seed_high: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read> lanes: array<u32>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;

// Whether a workgroup is 64 draws of one word, which share its chances, or one draw of 64 words.
override many_draws: bool = true;

const THREADS = 64u;
// Of a word.
const BITS = 32u;

// What is known of a bit before it is drawn: the likelier value in the highest bit, the weight of the other
// one below.
var<workgroup> chances: array<u32, BITS>;

fn key_at(i: u32, unconditional_at: u32) -> u32 {
  let conditional = logits[i];
  // Guided against itself a value stays what it is.
  var unconditional = conditional;
  if (parameters.weight != 0.0) {
    unconditional = logits[unconditional_at + i];
  }
  return logit_key(guide(conditional, unconditional, parameters.weight));
}

// The chance of a bit of a word; 0 for what is no bit.
fn chance(item: u32, bit_of_word: u32) -> u32 {
  let bit = item % parameters.words * BITS + bit_of_word;
  let tokens_before = item / parameters.words;
  let i = 2u * (tokens_before * parameters.bits + min(bit, parameters.bits - 1u));
  let unconditional_at = 2u * (parameters.items / parameters.words * parameters.bits);
  let zero = key_at(i, unconditional_at);
  let one = key_at(i + 1u, unconditional_at);
  return select(0u, bit_chance(zero, one, parameters.sharpness, parameters.certain), bit < parameters.bits);
}

fn decide(known: u32, random: u32) -> u32 {
  let other = known & 0x7fffffffu;
  return (known >> 31u) ^ u32(multiply_wide(random, (1u << 30u) + other).y < other);
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group.y * groups.x + group.x;
  var item = number;
  var first_draw = group.z * THREADS + lane;
  var draws_apart = groups.z * THREADS;
  if (many_draws) {
    if (lane < BITS) {
      chances[lane] = chance(min(item, parameters.items - 1u), lane);
    }
    workgroupBarrier();
  } else {
    item = number * THREADS + lane;
    first_draw = group.z;
    draws_apart = groups.z;
  }
  if (item >= parameters.items) {
    return;
  }
  let at = item / parameters.words;
  let image = at / parameters.positions;
  let position = at % parameters.positions;
  let seed = vec2u(parameters.seed_low, parameters.seed_high);
  let key = stream_key(seed, lanes[image], parameters.scale, TOKEN_PURPOSE);
  // A pair of bits takes the two words of one counter.
  let pairs = (parameters.bits + 1u) / 2u;
  let first = position * pairs + item % parameters.words * 16u;
  for (var draw = first_draw; draw < parameters.draws; draw += draws_apart) {
    var word = 0u;
    for (var i = 0u; i < 16u; i++) {
      let random = threefry(key, vec2u(first + i, parameters.first_draw + draw));
      if (many_draws) {
        word |= (decide(chances[2u * i], random.x) | (decide(chances[2u * i + 1u], random.y) << 1u)) << (2u * i);
      } else {
        let low = decide(chance(item, 2u * i), random.x);
        word |= (low | (decide(chance(item, 2u * i + 1u), random.y) << 1u)) << (2u * i);
      }
    }
    let token = (image * parameters.draws + draw) * parameters.positions + position;
    tokens[token * parameters.words + item % parameters.words] = word;
  }
}
