// Draws tokens: guidance, temperature, top-k, top-p, min-p and any number of independent draws; one workgroup
// per row (image, position) and share of the draws. Each thread owns a run of tokens; a row of up to 4096 is
// read once and its keys stay in registers. Bindings: logits [rows, vocabulary], the conditional ones, then,
// when the weight is not 0, as many unconditional ones; lanes [images]; tokens [images, draws, positions]. A
// token weighs 2^((logit - greatest) * sharpness) as an integer in units of 2^-30, so every sum is exact and
// free of order, and thresholds and draws come out with the same bits on every device. Ranks: larger logit
// first, then lower index. Expects exact.wgsl, logit.wgsl and threefry.wgsl in front of it, and a function
// report(end) behind. Twin: sample.ts.

struct Parameters {
  rows: u32,
  positions: u32,
  vocabulary: u32,
  draws: u32,
  first_draw: u32,
  top_k: u32,
  // In units of 2^-24; 0 is off.
  top_p: u32,
  // The bits of the largest distance from the greatest logit that min-p allows; all set it is off.
  reach: u32,
  weight: f32,
  // log2(e) / temperature; 0 stands for temperature 0.
  sharpness: f32,
  compounding: u32,
  scale: u32,
  seed_low: u32,
  seed_high: u32,
  // Draws of one workgroup.
  draws_each: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read> lanes: array<u32>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;

// Whether a row has more tokens than the threads can keep keys of; then keys are read and made anew in each
// step.
override long: bool = false;
// Whether top-k or top-p may be on.
override truncating: bool = true;

const THREADS = 64u;
// Keys that the threads keep, and each of them.
const KEPT_KEYS = 4096u;
const KEPT = KEPT_KEYS / THREADS;
// Bins, and parts of a row: each thread owns neighbouring ones.
const PARTS = 256u;
const OWN_PARTS = PARTS / THREADS;
const LISTED = 256u;
// Loops take several turns at once, in inner loops that compilers unroll, as llvmpipe ends the loops of a
// thread after 65535 turns in all.
const UNROLLED = 4u;
const OFF = 0xffffffffu;
const NO_TOKEN = 0xffffffffu;
const ALL_TIES = 0xffffffffu;
// Key of 2^91, where +infinity lies when values are put in bins: beyond all finite values.
const FAR_KEY = 0xed000000u;

// Bins of exact sums: a sum of up to 65536 weights of up to 2^30 as two sums, of their lower 15 bits and of
// the rest.
var<workgroup> bin_low: array<atomic<u32>, PARTS>;
var<workgroup> bin_high: array<atomic<u32>, PARTS>;
// Inclusive sums over bins, or over the parts of the row.
var<workgroup> sums: array<vec2u, PARTS>;
var<workgroup> thread_sums: array<vec2u, THREADS>;
// The keys in one bin, in any order.
var<workgroup> list: array<u32, LISTED>;
var<workgroup> amounts: array<u32, LISTED>;
var<workgroup> list_length: atomic<u32>;
var<workgroup> greatest_found: atomic<u32>;
// Inverted, so that it starts at the right value.
var<workgroup> least_found: atomic<u32>;
var<workgroup> index_found: atomic<u32>;
var<workgroup> agreement: u32;
var<workgroup> found: vec4u;

// The state of the row: its number, its greatest key, and what is kept (is_kept in logit.wgsl).
var<private> row: u32;
var<private> lane: u32;
// Tokens of a part, and of a thread.
var<private> part: u32;
var<private> own: u32;
var<private> greatest: u32;
var<private> least: u32;
var<private> threshold: u32;
var<private> last: u32;
// The keys of the thread's tokens; 0 is not kept.
var<private> keys: array<u32, KEPT>;

fn load_key(token: u32) -> u32 {
  let i = row * parameters.vocabulary + token;
  let conditional = logits[i];
  // Guided against itself a value stays what it is.
  var unconditional = conditional;
  if (parameters.weight != 0.0) {
    unconditional = logits[parameters.rows * parameters.vocabulary + i];
  }
  return logit_key(guide(conditional, unconditional, parameters.weight));
}

// The key of one of the thread's tokens, 0 if it is not kept or beyond them.
fn load_own(i: u32) -> u32 {
  let token = lane * own + i;
  let key = load_key(min(token, parameters.vocabulary - 1u));
  return select(0u, key, i < own && token < parameters.vocabulary && is_kept(key, token, threshold, last));
}

fn own_key(i: u32) -> u32 {
  if (long) {
    return load_own(i);
  }
  return keys[i];
}

// Drops from `keys` what is no longer kept.
fn drop_keys() {
  if (!long) {
    for (var first = 0u; first < own; first += UNROLLED) {
      for (var j = 0u; j < UNROLLED; j++) {
        let i = first + j;
        keys[i] = select(0u, keys[i], is_kept(keys[i], lane * own + i, threshold, last));
      }
    }
  }
}

// 0 for a key that is not kept.
fn mass(key: u32) -> u32 {
  if (greatest == INFINITE_KEY) {
    return select(0u, 1u << 30u, key == INFINITE_KEY);
  }
  return select(0u, exp2_negative((key_logit(greatest) - key_logit(key)) * parameters.sharpness), key != 0u);
}

fn amount(key: u32, by_mass: bool) -> u32 {
  if (by_mass) {
    return mass(key);
  }
  return 1u;
}

// A finite value in the order of the keys.
fn place(key: u32) -> f32 {
  return key_logit(min(key, FAR_KEY));
}

fn agreed(value: bool) -> bool {
  if (lane == 0u) {
    agreement = u32(value);
  }
  return workgroupUniformLoad(&agreement) == 1u;
}

fn pair(low: u32, high: u32) -> vec2u {
  return add64(vec2u(low, 0u), vec2u(high << 15u, high >> 17u));
}

// Makes `sums`, in which each thread has put the sums of its own parts, running sums, and returns the whole.
fn scan() -> vec2u {
  var sum = vec2u(0u);
  for (var i = 0u; i < OWN_PARTS; i++) {
    sum = add64(sum, sums[lane * OWN_PARTS + i]);
  }
  thread_sums[lane] = sum;
  workgroupBarrier();
  var before = vec2u(0u);
  for (var first = 0u; first < THREADS; first += 8u) {
    for (var j = 0u; j < 8u; j++) {
      let i = first + j;
      before = add64(before, select(vec2u(0u), thread_sums[i], i < lane));
    }
  }
  for (var i = 0u; i < OWN_PARTS; i++) {
    before = add64(before, sums[lane * OWN_PARTS + i]);
    sums[lane * OWN_PARTS + i] = before;
  }
  return workgroupUniformLoad(&sums[PARTS - 1u]);
}

// Keys that are close in value share a bin; the scale is a power of 2, so that the product is exact.
fn bin_of(key: u32, top: f32, scale: f32) -> u32 {
  return u32(min((top - place(key)) * scale, 255.0));
}

// Moves the threshold to the key at which the running count (top-k) or mass (top-p) in order of rank reaches
// its limit. The range of keys is cut into bins of equal width, the keys of the bin in which that happens are
// listed and compared with each other; if they are too many for the list, their range is cut again. Mostly
// one step is enough, where the digits of the keys would take four.
fn truncate(by_mass: bool) {
  var limit = vec2u(parameters.top_k, 0u);
  var before = vec2u(0u);
  var low = max(least, threshold);
  var high = greatest;
  var cut = 0u;
  var through = vec2u(0u);
  for (var step = 0u; ; step++) {
    let top = place(high);
    var width = top - place(low);
    if (by_mass && step == 0u) {
      // What lies farther has no mass.
      width = min(width, 32.0 / parameters.sharpness);
    }
    // The keys fill 128 to 256 bins, except that those beyond share the last one.
    let exponent = max(bitcast<u32>(width) >> 23u, 27u);
    let scale = bitcast<f32>((261u - exponent) << 23u);
    for (var i = lane; i < PARTS; i += THREADS) {
      atomicStore(&bin_low[i], 0u);
      atomicStore(&bin_high[i], 0u);
    }
    if (lane == 0u) {
      atomicStore(&list_length, 0u);
      found = vec4u(PARTS);
    }
    workgroupBarrier();
    for (var first = 0u; first < own; first += UNROLLED) {
      for (var j = 0u; j < UNROLLED; j++) {
        let i = first + j;
        let key = own_key(i);
        if (by_mass) {
          let added = mass(key);
          if (key >= low && key <= high && added > 0u) {
            let bin = bin_of(key, top, scale);
            atomicAdd(&bin_low[bin], added & 0x7fffu);
            atomicAdd(&bin_high[bin], added >> 15u);
          }
        } else if (key >= low && key <= high) {
          atomicAdd(&bin_low[bin_of(key, top, scale)], 1u);
        }
      }
    }
    workgroupBarrier();
    for (var i = lane * OWN_PARTS; i < (lane + 1u) * OWN_PARTS; i++) {
      sums[i] = pair(atomicLoad(&bin_low[i]), atomicLoad(&bin_high[i]));
    }
    let total = scan();
    if (by_mass && step == 0u) {
      limit = share(total, parameters.top_p);
    }
    for (var i = lane * OWN_PARTS; i < (lane + 1u) * OWN_PARTS; i++) {
      let behind = add64(before, sums[i]);
      let front = subtract64(behind, pair(atomicLoad(&bin_low[i]), atomicLoad(&bin_high[i])));
      if (less64(front, limit) && !less64(behind, limit)) {
        found = vec4u(i, front, 0u);
      }
    }
    let bin_found = workgroupUniformLoad(&found);
    if (bin_found.x == PARTS) {
      return;
    }
    before = bin_found.yz;
    for (var first = 0u; first < own; first += UNROLLED) {
      for (var j = 0u; j < UNROLLED; j++) {
        let i = first + j;
        let key = own_key(i);
        if (key >= low && key <= high && bin_of(key, top, scale) == bin_found.x) {
          let at = atomicAdd(&list_length, 1u);
          if (at < LISTED) {
            list[at] = key;
          }
        }
      }
    }
    workgroupBarrier();
    let length = atomicLoad(&list_length);
    if (agreed(length <= LISTED)) {
      for (var at = lane; at < length; at += THREADS) {
        amounts[at] = amount(list[at], by_mass);
      }
      workgroupBarrier();
      for (var at = lane; at < length; at += THREADS) {
        let key = list[at];
        var ahead = before;
        var ties = 0u;
        var is_first = true;
        for (var first = 0u; first < length; first += UNROLLED) {
          for (var j = 0u; j < UNROLLED; j++) {
            let i = first + j;
            let other = select(0u, list[i], i < length);
            ahead = add64(ahead, vec2u(select(0u, amounts[i], other > key), 0u));
            ties += u32(other == key);
            is_first = is_first && (other != key || i >= at);
          }
        }
        let after = add64(ahead, multiply_wide(ties, amounts[at]));
        if (is_first && less64(ahead, limit) && !less64(after, limit)) {
          found = vec4u(key, ahead, ties);
        }
      }
      let key_found = workgroupUniformLoad(&found);
      cut = key_found.x;
      before = key_found.yz;
      through = add64(before, multiply_wide(key_found.w, amount(cut, by_mass)));
      break;
    }
    // Too many for the list: once more with their range.
    if (lane == 0u) {
      atomicStore(&greatest_found, 0u);
      atomicStore(&least_found, 0u);
    }
    workgroupBarrier();
    var lowest = 0xffffffffu;
    var highest = 0u;
    for (var first = 0u; first < own; first += UNROLLED) {
      for (var j = 0u; j < UNROLLED; j++) {
        let i = first + j;
        let key = own_key(i);
        if (key >= low && key <= high && bin_of(key, top, scale) == bin_found.x) {
          lowest = min(lowest, key);
          highest = max(highest, key);
        }
      }
    }
    atomicMax(&greatest_found, highest);
    atomicMax(&least_found, ~lowest);
    workgroupBarrier();
    high = atomicLoad(&greatest_found);
    low = ~atomicLoad(&least_found);
    if (agreed(high == low)) {
      cut = low;
      through = add64(before, multiply_wide(length, amount(cut, by_mass)));
      break;
    }
  }
  if (cut != threshold) {
    threshold = cut;
    last = ALL_TIES;
  }
  if (by_mass) {
    let each = mass(threshold);
    // The last of the ties has all the others in front of it.
    if (agreed(!less64(subtract64(through, vec2u(each, 0u)), limit))) {
      split_ties(before, each, limit);
    }
  }
  drop_keys();
}

// Keeps the ties at the threshold that have less than the limit in front of them: `before`, and `each` per
// earlier tie.
fn split_ties(before: vec2u, each: u32, limit: vec2u) {
  var ties = 0u;
  for (var first = 0u; first < own; first += UNROLLED) {
    for (var j = 0u; j < UNROLLED; j++) {
      let i = first + j;
      ties += u32(own_key(i) == threshold);
    }
  }
  if (lane == 0u) {
    atomicStore(&index_found, 0u);
  }
  thread_sums[lane] = vec2u(ties, 0u);
  workgroupBarrier();
  var rank = 0u;
  for (var i = 0u; i < lane; i++) {
    rank += thread_sums[i].x;
  }
  for (var first = 0u; first < own; first += UNROLLED) {
    for (var j = 0u; j < UNROLLED; j++) {
      let i = first + j;
      if (own_key(i) == threshold) {
        if (less64(add64(before, multiply_wide(rank, each)), limit)) {
          atomicMax(&index_found, lane * own + i);
        }
        rank++;
      }
    }
  }
  workgroupBarrier();
  last = atomicLoad(&index_found);
}

// The token at which the running mass in order of index first exceeds `point`; `sums` holds the running mass
// of the threads' tokens.
fn token_at(point: vec2u) -> u32 {
  var low = 0u;
  var high = PARTS - 1u;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (less64(point, sums[middle])) {
      high = middle;
    } else {
      low = middle + 1u;
    }
  }
  var rest = point;
  if (low > 0u) {
    rest = subtract64(point, sums[low - 1u]);
  }
  let end = min((low + 1u) * part, parameters.vocabulary);
  for (var token = low * part; token < end; token++) {
    let key = load_key(token);
    if (is_kept(key, token, threshold, last)) {
      let each = vec2u(mass(key), 0u);
      if (less64(rest, each)) {
        return token;
      }
      rest = subtract64(rest, each);
    }
  }
  return NO_TOKEN;
}

// The smallest key within reach of the greatest. Bits are compared, as they cannot be reassociated.
fn reached() -> u32 {
  let top = key_logit(greatest);
  // From the key of -infinity on.
  var low = 0x007fffffu;
  var high = greatest;
  while (low + 1u < high && greatest != INFINITE_KEY) {
    let middle = low + (high - low) / 2u;
    let value = bitcast<f32>(canonical(key_bits(middle)));
    if (bitcast<u32>(top - value) <= parameters.reach) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return high;
}

fn store(draw: u32, token: u32) {
  let image = row / parameters.positions;
  let position = row % parameters.positions;
  let i = (image * parameters.draws + draw - parameters.first_draw) * parameters.positions + position;
  tokens[i] = token;
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let number = group.y * groups.x + group.x;
  if (number >= parameters.rows) {
    return;
  }
  row = number;
  lane = index;
  part = (parameters.vocabulary + PARTS - 1u) / PARTS;
  own = part * OWN_PARTS;
  threshold = 1u;
  last = ALL_TIES;
  let begin = parameters.first_draw + group.z * parameters.draws_each;
  let end = min(begin + parameters.draws_each, parameters.first_draw + parameters.draws);

  var inverse_least = 0u;
  for (var first = 0u; first < own; first += UNROLLED) {
    for (var j = 0u; j < UNROLLED; j++) {
      let i = first + j;
      let key = load_own(i);
      if (!long) {
        keys[i] = key;
      }
      greatest = max(greatest, key);
      inverse_least = max(inverse_least, select(~key, 0u, key == 0u));
    }
  }
  atomicMax(&greatest_found, greatest);
  atomicMax(&least_found, inverse_least);
  workgroupBarrier();
  greatest = atomicLoad(&greatest_found);
  least = ~atomicLoad(&least_found);
  if (agreed(greatest == 0u || parameters.sharpness == 0.0)) {
    // One answer for all draws: none, or the first of the greatest.
    if (lane == 0u) {
      atomicStore(&index_found, NO_TOKEN);
    }
    workgroupBarrier();
    for (var first = 0u; first < own; first += UNROLLED) {
      for (var j = 0u; j < UNROLLED; j++) {
        let i = first + j;
        if (greatest != 0u && own_key(i) == greatest) {
          atomicMin(&index_found, lane * own + i);
        }
      }
    }
    workgroupBarrier();
    let token = atomicLoad(&index_found);
    for (var draw = begin + lane; draw < end; draw += THREADS) {
      store(draw, token);
    }
    threshold = select(greatest, 0xffffffffu, greatest == 0u);
    last = token;
    report(end);
    return;
  }

  if (truncating && parameters.top_k != 0u) {
    truncate(false);
  }
  let key = stream_key(vec2u(parameters.seed_low, parameters.seed_high), lanes[row / parameters.positions],
    parameters.scale, TOKEN_PURPOSE);
  var next = begin;
  // With compounding, draw d sees the filter applied d + 1 times; once a pass changes nothing, the remaining
  // draws are alike.
  for (var pass_number = 0u; next < end; pass_number++) {
    let old_threshold = threshold;
    let old_last = last;
    if (truncating && parameters.top_p != 0u) {
      truncate(true);
    }
    if (parameters.reach != OFF) {
      let least_key = reached();
      if (least_key > threshold) {
        threshold = least_key;
        last = ALL_TIES;
        drop_keys();
      }
    }
    let settled = agreed(parameters.compounding == 0u || (threshold == old_threshold && last == old_last));
    if (!settled && pass_number < next) {
      continue;
    }
    for (var p = 0u; p < OWN_PARTS; p++) {
      var sum_low = 0u;
      var sum_high = 0u;
      for (var first = 0u; first < part; first += UNROLLED) {
        for (var j = 0u; j < UNROLLED; j++) {
          let i = first + j;
          let each = select(0u, mass(own_key(p * part + i)), i < part);
          sum_low += each & 0x7fffu;
          sum_high += each >> 15u;
        }
      }
      sums[lane * OWN_PARTS + p] = pair(sum_low, sum_high);
    }
    let total = scan();
    let until = select(next + 1u, end, settled);
    for (var draw = next + lane; draw < until; draw += THREADS) {
      let words = threefry(key, vec2u(row % parameters.positions, draw));
      store(draw, token_at(random_point(total, words)));
    }
    workgroupBarrier();
    next = until;
  }
  report(end);
}
