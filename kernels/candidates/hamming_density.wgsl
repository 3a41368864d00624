// Gaussian densities of candidates whose tokens are bits, at each position: for each candidate the sum over
// candidates of exp(-h / (2 b^2)), h the number of bits in which the two differ.
// Bindings: tokens [images, draws, positions, words], bandwidth [images or those averaged, positions], sums
// [images, positions, draws, 2] (64-bit integers in units of 2^-30, low word first). A workgroup takes 128
// candidates at one position, two to a thread, and compares them with all, which its threads load at the same
// address. Expects exact.wgsl and exact_sums.wgsl in front of it.
// Where the kernel has at most eight values above 0, it is enough to count how often each distance occurs, in
// bytes; else each is looked up. Integers throughout, so the bits are the same everywhere. Twin:
// hamming_density.ts.

struct Parameters {
  images: u32,
  draws: u32,
  positions: u32,
  bits: u32,
  epsilon: f32,
  // Images over which the bandwidth is averaged, and 1 over that; 0 leaves each its own.
  averaged: u32,
  one_over_averaged: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> bandwidth: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec2u>;

// Words of one token; known to the compiler, as a loop over one word costs as much as the comparison.
override words: u32 = 1u;

const LANES = 64u;
const OWN = 2u * LANES;
// Of a token.
const MAX_BITS = 512u;
// Turns after which a byte could overflow.
const TURNS = 255u;

// Kernel values by distance.
var<workgroup> kernel: array<u32, MAX_BITS + 1u>;

// The four tokens from a draw on; what is beyond the last is repeated.
fn others(first: u32, stride: u32, draw: u32) -> vec4u {
  let last = parameters.draws - 1u;
  return vec4u(
    tokens[first + min(draw, last) * stride],
    tokens[first + min(draw + 1u, last) * stride],
    tokens[first + min(draw + 2u, last) * stride],
    tokens[first + min(draw + 3u, last) * stride],
  );
}

struct Distances {
  a: vec4u,
  b: vec4u,
}

fn distances(own_a: u32, own_b: u32, at_a: u32, at_b: u32, first: u32, stride: u32, draw: u32, last: u32) -> Distances {
  var mask = select(0xffffffffu, last, words == 1u);
  let token = others(first, stride, draw);
  var a = countOneBits((token ^ vec4u(own_a)) & vec4u(mask));
  var b = countOneBits((token ^ vec4u(own_b)) & vec4u(mask));
  for (var word = 1u; word < words; word++) {
    mask = select(0xffffffffu, last, word + 1u == words);
    let part = others(first + word, stride, draw);
    a += countOneBits((part ^ vec4u(tokens[at_a + word])) & vec4u(mask));
    b += countOneBits((part ^ vec4u(tokens[at_b + word])) & vec4u(mask));
  }
  return Distances(a, b);
}

// One in the byte of a distance, of those from `least` to `least + 3`.
fn tally(distance: vec4u, least: u32, one: vec4u) -> vec4u {
  let place = distance - vec4u(least);
  return select(vec4u(0u), one << ((place & vec4u(3u)) * 8u), place < vec4u(4u));
}

// What the four distances counted in a byte contribute.
fn weigh(counts: vec4u, least: u32) -> vec2u {
  var sum = vec2u(0u);
  for (var i = 0u; i < 4u; i++) {
    let fields = (counts >> vec4u(8u * i)) & vec4u(0xffu);
    sum = add64(sum, multiply_wide(fields.x + fields.y + fields.z + fields.w, kernel[least + i]));
  }
  return sum;
}

// What four distances contribute.
fn look_up(distance: vec4u, one: vec4u) -> vec2u {
  let low = add64(vec2u(kernel[distance.x] * one.x, 0u), vec2u(kernel[distance.y] * one.y, 0u));
  let high = add64(vec2u(kernel[distance.z] * one.z, 0u), vec2u(kernel[distance.w] * one.w, 0u));
  return add64(low, high);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let draws = parameters.draws;
  let columns = (draws + OWN - 1u) / OWN;
  let index = group.y * groups.x + group.x;
  let place = index / columns;
  if (place >= parameters.images * parameters.positions) {
    return;
  }
  var width = bandwidth[select(place, 0u, parameters.averaged > 0u)];
  if (parameters.averaged > 0u) {
    var sum = 0.0;
    for (var i = 0u; i < parameters.averaged; i++) {
      sum += bandwidth[i * parameters.positions + place % parameters.positions];
    }
    width = product(sum, parameters.one_over_averaged);
  }
  let factor = exponent_factor(width + parameters.epsilon);
  for (var i = lane; i < max(parameters.bits + 1u, 8u); i += LANES) {
    kernel[i] = exp2_negative(product(f32(i), factor));
  }
  workgroupBarrier();

  let stride = parameters.positions * words;
  let first = place / parameters.positions * draws * stride + place % parameters.positions * words;
  let a = index % columns * OWN + lane;
  let b = a + LANES;
  let at_a = first + min(a, draws - 1u) * stride;
  let at_b = first + min(b, draws - 1u) * stride;
  let own_a = tokens[at_a];
  let own_b = tokens[at_b];
  // The bits of the last word that count.
  let last = 0xffffffffu >> (32u * words - parameters.bits);
  let steps = vec4u(0u, 1u, 2u, 3u);
  var sum_a = vec2u(0u);
  var sum_b = vec2u(0u);
  // Values fall with the distance.
  if (parameters.bits < 8u || kernel[8] == 0u) {
    for (var start = 0u; start < draws; start += 4u * TURNS) {
      var near_a = vec4u(0u);
      var near_b = vec4u(0u);
      var far_a = vec4u(0u);
      var far_b = vec4u(0u);
      for (var draw = start; draw < min(draws, start + 4u * TURNS); draw += 4u) {
        let one = select(vec4u(0u), vec4u(1u), vec4u(draw) + steps < vec4u(draws));
        let distance = distances(own_a, own_b, at_a, at_b, first, stride, draw, last);
        near_a += tally(distance.a, 0u, one);
        near_b += tally(distance.b, 0u, one);
        far_a += tally(distance.a, 4u, one);
        far_b += tally(distance.b, 4u, one);
      }
      sum_a = add64(sum_a, add64(weigh(near_a, 0u), weigh(far_a, 4u)));
      sum_b = add64(sum_b, add64(weigh(near_b, 0u), weigh(far_b, 4u)));
    }
  } else {
    for (var draw = 0u; draw < draws; draw += 4u) {
      let one = select(vec4u(0u), vec4u(1u), vec4u(draw) + steps < vec4u(draws));
      let distance = distances(own_a, own_b, at_a, at_b, first, stride, draw, last);
      sum_a = add64(sum_a, look_up(distance.a, one));
      sum_b = add64(sum_b, look_up(distance.b, one));
    }
  }
  if (a < draws) {
    sums[place * draws + a] = sum_a;
  }
  if (b < draws) {
    sums[place * draws + b] = sum_b;
  }
}
