// The walk over the search order and the draw among the kept candidates, one thread per image, from what
// rank.wgsl and conflicts.wgsl have written. Expects threefry.wgsl in front of it.

struct Parameters {
  images: u32,
  draws: u32,
  positions: u32,
  representatives: u32,
  scale: u32,
  seed_low: u32,
  seed_high: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> candidates: array<u32>;
@group(0) @binding(3) var<storage, read> lanes: array<u32>;
@group(0) @binding(4) var<storage, read> order: array<u32>;
@group(0) @binding(5) var<storage, read> copies: array<u32>;
@group(0) @binding(6) var<storage, read> conflicts: array<u32>;
@group(0) @binding(7) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(8) var<storage, read_write> decision: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let image = id.x;
  if (image >= parameters.images) {
    return;
  }
  let draws = parameters.draws;
  let start = image * draws;
  let record = image * (7u + 2u * parameters.representatives) + 7u;
  var unique = 0u;
  for (var i = 0u; i < draws; i++) {
    unique += 1u - copies[start + i];
  }
  var kept = 0u;
  var total = 0.0;
  for (var i = 0u; i < draws && kept < parameters.representatives; i++) {
    let candidate = order[start + i];
    var free = true;
    for (var k = 0u; free && k < kept; k++) {
      free = conflicts[(start + decision[record + 2u * k]) * draws + candidate] == 0u;
    }
    if (free) {
      decision[record + 2u * kept] = candidate;
      total += scores[start + candidate];
      kept++;
    }
  }
  let seed = vec2u(parameters.seed_low, parameters.seed_high);
  let word = threefry(stream_key(seed, lanes[image], parameters.scale, CHOICE_PURPOSE), vec2u(0u)).x;
  var rest = total * f32(word >> 8u) * 0x1p-24;
  var chosen = decision[record];
  for (var k = 0u; k < kept; k++) {
    chosen = decision[record + 2u * k];
    if (rest < scores[start + chosen]) {
      break;
    }
    rest -= scores[start + chosen];
  }
  decision[record - 4u] = unique;
  decision[record - 3u] = kept;
  decision[record - 2u] = chosen;
  for (var p = 0u; p < parameters.positions; p++) {
    tokens[image * parameters.positions + p] = candidates[(start + chosen) * parameters.positions + p];
  }
}
