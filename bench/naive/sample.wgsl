// Sampling as one would write it first: guide, sort the whole row (bitonic, in storage), sum probabilities in
// f32 in order of rank for top-k and top-p, then walk the row for every draw. One workgroup per row; the
// vocabulary must be a power of 2, and min-p off. Expects threefry.wgsl in front of it.

struct Parameters {
  rows: u32,
  positions: u32,
  vocabulary: u32,
  draws: u32,
  first_draw: u32,
  top_k: u32,
  // In units of 2^-24; 0 is off.
  top_p: u32,
  reach: u32,
  weight: f32,
  sharpness: f32,
  compounding: u32,
  scale: u32,
  seed_low: u32,
  seed_high: u32,
  draws_each: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> lanes: array<u32>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(4) var<storage, read_write> values: array<f32>;
@group(0) @binding(5) var<storage, read_write> order: array<u32>;

const THREADS = 256u;

var<workgroup> kept: u32;
var<workgroup> mass: f32;

fn precedes(start: u32, a: u32, b: u32) -> bool {
  let x = values[start + a];
  let y = values[start + b];
  return x > y || (x == y && a < b);
}

fn probability(start: u32, token: u32) -> f32 {
  return exp2((values[start + token] - values[start + order[start]]) * parameters.sharpness);
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * groups.x + group.x;
  if (row >= parameters.rows) {
    return;
  }
  let size = parameters.vocabulary;
  let start = row * size;
  for (var token = lane; token < size; token += THREADS) {
    var value = logits[start + token];
    if (parameters.weight != 0.0) {
      value += parameters.weight * (value - logits[parameters.rows * size + start + token]);
    }
    values[start + token] = value;
    order[start + token] = token;
  }
  storageBarrier();
  for (var run = 2u; run <= size; run *= 2u) {
    for (var half = run / 2u; half > 0u; half /= 2u) {
      for (var pair = lane; pair < size / 2u; pair += THREADS) {
        let i = pair / half * 2u * half + pair % half;
        let a = order[start + i];
        let b = order[start + i + half];
        if (precedes(start, b, a) == ((i & run) == 0u)) {
          order[start + i] = b;
          order[start + i + half] = a;
        }
      }
      storageBarrier();
    }
  }
  if (lane == 0u) {
    var count = size;
    if (parameters.top_k != 0u) {
      count = parameters.top_k;
      while (count < size && values[start + order[start + count]] == values[start + order[start + count - 1u]]) {
        count++;
      }
    }
    var total = 0.0;
    for (var i = 0u; i < count; i++) {
      total += probability(start, order[start + i]);
    }
    if (parameters.top_p != 0u) {
      let limit = total * f32(parameters.top_p) * 0x1p-24;
      var before = 0.0;
      var i = 0u;
      while (i < count && before < limit) {
        before += probability(start, order[start + i]);
        i++;
      }
      count = i;
      total = before;
    }
    kept = count;
    mass = total;
  }
  workgroupBarrier();
  let worst = order[start + kept - 1u];
  let image = row / parameters.positions;
  let position = row % parameters.positions;
  let seed = vec2u(parameters.seed_low, parameters.seed_high);
  let key = stream_key(seed, lanes[image], parameters.scale, TOKEN_PURPOSE);
  for (var draw = lane; draw < parameters.draws; draw += THREADS) {
    var rest = mass * f32(threefry(key, vec2u(position, draw)).x >> 8u) * 0x1p-24;
    var chosen = worst;
    var is_chosen = false;
    // Four at a time, as llvmpipe ends the loops of a thread after 65535 turns in all.
    for (var first = 0u; first < size && !is_chosen; first += 4u) {
      for (var j = 0u; j < 4u; j++) {
        let token = first + j;
        if (!is_chosen && (token == worst || precedes(start, token, worst))) {
          let amount = probability(start, token);
          if (rest < amount) {
            chosen = token;
            is_chosen = true;
          }
          rest -= amount;
        }
      }
    }
    tokens[(image * parameters.draws + draw) * parameters.positions + position] = chosen;
  }
}
