// VAR-Scaling's choice among the candidates of each image: search order, conflict suppression, final draw.
// Bindings: scores [images, draws], candidates [images, draws, positions], codebook [vocabulary, channels], lanes [images], order
// [images, draws] (written, or read when `given` is 1), tokens [images, positions], decision [images, 7 + 2 representatives] (laid out
// as in select.ts). One workgroup per image. Expects exact.wgsl, exact_sums.wgsl and threefry.wgsl in front of it.
// Same bits on every device: scores become integers in units of 2^-35 of the power of 2 below the greatest, and all sums, the mean and
// the draw are made of those; squared distances are summed in channel order; equal keys go to the lower candidate. Twin: select.ts.

struct Parameters {
  images: u32,
  draws: u32,
  positions: u32,
  vocabulary: u32,
  channels: u32,
  representatives: u32,
  // 0 by the rule, 1 top, 2 small, 3 random.
  strategy: u32,
  // The rule as printed in the paper.
  paper: u32,
  // 0 by density, 1 the greatest, 2 uniformly.
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
@group(0) @binding(5) var<storage, read_write> order: array<u32>;
@group(0) @binding(6) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(7) var<storage, read_write> decision: array<u32>;

const LANES = 256u;
const WORDS = 7u;
const NONE = 0xffffffffu;

var<workgroup> greatest: atomic<u32>;
var<workgroup> unique: atomic<u32>;
var<workgroup> partial: array<vec2<u32>, LANES>;
var<workgroup> low: u32;
var<workgroup> keys: array<u32, LANES>;
// One bit per place of the search order: in conflict with an accepted candidate.
var<workgroup> rejected: array<atomic<u32>, 2048>;
var<workgroup> next: u32;
var<workgroup> chosen: u32;

// The bits of a score, which sort like the score; anything but a finite number >= 0 counts as 0.
fn score_bits(image: u32, candidate: u32) -> u32 {
  let bits = bitcast<u32>(scores[image * parameters.draws + candidate]);
  return select(bits, 0u, bits > 0x7f7fffffu);
}

// The exponent field of the unit's power of 2, from the greatest score; small enough ones share the least unit that f32 can hold.
fn top_exponent() -> u32 {
  return max(atomicLoad(&greatest) >> 23u, 36u);
}

// A score as an integer of at most 36 bits, at least 1.
fn weight(bits: u32, top: u32) -> vec2<u32> {
  let exponent = bits >> 23u;
  let gap = top - exponent;
  if (exponent == 0u || gap >= 36u) {
    return vec2<u32>(1u, 0u);
  }
  let mantissa = (bits & 0x7fffffu) | 0x800000u;
  if (gap >= 12u) {
    return vec2<u32>(mantissa >> (gap - 12u), 0u);
  }
  return multiply_wide(mantissa, 1u << (12u - gap));
}

// floor(x / divisor) for a divisor below 2^31, one binary digit at a time.
fn divide64(x: vec2<u32>, divisor: u32) -> vec2<u32> {
  var quotient = vec2<u32>(0u);
  var rest = 0u;
  for (var i = 0u; i < 64u; i++) {
    let word = select(x.x, x.y, i < 32u);
    rest = (rest << 1u) | ((word >> (31u - (i & 31u))) & 1u);
    quotient = vec2<u32>(quotient.x << 1u, (quotient.y << 1u) | (quotient.x >> 31u));
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

// A token that is no code stands for zeros.
fn value(code: u32, channel: u32) -> f32 {
  if (code >= parameters.vocabulary) {
    return 0.0;
  }
  return codebook[code * parameters.channels + channel];
}

fn same_map(image: u32, a: u32, b: u32) -> bool {
  for (var position = 0u; position < parameters.positions; position++) {
    if (token(image, a, position) != token(image, b, position)) {
      return false;
    }
  }
  return true;
}

// Whether two whole maps of code vectors are closer than the threshold.
fn in_conflict(image: u32, a: u32, b: u32) -> bool {
  var sum = 0.0;
  for (var position = 0u; position < parameters.positions; position++) {
    let x = token(image, a, position);
    let y = token(image, b, position);
    if (x != y) {
      for (var c = 0u; c < parameters.channels; c++) {
        sum = add_square(sum, difference(value(x, c), value(y, c)));
      }
    }
    if (sum >= parameters.limit) {
      return false;
    }
  }
  return true;
}

fn searched(image: u32, place: u32) -> u32 {
  return min(order[image * parameters.draws + place], parameters.draws - 1u);
}

@compute @workgroup_size(256)
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
  let seed = vec2<u32>(parameters.seed_low, parameters.seed_high);
  let record = image * (WORDS + 2u * parameters.representatives);

  // Greatest, mean, rule.
  for (var a = lane; a < draws; a += LANES) {
    atomicMax(&greatest, score_bits(image, a));
    var first = true;
    for (var b = 0u; b < a && first; b++) {
      first = score_bits(image, a) != score_bits(image, b) || !same_map(image, a, b);
    }
    if (first) {
      atomicAdd(&unique, 1u);
    }
  }
  workgroupBarrier();
  let top = top_exponent();
  var sum = vec2<u32>(0u);
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

  // Search order: a candidate's place is the number of candidates with a lesser (key, index).
  if (parameters.given == 0u) {
    let is_low = workgroupUniformLoad(&low) == 1u;
    let random = parameters.strategy == 3u || (parameters.strategy == 0u && is_low);
    let stream = stream_key(seed, lanes[image], parameters.scale, PERMUTATION_PURPOSE);
    for (var block = 0u; block < draws; block += LANES) {
      let a = block + lane;
      let mine = search_key(image, min(a, draws - 1u), random, stream);
      var place = 0u;
      for (var start = 0u; start < draws; start += LANES) {
        keys[lane] = search_key(image, min(start + lane, draws - 1u), random, stream);
        workgroupBarrier();
        for (var i = 0u; i < min(LANES, draws - start); i++) {
          if (keys[i] < mine || (keys[i] == mine && start + i < a)) {
            place++;
          }
        }
        workgroupBarrier();
      }
      if (a < draws) {
        order[image * draws + place] = a;
      }
    }
  }
  storageBarrier();

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
    let accepted = searched(image, place);
    if (lane == 0u) {
      decision[record + WORDS + 2u * kept] = accepted;
    }
    kept++;
    if (kept == parameters.representatives) {
      break;
    }
    if (parameters.limit > 0.0) {
      for (var i = place + 1u + lane; i < draws; i += LANES) {
        if (in_conflict(image, accepted, searched(image, i))) {
          atomicOr(&rejected[i / 32u], 1u << (i % 32u));
        }
      }
    }
    workgroupBarrier();
    if (lane == 0u) {
      var i = place + 1u;
      while (i < draws && (atomicLoad(&rejected[i / 32u]) >> (i % 32u) & 1u) == 1u) {
        i++;
      }
      next = i;
    }
    workgroupBarrier();
  }

  // Shares and the final draw.
  if (lane == 0u) {
    var total = vec2<u32>(0u);
    for (var i = 0u; i < kept; i++) {
      total = add64(total, weight(score_bits(image, decision[record + WORDS + 2u * i]), top));
    }
    let word = threefry(stream_key(seed, lanes[image], parameters.scale, CHOICE_PURPOSE), vec2<u32>(0u)).x;
    // floor(total * word / 2^32), below the total.
    let mark = add64(multiply_wide(total.y, word), vec2<u32>(multiply_wide(total.x, word).y, 0u));
    let one_over_total = reciprocal(truncate64(total));
    var drawn = NONE;
    var best = 0u;
    var cumulative = vec2<u32>(0u);
    for (var i = 0u; i < parameters.representatives; i++) {
      let entry = record + WORDS + 2u * i;
      if (i >= kept) {
        decision[entry] = NONE;
        decision[entry + 1u] = 0u;
        continue;
      }
      let bits = score_bits(image, decision[entry]);
      let share = weight(bits, top);
      decision[entry + 1u] = bitcast<u32>(product(truncate64(share), one_over_total));
      cumulative = add64(cumulative, share);
      if (drawn == NONE && less64(mark, cumulative)) {
        drawn = i;
      }
      let best_candidate = decision[record + WORDS + 2u * best];
      let best_bits = score_bits(image, best_candidate);
      if (bits > best_bits || (bits == best_bits && decision[entry] < best_candidate)) {
        best = i;
      }
    }
    if (parameters.pick == 1u) {
      drawn = best;
    } else if (parameters.pick == 2u) {
      drawn = multiply_wide(kept, word).y;
    }
    chosen = decision[record + WORDS + 2u * drawn];
    decision[record + 4u] = kept;
    decision[record + 5u] = chosen;
    decision[record + 6u] = decision[record + WORDS + 2u * drawn + 1u];
  }
  workgroupBarrier();
  for (var position = lane; position < parameters.positions; position += LANES) {
    tokens[image * parameters.positions + position] = token(image, chosen, position);
  }
}

// What the search order ascends by.
fn search_key(image: u32, candidate: u32, random: bool, stream: vec2<u32>) -> u32 {
  if (random) {
    return threefry(stream, vec2<u32>(0u, candidate)).x;
  }
  let bits = score_bits(image, candidate);
  return select(~bits, bits, parameters.strategy == 2u);
}
