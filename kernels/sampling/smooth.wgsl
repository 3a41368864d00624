// Soft tokens: the mean of the code vectors under softmax((logits * factor + gumbel noise) / tau) over the
// tokens that a truncation keeps; one workgroup per row (image, position). Bindings: logits [rows,
// vocabulary], the conditional ones, then, when the weight is not 0, as many unconditional ones; truncation
// [rows, 2] as sample.wgsl reports it; codebook [vocabulary, channels]; lanes [images]; output [images,
// channels, positions]. Plain f32: a weight is right to within a relative 1e-5 * (1 + 1 / tau). Positions
// where nothing is kept get 0. Expects exact.wgsl, logit.wgsl and threefry.wgsl in front of it. Twin:
// smooth.ts.

struct Parameters {
  rows: u32,
  positions: u32,
  vocabulary: u32,
  channels: u32,
  weight: f32,
  factor: f32,
  inverse_tau: f32,
  scale: u32,
  seed_low: u32,
  seed_high: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read> truncation: array<vec2u>;
@group(0) @binding(3) var<storage, read> codebook: array<f32>;
@group(0) @binding(4) var<storage, read> lanes: array<u32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

const THREADS = 256u;

var<workgroup> greatest_found: atomic<u32>;
var<workgroup> best_found: atomic<u32>;
var<workgroup> weights: array<f32, THREADS>;
var<workgroup> partial: array<f32, THREADS>;

var<private> row: u32;
var<private> greatest: u32;

// The key of a token, 0 if the truncation drops it.
fn load_key(token: u32) -> u32 {
  let i = row * parameters.vocabulary + token;
  var key: u32;
  if (parameters.weight == 0.0) {
    key = logit_key(canonical(logits[i]));
  } else {
    key = logit_key(guide(logits[i], logits[parameters.rows * parameters.vocabulary + i], parameters.weight));
  }
  let limit = truncation[row];
  return select(0u, key, is_kept(key, token, limit.x, limit.y));
}

// -ln(-ln u) for u = (n + 1/2) / 2^23, n the upper 23 bits of a random word.
fn gumbel(word: u32) -> f32 {
  let n = word >> 9u;
  if (n < 4194304u) {
    return -log(-log((f32(n) + 0.5) * 0x1p-23));
  }
  // The largest values come from u close to 1, where log is too coarse: -ln(1 - v) = 2 atanh(v / (2 - v)).
  let v = (f32(8388607u - n) + 0.5) * 0x1p-23;
  let s = v / (2.0 - v);
  let q = s * s;
  let series = 1.0 + q * (1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q / 13.0)))));
  return -log(2.0 * s * series);
}

fn score(key: u32, token: u32, stream: vec2u) -> f32 {
  var distance = 0.0;
  if (greatest != INFINITE_KEY) {
    // 2^60 leaves room for the factors below the largest f32.
    distance = min(key_logit(greatest) - key_logit(key), 0x1p60);
  }
  let noise = gumbel(threefry(stream, vec2u(row % parameters.positions, token)).x);
  return (noise - distance * parameters.factor) * parameters.inverse_tau;
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group.y * groups.x + group.x;
  if (number >= parameters.rows) {
    return;
  }
  row = number;
  let image = row / parameters.positions;
  let seed = vec2u(parameters.seed_low, parameters.seed_high);
  let stream = stream_key(seed, lanes[image], parameters.scale, NOISE_PURPOSE);

  for (var token = lane; token < parameters.vocabulary; token += THREADS) {
    greatest = max(greatest, load_key(token));
  }
  atomicMax(&greatest_found, greatest);
  workgroupBarrier();
  greatest = atomicLoad(&greatest_found);
  // Beside +infinity nothing else has weight.
  let least = select(1u, INFINITE_KEY, greatest == INFINITE_KEY);

  var best_key = 0u;
  for (var token = lane; token < parameters.vocabulary; token += THREADS) {
    let key = load_key(token);
    if (key >= least) {
      best_key = max(best_key, logit_key(bitcast<u32>(score(key, token, stream))));
    }
  }
  atomicMax(&best_found, best_key);
  workgroupBarrier();
  let best = key_logit(atomicLoad(&best_found));

  // Blocks of up to 256 channels; within a block, as many groups of threads as fit share the tokens.
  for (var first = 0u; first < parameters.channels; first += THREADS) {
    let width = min(parameters.channels - first, THREADS);
    let parts = THREADS / width;
    let part = lane / width;
    let channel = first + lane % width;
    var sum = 0.0;
    var total = 0.0;
    for (var tile = 0u; tile < parameters.vocabulary; tile += THREADS) {
      let token = tile + lane;
      var weight = 0.0;
      if (token < parameters.vocabulary) {
        let key = load_key(token);
        if (key >= least) {
          weight = exp(score(key, token, stream) - best);
        }
      }
      weights[lane] = weight;
      total += weight;
      workgroupBarrier();
      if (part < parts) {
        for (var i = part; i < THREADS; i += parts) {
          if (weights[i] != 0.0) {
            sum += weights[i] * codebook[(tile + i) * parameters.channels + channel];
          }
        }
      }
      workgroupBarrier();
    }
    weights[lane] = total;
    partial[lane] = sum;
    workgroupBarrier();
    if (part == 0u) {
      total = 0.0;
      for (var i = 0u; i < THREADS; i++) {
        total += weights[i];
      }
      for (var i = 1u; i < parts; i++) {
        sum += partial[i * width + lane];
      }
      let mean = select(0.0, sum / max(total, 1.0), total > 0.0);
      output[(image * parameters.channels + channel) * parameters.positions + row % parameters.positions] = mean;
    }
    workgroupBarrier();
  }
}
