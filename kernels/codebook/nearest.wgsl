// The codebook vector nearest to each row of features.
// Bindings: features [count, channels] and codebook [vocabulary, channels], the same as vectors of four words
// in feature_quads and code_quads, tokens [count]. One workgroup per 8 rows. Expects exact.wgsl and
// exact_sums.wgsl in front of it.
// A thread loads codes of its own, four at a time, and each word of the rows at an address that is the same
// for all threads. It measures in plain f32, for each row, the least and the second least distance among its
// codes. Rounding may misplace only codes within `slope` and `slack` of the row's least plain distance; those
// are compared again by squared distances from exact differences, summed in channel order with the same bits
// on every device, of which equal ones go to the lower code. Distances are compared as bits, in which NaN
// counts as infinity. Twin: nearest.ts.

struct Parameters {
  count: u32,
  vocabulary: u32,
  channels: u32,
  // Vectors of four words in a row, or 0 if the channels are no multiple of 4.
  quads: u32,
  slope: f32,
  slack: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> features: array<f32>;
@group(0) @binding(2) var<storage, read> feature_quads: array<vec4f>;
@group(0) @binding(3) var<storage, read> codebook: array<f32>;
@group(0) @binding(4) var<storage, read> code_quads: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> tokens: array<u32>;

const ROWS = 8u;
const LANES = 128u;
// Threads that settle one row in the end, and the partial results each of them looks at.
const SETTLERS = LANES / ROWS;
const SHARE = LANES / SETTLERS;
const INFINITE = 0x7f800000u;
const NONE = 0xffffffffu;

// What each thread found for each row: bits of the least and the second least plain distance, and the code of
// the least.
var<workgroup> least: array<u32, ROWS * LANES>;
var<workgroup> second: array<u32, ROWS * LANES>;
var<workgroup> code_of_least: array<u32, ROWS * LANES>;
// Of each settler: bits of the least plain distance; bits of the least exact distance, code.
var<workgroup> floors: array<u32, LANES>;
var<workgroup> settled: array<vec2u, LANES>;

// Four sums of squares, one step on.
fn add_square4(sum: vec4f, x: f32, codes: vec4f) -> vec4f {
  let d = x - codes;
  return sum + d * d;
}

fn add4(sum: vec4f, x: vec4f, codes: mat4x4f) -> vec4f {
  let two = add_square4(add_square4(sum, x.x, codes[0]), x.y, codes[1]);
  return add_square4(add_square4(two, x.z, codes[2]), x.w, codes[3]);
}

// (least, second least, code of the least), one distance more.
fn keep(best: vec3u, bits: u32, code: u32) -> vec3u {
  return vec3u(min(best.x, bits), min(best.y, max(best.x, bits)), select(best.z, code, bits < best.x));
}

// Four distances more, of codes LANES apart; `past` is set where there is no such code.
fn keep4(best: vec3u, distances: vec4f, code: u32, past: vec4<bool>) -> vec3u {
  let bits = select(bitcast<vec4u>(distances), vec4u(NONE), past);
  let two = keep(keep(best, bits.x, code), bits.y, code + LANES);
  return keep(keep(two, bits.z, code + 2u * LANES), bits.w, code + 3u * LANES);
}

fn publish(row: u32, lane: u32, best: vec3u) {
  least[row * LANES + lane] = best.x;
  second[row * LANES + lane] = best.y;
  code_of_least[row * LANES + lane] = best.z;
}

// One channel of the exact distance; beyond the last channel, nothing.
fn exact_step(sum: f32, feature: u32, code: u32, inside: bool) -> f32 {
  return add_square(sum, select(0.0, difference(features[feature], codebook[code]), inside));
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let first = (group.y * groups.x + group.x) * ROWS;
  if (first >= parameters.count) {
    return;
  }
  let channels = parameters.channels;
  let quads = parameters.quads;
  let last = parameters.vocabulary - 1u;
  let rows = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(parameters.count - 1u));
  let more = min(vec4u(first) + vec4u(4u, 5u, 6u, 7u), vec4u(parameters.count - 1u));
  // The rows are written out: with arrays of eight and loops over them the same bits take 1.2 to 1.4 times as
  // long on llvmpipe (256 to 16384 rows, 4096 codes, 32 channels).
  var best0 = vec3u(NONE);
  var best1 = best0;
  var best2 = best0;
  var best3 = best0;
  var best4 = best0;
  var best5 = best0;
  var best6 = best0;
  var best7 = best0;
  for (var tile = 0u; tile < parameters.vocabulary; tile += 4u * LANES) {
    let codes = vec4u(tile + lane) + vec4u(0u, LANES, 2u * LANES, 3u * LANES);
    let known = min(codes, vec4u(last));
    var sum0 = vec4f(0.0);
    var sum1 = sum0;
    var sum2 = sum0;
    var sum3 = sum0;
    var sum4 = sum0;
    var sum5 = sum0;
    var sum6 = sum0;
    var sum7 = sum0;
    let q = known * quads;
    for (var k = 0u; k < quads; k++) {
      let y = transpose(mat4x4f(code_quads[q.x + k], code_quads[q.y + k], code_quads[q.z + k], code_quads[q.w + k]));
      sum0 = add4(sum0, feature_quads[rows.x * quads + k], y);
      sum1 = add4(sum1, feature_quads[rows.y * quads + k], y);
      sum2 = add4(sum2, feature_quads[rows.z * quads + k], y);
      sum3 = add4(sum3, feature_quads[rows.w * quads + k], y);
      sum4 = add4(sum4, feature_quads[more.x * quads + k], y);
      sum5 = add4(sum5, feature_quads[more.y * quads + k], y);
      sum6 = add4(sum6, feature_quads[more.z * quads + k], y);
      sum7 = add4(sum7, feature_quads[more.w * quads + k], y);
    }
    let w = known * channels;
    for (var c = 4u * quads; c < channels; c++) {
      let y = vec4f(codebook[w.x + c], codebook[w.y + c], codebook[w.z + c], codebook[w.w + c]);
      sum0 = add_square4(sum0, features[rows.x * channels + c], y);
      sum1 = add_square4(sum1, features[rows.y * channels + c], y);
      sum2 = add_square4(sum2, features[rows.z * channels + c], y);
      sum3 = add_square4(sum3, features[rows.w * channels + c], y);
      sum4 = add_square4(sum4, features[more.x * channels + c], y);
      sum5 = add_square4(sum5, features[more.y * channels + c], y);
      sum6 = add_square4(sum6, features[more.z * channels + c], y);
      sum7 = add_square4(sum7, features[more.w * channels + c], y);
    }
    let past = codes > vec4u(last);
    best0 = keep4(best0, sum0, codes.x, past);
    best1 = keep4(best1, sum1, codes.x, past);
    best2 = keep4(best2, sum2, codes.x, past);
    best3 = keep4(best3, sum3, codes.x, past);
    best4 = keep4(best4, sum4, codes.x, past);
    best5 = keep4(best5, sum5, codes.x, past);
    best6 = keep4(best6, sum6, codes.x, past);
    best7 = keep4(best7, sum7, codes.x, past);
  }
  publish(0u, lane, best0);
  publish(1u, lane, best1);
  publish(2u, lane, best2);
  publish(3u, lane, best3);
  publish(4u, lane, best4);
  publish(5u, lane, best5);
  publish(6u, lane, best6);
  publish(7u, lane, best7);
  workgroupBarrier();

  // From here on, 16 threads per row, each of which answers for 8 threads of before.
  let base = lane * SHARE;
  let settlers = lane / SETTLERS * SETTLERS;
  var lowest = NONE;
  for (var i = 0u; i < SHARE; i++) {
    lowest = min(lowest, least[base + i]);
  }
  floors[lane] = lowest;
  workgroupBarrier();
  for (var i = 0u; i < SETTLERS; i++) {
    lowest = min(lowest, floors[settlers + i]);
  }
  // Near the largest floats the limit would overflow; there it is infinity, which leaves out NaN only.
  let bounded = bitcast<f32>(min(lowest, 0x7e800000u)) * parameters.slope + parameters.slack;
  let limit = select(bitcast<u32>(bounded), INFINITE, lowest > 0x7e800000u);

  let row = min(first + lane / SETTLERS, parameters.count - 1u);
  var mine = vec2u(NONE);
  for (var i = 0u; i < SHARE; i++) {
    if (least[base + i] > limit) {
      continue;
    }
    // Where the second is near, too, the thread had more candidates than it could name: all of its codes are
    // measured again.
    let crowded = second[base + i] <= limit;
    let owner = (base + i) % LANES;
    let named = code_of_least[base + i];
    let end = select(named + 1u, parameters.vocabulary, crowded);
    for (var code = select(named, owner, crowded); code < end; code += LANES) {
      var sum = 0.0;
      for (var c = 0u; c < channels; c += 8u) {
        let f = row * channels + c;
        let k = code * channels + c;
        sum = exact_step(sum, f, k, true);
        sum = exact_step(sum, f + 1u, k + 1u, c + 1u < channels);
        sum = exact_step(sum, f + 2u, k + 2u, c + 2u < channels);
        sum = exact_step(sum, f + 3u, k + 3u, c + 3u < channels);
        sum = exact_step(sum, f + 4u, k + 4u, c + 4u < channels);
        sum = exact_step(sum, f + 5u, k + 5u, c + 5u < channels);
        sum = exact_step(sum, f + 6u, k + 6u, c + 6u < channels);
        sum = exact_step(sum, f + 7u, k + 7u, c + 7u < channels);
      }
      let bits = min(bitcast<u32>(sum), INFINITE);
      if (bits < mine.x || (bits == mine.x && code < mine.y)) {
        mine = vec2u(bits, code);
      }
    }
  }
  settled[lane] = mine;
  workgroupBarrier();
  if (lane % SETTLERS != 0u || first + lane / SETTLERS >= parameters.count) {
    return;
  }
  for (var i = 1u; i < SETTLERS; i++) {
    let other = settled[lane + i];
    if (other.x < mine.x || (other.x == mine.x && other.y < mine.y)) {
      mine = other;
    }
  }
  tokens[row] = select(0u, mine.y, mine.x < INFINITE);
}
