// The search order of the candidates, one thread per candidate, which finds the image's rule, its own rank
// among all others, and whether an earlier candidate has the same map. Expects threefry.wgsl in front of
// it. Scores must be positive.

struct Parameters {
  images: u32,
  draws: u32,
  positions: u32,
  scale: u32,
  seed_low: u32,
  seed_high: u32,
  alpha: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> candidates: array<u32>;
@group(0) @binding(3) var<storage, read> lanes: array<u32>;
@group(0) @binding(4) var<storage, read_write> order: array<u32>;
@group(0) @binding(5) var<storage, read_write> copies: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let draws = parameters.draws;
  let positions = parameters.positions;
  if (id.x >= parameters.images * draws) {
    return;
  }
  let image = id.x / draws;
  let me = id.x % draws;
  let start = image * draws;
  var greatest = 0.0;
  var sum = 0.0;
  for (var i = 0u; i < draws; i++) {
    greatest = max(greatest, scores[start + i]);
    sum += scores[start + i];
  }
  let low = greatest < parameters.alpha * sum / f32(draws);
  let seed = vec2u(parameters.seed_low, parameters.seed_high);
  let stream = stream_key(seed, lanes[image], parameters.scale, PERMUTATION_PURPOSE);
  let mine = threefry(stream, vec2u(0u, me)).x;
  var rank = 0u;
  var copy = 0u;
  for (var i = 0u; i < draws; i++) {
    if (low) {
      let word = threefry(stream, vec2u(0u, i)).x;
      rank += u32(word < mine || (word == mine && i < me));
    } else {
      let score = scores[start + i];
      rank += u32(score > scores[id.x] || (score == scores[id.x] && i < me));
    }
    var same = i < me;
    for (var p = 0u; same && p < positions; p++) {
      same = candidates[(start + i) * positions + p] == candidates[id.x * positions + p];
    }
    copy = max(copy, u32(same));
  }
  order[start + rank] = me;
  copies[id.x] = copy;
}
