// Drawing bits as one would write it first: one thread per word and draw, which for each bit computes the
// probability of a 1 and a random word anew. Expects threefry.wgsl in front of it. No care for NaN
// or infinities.

struct Parameters {
  items: u32,
  positions: u32,
  bits: u32,
  words: u32,
  draws: u32,
  first_draw: u32,
  weight: f32,
  sharpness: f32,
  certain: u32,
  scale: u32,
  seed_low: u32,
  seed_high: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<vec2f>;
@group(0) @binding(2) var<storage, read> lanes: array<u32>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  let word = i % parameters.words;
  let position = i / parameters.words % parameters.positions;
  let draw = i / (parameters.words * parameters.positions) % parameters.draws;
  let image = i / (parameters.words * parameters.positions * parameters.draws);
  if (image * parameters.positions * parameters.words >= parameters.items) {
    return;
  }
  let seed = vec2u(parameters.seed_low, parameters.seed_high);
  let key = stream_key(seed, lanes[image], parameters.scale, TOKEN_PURPOSE);
  let rows = parameters.items / parameters.words;
  var drawn = 0u;
  for (var bit = 32u * word; bit < min(32u * word + 32u, parameters.bits); bit++) {
    let at = (image * parameters.positions + position) * parameters.bits + bit;
    var pair = logits[at];
    if (parameters.weight != 0.0) {
      pair += parameters.weight * (pair - logits[rows * parameters.bits + at]);
    }
    let difference = pair.y - pair.x;
    var one = 1.0 / (1.0 + exp2(-difference * parameters.sharpness));
    if (abs(difference) >= bitcast<f32>(parameters.certain)) {
      one = select(0.0, 1.0, difference > 0.0);
    }
    let counter = position * ((parameters.bits + 1u) / 2u) + bit / 2u;
    let random = threefry(key, vec2u(counter, parameters.first_draw + draw));
    let u = f32(select(random.x, random.y, (bit & 1u) == 1u) >> 8u) * 0x1p-24;
    // The kernel draws the less likely value where u is small.
    let zero_where_small = difference > 0.0;
    if (zero_where_small) {
      drawn |= select(1u, 0u, u < 1.0 - one) << (bit & 31u);
    } else {
      drawn |= select(0u, 1u, u < one) << (bit & 31u);
    }
  }
  tokens[i] = drawn;
}
