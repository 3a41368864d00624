// VAR-Scaling's choice among the candidates of each image: search order, conflict suppression, final draw.
// Bindings: scores [images, draws], candidates [images, draws, positions], codebook [vocabulary, channels]
// (any array where the vocabulary is 0: then candidates are words of bits, and n different ones are at the
// distance sqrt n), lanes [images], given_order [images, draws] (any array unless `given` is 1), order
// [images, draws], tokens [images, positions], decision [images, 7 + 2 representatives] (laid out as in
// select.ts). One workgroup per image. Expects exact.wgsl, exact_sums.wgsl and threefry.wgsl in front of it.
// Same bits on every device: scores become integers in units of 2^-35 of the power of 2 below the greatest,
// and all sums, the mean and the draw are made of those; squared distances are summed in channel order; equal
// keys go to the lower candidate. Twin: select.ts.

struct Parameters {
  images: u32,
  draws: u32,
  positions: u32,
  // 0 for bits.
  vocabulary: u32,
  channels: u32,
  representatives: u32,
  // 0 by the rule, 1 top, 2 small, 3 random.
  strategy: u32,
  // The rule as printed in the paper.
  paper: u32,
  // 0 by density, 1 the greatest, 2 uniformly, 3 by rank.
  pick: u32,
  given: u32,
  seed_low: u32,
  seed_high: u32,
  scale: u32,
  alpha: f32,
  // Square of the conflict threshold; 0 is off.
  limit: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> candidates: array<u32>;
@group(0) @binding(3) var<storage, read> codebook: array<f32>;
@group(0) @binding(4) var<storage, read> lanes: array<u32>;
@group(0) @binding(5) var<storage, read> given_order: array<u32>;
@group(0) @binding(6) var<storage, read_write> order: array<u32>;
@group(0) @binding(7) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(8) var<storage, read_write> decision: array<u32>;

const LANES = 256u;
const MAX_DRAWS = 8192u;
const DECISION_WORDS = 7u;
const NONE = 0xffffffffu;

// What the candidates are sorted by.
const BY_MAP = 0u;
const DENSEST_FIRST = 1u;
const SPARSEST_FIRST = 2u;
const AT_RANDOM = 3u;

// The strategy that chooses between the densest and the random order; the others are an order each.
const BY_RULE = 0u;

// What is drawn of the kept ones, where it is not by their density.
const GREATEST = 1u;
const UNIFORMLY = 2u;
const BY_RANK = 3u;

var<workgroup> greatest: atomic<u32>;
var<workgroup> unique: atomic<u32>;
var<workgroup> partial: array<vec2u, LANES>;
var<workgroup> low: u32;
// One bit per place of the search order: in conflict with an accepted candidate.
var<workgroup> rejected: array<atomic<u32>, MAX_DRAWS / 32u>;
var<workgroup> next: u32;
var<workgroup> chosen: u32;

// 2^-90: anything but a finite number above it counts as this.
const LEAST_SCORE = 0x12800000u;

// The bits of a score, which sort like the score.
fn score_bits(image: u32, candidate: u32) -> u32 {
  let bits = bitcast<u32>(scores[image * parameters.draws + candidate]);
  return select(bits, LEAST_SCORE, bits < LEAST_SCORE || bits > 0x7f7fffffu);
}

// A score as an integer of at most 36 bits, at least 1; `top` is the exponent field of the greatest score.
fn weight(bits: u32, top: u32) -> vec2u {
  let gap = top - (bits >> 23u);
  if (gap >= 36u) {
    return vec2u(1u, 0u);
  }
  let mantissa = (bits & 0x7fffffu) | 0x800000u;
  if (gap >= 12u) {
    return vec2u(mantissa >> (gap - 12u), 0u);
  }
  return multiply_wide(mantissa, 1u << (12u - gap));
}

// What a kept candidate is drawn in proportion to: its score, or how many were kept from it on.
fn draw_weight(bits: u32, top: u32, left: u32) -> vec2u {
  if (parameters.pick == BY_RANK) {
    return vec2u(left, 0u);
  }
  return weight(bits, top);
}

// floor(x / divisor) for a divisor below 2^31, one binary digit at a time.
fn divide64(x: vec2u, divisor: u32) -> vec2u {
  var quotient = vec2u(0u);
  var rest = 0u;
  for (var i = 0u; i < 64u; i++) {
    let word = select(x.x, x.y, i < 32u);
    rest = (rest << 1u) | ((word >> (31u - (i & 31u))) & 1u);
    quotient = vec2u(quotient.x << 1u, (quotient.y << 1u) | (quotient.x >> 31u));
    if (rest >= divisor) {
      rest -= divisor;
      quotient.x |= 1u;
    }
  }
  return quotient;
}

fn token(image: u32, candidate: u32, position: u32) -> u32 {
  return candidates[(image * parameters.draws + candidate) * parameters.positions + position];
}

// A token that is no code stands for zeros; so does a channel beyond the last.
fn value(code: u32, channel: u32) -> f32 {
  if (code >= parameters.vocabulary || channel >= parameters.channels) {
    return 0.0;
  }
  return codebook[code * parameters.channels + channel];
}

// The first position at which two maps differ, or the number of positions.
fn first_difference(image: u32, a: u32, b: u32) -> u32 {
  var position = 0u;
  while (position < parameters.positions && token(image, a, position) == token(image, b, position)) {
    position++;
  }
  return position;
}

// Whether candidate a goes before candidate b; equals go by index.
fn precedes(image: u32, a: u32, b: u32, by: u32, stream: vec2u) -> bool {
  var x = 0u;
  var y = 0u;
  switch by {
    case BY_MAP: {
      let position = first_difference(image, a, b);
      if (position < parameters.positions) {
        x = token(image, a, position);
        y = token(image, b, position);
      }
    }
    case AT_RANDOM: {
      x = threefry(stream, vec2u(0u, a)).x;
      y = threefry(stream, vec2u(0u, b)).x;
    }
    case SPARSEST_FIRST: {
      x = score_bits(image, a);
      y = score_bits(image, b);
    }
    default: {
      x = score_bits(image, b);
      y = score_bits(image, a);
    }
  }
  return x < y || (x == y && a < b);
}

// Bitonic sort of the image's part of `order`, which must hold every candidate once. Every run is merged
// upwards, the second of two taken in reverse, so that places beyond the last candidate stay out of it as if
// they held something greater.
fn sort(image: u32, lane: u32, by: u32, stream: vec2u) {
  let draws = parameters.draws;
  let start = image * draws;
  for (var run = 1u; run < draws; run *= 2u) {
    for (var half = run; half > 0u; half /= 2u) {
      for (var pair = lane; pair / half * 2u * half + pair % half < draws; pair += LANES) {
        let base = pair / half * 2u * half;
        let i = base + pair % half;
        let j = select(i + half, base + 2u * half - 1u - pair % half, half == run);
        if (j < draws) {
          let a = order[start + i];
          let b = order[start + j];
          if (precedes(image, b, a, by, stream)) {
            order[start + i] = b;
            order[start + j] = a;
          }
        }
      }
      storageBarrier();
    }
  }
}

// Whether two whole maps of code vectors are closer than the threshold.
fn in_conflict(image: u32, a: u32, b: u32) -> bool {
  var sum = 0.0;
  for (var position = 0u; position < parameters.positions; position++) {
    let x = token(image, a, position);
    let y = token(image, b, position);
    if (x == y) {
      continue;
    }
    if (parameters.vocabulary == 0u) {
      sum += f32(countOneBits(x ^ y));
      if (sum >= parameters.limit) {
        return false;
      }
      continue;
    }
    for (var c = 0u; c < parameters.channels; c += 4u) {
      sum = add_square(sum, difference(value(x, c), value(y, c)));
      sum = add_square(sum, difference(value(x, c + 1u), value(y, c + 1u)));
      sum = add_square(sum, difference(value(x, c + 2u), value(y, c + 2u)));
      sum = add_square(sum, difference(value(x, c + 3u), value(y, c + 3u)));
      if (sum >= parameters.limit) {
        return false;
      }
    }
  }
  return true;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let image = group.y * groups.x + group.x;
  if (image >= parameters.images) {
    return;
  }
  let draws = parameters.draws;
  let start = image * draws;
  let seed = vec2u(parameters.seed_low, parameters.seed_high);
  let record = image * (DECISION_WORDS + 2u * parameters.representatives);

  // Greatest, number of different maps, mean, rule.
  for (var a = lane; a < draws; a += LANES) {
    atomicMax(&greatest, score_bits(image, a));
    order[start + a] = a;
  }
  storageBarrier();
  sort(image, lane, BY_MAP, vec2u(0u));
  for (var i = lane; i < draws; i += LANES) {
    if (i == 0u || first_difference(image, order[start + i - 1u], order[start + i]) < parameters.positions) {
      atomicAdd(&unique, 1u);
    }
  }
  // What follows overwrites `order`, of which each thread has just read others' parts.
  storageBarrier();
  workgroupBarrier();
  let top = atomicLoad(&greatest) >> 23u;
  var sum = vec2u(0u);
  for (var a = lane; a < draws; a += LANES) {
    sum = add64(sum, weight(score_bits(image, a), top));
  }
  partial[lane] = sum;
  workgroupBarrier();
  if (lane == 0u) {
    for (var i = 1u; i < LANES; i++) {
      sum = add64(sum, partial[i]);
    }
    let mean = truncate64(divide64(sum, draws)) * bitcast<f32>((top - 35u) << 23u);
    let bound = product(parameters.alpha, mean);
    let maximum = bitcast<f32>(atomicLoad(&greatest));
    low = select(0u, 1u, select(maximum < bound, bound < maximum, parameters.paper == 1u));
    decision[record] = bitcast<u32>(maximum);
    decision[record + 1u] = bitcast<u32>(mean);
    decision[record + 2u] = low;
    decision[record + 3u] = atomicLoad(&unique);
  }

  let is_low = workgroupUniformLoad(&low) == 1u;
  if (parameters.given == 1u) {
    for (var i = lane; i < draws; i += LANES) {
      order[start + i] = min(given_order[start + i], draws - 1u);
    }
    storageBarrier();
  } else {
    let by_rule = select(DENSEST_FIRST, AT_RANDOM, is_low);
    let by = select(parameters.strategy, by_rule, parameters.strategy == BY_RULE);
    sort(image, lane, by, stream_key(seed, lanes[image], parameters.scale, PERMUTATION_PURPOSE));
  }

  // Walk the order; whoever is accepted rejects those after it that lie too close.
  if (lane == 0u) {
    next = 0u;
  }
  var kept = 0u;
  loop {
    let place = workgroupUniformLoad(&next);
    if (place >= draws) {
      break;
    }
    let accepted = order[start + place];
    if (lane == 0u) {
      decision[record + DECISION_WORDS + 2u * kept] = accepted;
    }
    kept++;
    if (kept == parameters.representatives) {
      break;
    }
    if (parameters.limit > 0.0) {
      for (var i = place + 1u + lane; i < draws; i += LANES) {
        if (in_conflict(image, accepted, order[start + i])) {
          atomicOr(&rejected[i / 32u], 1u << (i % 32u));
        }
      }
    }
    workgroupBarrier();
    if (lane == 0u) {
      var i = place + 1u;
      while (i < draws && ((atomicLoad(&rejected[i / 32u]) >> (i % 32u)) & 1u) == 1u) {
        i++;
      }
      next = i;
    }
    workgroupBarrier();
  }

  // Shares and the final draw.
  if (lane == 0u) {
    var total = vec2u(0u);
    for (var i = 0u; i < kept; i++) {
      total = add64(total, draw_weight(score_bits(image, decision[record + DECISION_WORDS + 2u * i]), top, kept - i));
    }
    let word = threefry(stream_key(seed, lanes[image], parameters.scale, CHOICE_PURPOSE), vec2u(0u)).x;
    // floor(total * word / 2^32), below the total.
    let mark = add64(multiply_wide(total.y, word), vec2u(multiply_wide(total.x, word).y, 0u));
    let one_over_total = reciprocal(truncate64(total));
    var drawn = NONE;
    var best = 0u;
    var cumulative = vec2u(0u);
    for (var i = 0u; i < parameters.representatives; i++) {
      let entry = record + DECISION_WORDS + 2u * i;
      if (i >= kept) {
        decision[entry] = NONE;
        decision[entry + 1u] = 0u;
        continue;
      }
      let bits = score_bits(image, decision[entry]);
      let share = draw_weight(bits, top, kept - i);
      decision[entry + 1u] = bitcast<u32>(product(truncate64(share), one_over_total));
      cumulative = add64(cumulative, share);
      if (drawn == NONE && less64(mark, cumulative)) {
        drawn = i;
      }
      let best_candidate = decision[record + DECISION_WORDS + 2u * best];
      let best_bits = score_bits(image, best_candidate);
      if (bits > best_bits || (bits == best_bits && decision[entry] < best_candidate)) {
        best = i;
      }
    }
    if (parameters.pick == GREATEST) {
      drawn = best;
    } else if (parameters.pick == UNIFORMLY) {
      drawn = multiply_wide(kept, word).y;
    }
    chosen = decision[record + DECISION_WORDS + 2u * drawn];
    decision[record + 4u] = kept;
    decision[record + 5u] = chosen;
    decision[record + 6u] = decision[record + DECISION_WORDS + 2u * drawn + 1u];
  }
  workgroupBarrier();
  for (var position = lane; position < parameters.positions; position += LANES) {
    tokens[image * parameters.positions + position] = token(image, chosen, position);
  }
}
