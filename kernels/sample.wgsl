// Draws tokens: guidance, temperature, top-k, top-p and any number of independent draws; one workgroup per row (image, position), which
// streams its logits from memory once per step. Expects exact.wgsl, logit.wgsl and threefry.wgsl in front and a function report(row)
// behind. A token weighs 2^((logit - greatest) * sharpness) as an integer in units of 2^-30, so every sum is exact and free of order, and
// thresholds and draws come out bit for bit as in the twin. Ranks: larger logit first, then lower index.

struct Parameters {
  rows: u32,
  positions: u32,
  vocabulary: u32,
  draws: u32,
  first_draw: u32,
  top_k: u32,
  // In units of 2^-24; 0 is off.
  top_p: u32,
  weight: f32,
  // log2(e) / temperature; 0 stands for temperature 0.
  sharpness: f32,
  compounding: u32,
  scale: u32,
  seed_low: u32,
  seed_high: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read> lanes: array<u32>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;

const THREADS = 256u;
const NO_TOKEN = 0xffffffffu;
const ALL_TIES = 0xffffffffu;

// Bins of exact sums: a sum of up to 65536 weights of up to 2^30 as two sums, of their lower 15 bits and of the rest.
var<workgroup> bin_low: array<atomic<u32>, 256>;
var<workgroup> bin_high: array<atomic<u32>, 256>;
// Inclusive sums over the bins.
var<workgroup> sums: array<vec2<u32>, 256>;
var<workgroup> greatest_found: atomic<u32>;
var<workgroup> index_found: atomic<u32>;
var<workgroup> agreement: u32;
var<workgroup> bin_found: u32;
var<workgroup> before_found: vec2<u32>;
var<workgroup> through_found: vec2<u32>;

// The state of the row: its number, its greatest key, and what is kept (is_kept in logit.wgsl).
var<private> row: u32;
var<private> lane: u32;
var<private> greatest: u32;
var<private> threshold: u32;
var<private> last: u32;

fn load_key(token: u32) -> u32 {
  let i = row * parameters.vocabulary + token;
  if (parameters.weight == 0.0) {
    return logit_key(canonical(logits[i]));
  }
  return logit_key(guide(logits[i], logits[parameters.rows * parameters.vocabulary + i], parameters.weight));
}

fn mass(key: u32) -> u32 {
  if (greatest == INFINITE_KEY) {
    return select(0u, 1u << 30u, key == INFINITE_KEY);
  }
  return exp2_negative((key_logit(greatest) - key_logit(key)) * parameters.sharpness);
}

// What lane 0 says, in a form that is known to be the same for all, so that barriers may depend on it.
fn agreed(value: bool) -> bool {
  if (lane == 0u) {
    agreement = u32(value);
  }
  return workgroupUniformLoad(&agreement) == 1u;
}

fn clear_bins() {
  workgroupBarrier();
  atomicStore(&bin_low[lane], 0u);
  atomicStore(&bin_high[lane], 0u);
  workgroupBarrier();
}

fn add_to_bin(bin: u32, amount: u32) {
  atomicAdd(&bin_low[bin], amount & 0x7fffu);
  atomicAdd(&bin_high[bin], amount >> 15u);
}

fn bin(i: u32) -> vec2<u32> {
  let high = atomicLoad(&bin_high[i]);
  return add64(vec2<u32>(atomicLoad(&bin_low[i]), 0u), vec2<u32>(high << 15u, high >> 17u));
}

// Fills `sums` and returns the sum over all bins.
fn sum_bins() -> vec2<u32> {
  workgroupBarrier();
  sums[lane] = bin(lane);
  for (var distance = 1u; distance < THREADS; distance = distance << 1u) {
    workgroupBarrier();
    var sum = sums[lane];
    if (lane >= distance) {
      sum = add64(sum, sums[lane - distance]);
    }
    workgroupBarrier();
    sums[lane] = sum;
  }
  return workgroupUniformLoad(&sums[THREADS - 1u]);
}

// Moves the threshold to the key at which the running count (top-k) or mass (top-p) in order of rank reaches its limit: four steps of
// eight bits down the keys. Ties at the threshold all stay for top-k; for top-p those stay that have less than the limit in front of them.
fn truncate(by_mass: bool) {
  var limit = vec2<u32>(parameters.top_k, 0u);
  var before = vec2<u32>(0u);
  var through = vec2<u32>(0u);
  var prefix = 0u;
  var mask = 0u;
  for (var step = 0u; step < 4u; step++) {
    let shift = 24u - 8u * step;
    clear_bins();
    for (var token = lane; token < parameters.vocabulary; token += THREADS) {
      let key = load_key(token);
      if (is_kept(key, token, threshold, last) && (key & mask) == prefix) {
        var amount = 1u;
        if (by_mass) {
          amount = mass(key);
        }
        add_to_bin(255u - ((key >> shift) & 255u), amount);
      }
    }
    let total = sum_bins();
    if (step == 0u) {
      if (by_mass) {
        limit = share(total, parameters.top_p);
      } else if (less64(total, limit)) {
        return;
      }
    }
    let here = add64(before, sums[lane]);
    let front = subtract64(here, bin(lane));
    if (less64(front, limit) && !less64(here, limit)) {
      bin_found = lane;
      before_found = front;
      through_found = here;
    }
    prefix |= (255u - workgroupUniformLoad(&bin_found)) << shift;
    mask |= 255u << shift;
    before = workgroupUniformLoad(&before_found);
    through = workgroupUniformLoad(&through_found);
  }
  if (prefix != threshold) {
    threshold = prefix;
    last = ALL_TIES;
  }
  if (by_mass) {
    let each = mass(threshold);
    // The last of the ties has all the others in front of it.
    if (agreed(!less64(subtract64(through, vec2<u32>(each, 0u)), limit))) {
      split_ties(before, each, limit);
    }
  }
}

// Keeps the ties at the threshold that have less than the limit in front of them: `before`, and `each` per earlier tie.
fn split_ties(before: vec2<u32>, each: u32, limit: vec2<u32>) {
  let chunk = (parameters.vocabulary + THREADS - 1u) / THREADS;
  clear_bins();
  if (lane == 0u) {
    atomicStore(&index_found, 0u);
  }
  for (var token = lane; token < parameters.vocabulary; token += THREADS) {
    if (load_key(token) == threshold && token <= last) {
      add_to_bin(token / chunk, 1u);
    }
  }
  sum_bins();
  var rank = sums[lane].x - bin(lane).x;
  let end = min((lane + 1u) * chunk, parameters.vocabulary);
  for (var token = lane * chunk; token < end; token++) {
    if (load_key(token) == threshold && token <= last) {
      if (less64(add64(before, multiply_wide(rank, each)), limit)) {
        atomicMax(&index_found, token);
      }
      rank++;
    }
  }
  workgroupBarrier();
  last = atomicLoad(&index_found);
}

// The token at which the running mass in order of index first exceeds `point`; `sums` holds the mass of the chunks.
fn token_at(point: vec2<u32>) -> u32 {
  var low = 0u;
  var high = THREADS - 1u;
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
  let chunk = (parameters.vocabulary + THREADS - 1u) / THREADS;
  let end = min((low + 1u) * chunk, parameters.vocabulary);
  for (var token = low * chunk; token < end; token++) {
    let key = load_key(token);
    if (is_kept(key, token, threshold, last)) {
      let amount = vec2<u32>(mass(key), 0u);
      if (less64(rest, amount)) {
        return token;
      }
      rest = subtract64(rest, amount);
    }
  }
  return NO_TOKEN;
}

fn store(draw: u32, token: u32) {
  let image = row / parameters.positions;
  let position = row % parameters.positions;
  let i = (image * parameters.draws + draw - parameters.first_draw) * parameters.positions + position;
  tokens[i] = token;
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let number = group.y * groups.x + group.x;
  if (number >= parameters.rows) {
    return;
  }
  row = number;
  lane = index;
  let end = parameters.first_draw + parameters.draws;

  for (var token = lane; token < parameters.vocabulary; token += THREADS) {
    greatest = max(greatest, load_key(token));
  }
  atomicMax(&greatest_found, greatest);
  workgroupBarrier();
  greatest = atomicLoad(&greatest_found);
  if (agreed(greatest == 0u || parameters.sharpness == 0.0)) {
    // One answer for all draws: none, or the first of the greatest.
    if (lane == 0u) {
      atomicStore(&index_found, NO_TOKEN);
    }
    workgroupBarrier();
    for (var token = lane; token < parameters.vocabulary; token += THREADS) {
      if (greatest != 0u && load_key(token) == greatest) {
        atomicMin(&index_found, token);
        break;
      }
    }
    workgroupBarrier();
    let token = atomicLoad(&index_found);
    for (var draw = parameters.first_draw + lane; draw < end; draw += THREADS) {
      store(draw, token);
    }
    threshold = select(greatest, 0xffffffffu, greatest == 0u);
    last = token;
    report();
    return;
  }

  threshold = 1u;
  last = ALL_TIES;
  if (parameters.top_k != 0u) {
    truncate(false);
  }
  let key = stream_key(vec2<u32>(parameters.seed_low, parameters.seed_high), lanes[row / parameters.positions],
    parameters.scale, TOKEN_PURPOSE);
  let chunk = (parameters.vocabulary + THREADS - 1u) / THREADS;
  var next = parameters.first_draw;
  // With compounding, draw d sees the filter applied d + 1 times; once a pass changes nothing, the remaining draws are alike.
  for (var pass_number = 0u; next < end; pass_number++) {
    var settled = true;
    if (parameters.top_p != 0u) {
      let old_threshold = threshold;
      let old_last = last;
      truncate(true);
      settled = agreed(parameters.compounding == 0u || (threshold == old_threshold && last == old_last));
    }
    if (!settled && pass_number < next) {
      continue;
    }
    clear_bins();
    for (var token = lane; token < parameters.vocabulary; token += THREADS) {
      let token_key = load_key(token);
      if (is_kept(token_key, token, threshold, last)) {
        add_to_bin(token / chunk, mass(token_key));
      }
    }
    let total = sum_bins();
    let until = select(next + 1u, end, settled);
    for (var draw = next + lane; draw < until; draw += THREADS) {
      let words = threefry(key, vec2<u32>(row % parameters.positions, draw));
      store(draw, token_at(random_point(total, words)));
    }
    next = until;
  }
  report();
}
