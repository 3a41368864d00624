// Gaussian densities of groups of equal tokens at each position: for each group the sum over all groups of
// count * exp(-|difference of their code vectors|^2 / (2 h^2)).
// Bindings: groups [images, positions, rows, 2] (token, count), vectors [images, positions, blocks, rows] of
// four channels each, bandwidth [images, positions], sums [images, positions, rows, 2] (64-bit integers in
// units of 2^-30, low word first), which are added to. A workgroup compares 256 groups, four to a thread,
// with 64 groups that all threads load at the same address. Expects exact.wgsl and exact_sums.wgsl in front
// of it.
// Same bits on every device: squared distances are summed in channel order, and integers in any order. Twin:
// group_density.ts.

struct Parameters {
  images: u32,
  positions: u32,
  rows: u32,
  // Quarters of the number of channels.
  blocks: u32,
  // Average the bandwidth over the images.
  batch: u32,
  one_over_images: f32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> groups: array<vec2u>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> bandwidth: array<f32>;
@group(0) @binding(4) var<storage, read_write> sums: array<atomic<u32>>;

const LANES = 64u;
// Groups of one workgroup, on either side.
const OWN = 4u * LANES;
const OTHERS = 64u;

// The bandwidth with epsilon.
fn width(image: u32, position: u32) -> f32 {
  if (parameters.batch == 0u) {
    return bandwidth[image * parameters.positions + position] + parameters.epsilon;
  }
  var sum = 0.0;
  for (var i = 0u; i < parameters.images; i++) {
    sum += bandwidth[i * parameters.positions + position];
  }
  return product(sum, parameters.one_over_images) + parameters.epsilon;
}

// A distance to each of the four own groups, with four more channels.
fn add_block(sum: vec4f, a: vec4f, b: mat4x4f) -> vec4f {
  return add_squared_differences(
    add_squared_differences(
      add_squared_differences(
        add_squared_differences(sum, a.x, vec4f(b[0].x, b[1].x, b[2].x, b[3].x)),
        a.y,
        vec4f(b[0].y, b[1].y, b[2].y, b[3].y),
      ),
      a.z,
      vec4f(b[0].z, b[1].z, b[2].z, b[3].z),
    ),
    a.w,
    vec4f(b[0].w, b[1].w, b[2].w, b[3].w),
  );
}

// 64-bit sums of the four own groups.
struct Sums {
  low: vec4u,
  high: vec4u,
}

fn add_kernel(sums: Sums, distances: vec4f, factor: f32, same: vec4<bool>, count: u32) -> Sums {
  let kernel = vec4u(
    exp2_negative(product(distances.x, factor)),
    exp2_negative(product(distances.y, factor)),
    exp2_negative(product(distances.z, factor)),
    exp2_negative(product(distances.w, factor)),
  );
  // In halves: a count has 14 bits, a kernel value 31.
  let value = select(kernel, vec4u(0x40000000u), same);
  let lower = (value & vec4u(0xffffu)) * count;
  let upper_part = (value >> vec4u(16u)) * count + (lower >> vec4u(16u));
  let term = (upper_part << vec4u(16u)) | (lower & vec4u(0xffffu));
  let low = sums.low + term;
  let high = sums.high + (upper_part >> vec4u(16u)) + select(vec4u(0u), vec4u(1u), low < term);
  return Sums(low, high);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) group_counts: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let rows = parameters.rows;
  let columns = (rows + OWN - 1u) / OWN;
  let slices = (rows + OTHERS - 1u) / OTHERS;
  let index = group.y * group_counts.x + group.x;
  let place = index / (columns * slices);
  if (place >= parameters.images * parameters.positions) {
    return;
  }
  let start = place * rows;
  let first = index / slices % columns * OWN;
  let begin = index % slices * OTHERS;
  // Groups fill the rows from the start.
  if (groups[start + first].y == 0u || groups[start + begin].y == 0u) {
    return;
  }
  let own = vec4u(lane) + vec4u(first) + LANES * vec4u(0u, 1u, 2u, 3u);
  let at = min(own, vec4u(rows - 1u));
  let factor = exponent_factor(width(place / parameters.positions, place % parameters.positions));
  var sums_own = Sums(vec4u(0u), vec4u(0u));
  for (var other = begin; other < min(begin + OTHERS, rows); other += 4u) {
    let others = min(vec4u(other, other + 1u, other + 2u, other + 3u), vec4u(rows - 1u));
    // A row that is met twice, or that holds no group, counts 0.
    let counts = select(
      vec4u(0u),
      vec4u(
        groups[start + others.x].y,
        groups[start + others.y].y,
        groups[start + others.z].y,
        groups[start + others.w].y,
      ),
      vec4u(other, other + 1u, other + 2u, other + 3u) < vec4u(rows),
    );
    if (counts.x == 0u) {
      break;
    }
    var x = vec4f(0.0);
    var y = vec4f(0.0);
    var z = vec4f(0.0);
    var w = vec4f(0.0);
    for (var block = 0u; block < parameters.blocks; block++) {
      let row = (place * parameters.blocks + block) * rows;
      let mine = mat4x4f(vectors[row + at.x], vectors[row + at.y], vectors[row + at.z], vectors[row + at.w]);
      x = add_block(x, vectors[row + others.x], mine);
      y = add_block(y, vectors[row + others.y], mine);
      z = add_block(z, vectors[row + others.z], mine);
      w = add_block(w, vectors[row + others.w], mine);
    }
    sums_own = add_kernel(sums_own, x, factor, own == vec4u(others.x), counts.x);
    sums_own = add_kernel(sums_own, y, factor, own == vec4u(others.y), counts.y);
    sums_own = add_kernel(sums_own, z, factor, own == vec4u(others.z), counts.z);
    sums_own = add_kernel(sums_own, w, factor, own == vec4u(others.w), counts.w);
  }
  for (var i = 0u; i < 4u; i++) {
    if (own[i] < rows) {
      let low = sums_own.low[i];
      let before = atomicAdd(&sums[2u * (start + own[i])], low);
      let carry = select(0u, 1u, before + low < low);
      atomicAdd(&sums[2u * (start + own[i]) + 1u], sums_own.high[i] + carry);
    }
  }
}
