// Moves the logits of a map away from what the map before it said, resized: logits + weight * (logits -
// prior), in place. The prior is one linear map of the coarse logits of each token, by weights folded for the
// mirror images of a map (coarse_contrast.ts). Bindings: coarse [lanes, from_height, from_width, vocabulary];
// weights [quads, groups], for each group of up to four mirrored positions of the coarse map its shares in
// those of a quad of the fine map, of which the columns are even or odd, and the rows: even even, even odd,
// odd even, odd odd; logits [lanes, height, width, vocabulary]. A thread makes four quads of one token. The
// same bits on every device, as each product is rounded before it is added. A token that has a NaN or an
// infinity anywhere in its coarse map has no prior, and stays as it is. Expects exact.wgsl and logit.wgsl in
// front of it. Twin: coarse_contrast.ts.

struct Parameters {
  // Threads: lanes * blocks * vocabulary.
  count: u32,
  vocabulary: u32,
  // Quads by fours, of which the last may have fewer.
  blocks: u32,
  quads: u32,
  from_width: u32,
  from_height: u32,
  width: u32,
  height: u32,
  weight: f32,
  // 0xffffffff, which compilers do not know.
  all_bits: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> coarse: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> logits: array<u32>;

const THREADS = 64u;
// Quads of a thread.
const QUADS = 4u;

// A product, rounded for good: no compiler may fuse it with the addition.
fn rounded(a: vec4f, b: vec4f) -> vec4f {
  return bitcast<vec4f>(bitcast<vec4u>(a * b) & vec4u(parameters.all_bits));
}

// From the values of four mirror images to the even and odd parts that they are made of, and back: the same
// sums and differences. Signs are not multiplied with, as a driver may take a common factor out of sums (Mesa
// does).
fn mirrored(parts: vec4f) -> vec4f {
  let left = parts.x + parts.y;
  let right = parts.x - parts.y;
  let down = parts.z + parts.w;
  let down_right = parts.z - parts.w;
  return vec4f(left + down, right + down_right, left - down, right - down_right);
}

fn contrast(position: u32, channel: u32, prior: u32) {
  let at = position * parameters.vocabulary + channel;
  logits[at] = guide(logits[at], prior, parameters.weight);
}

// The up to four positions of a quad, if there is one; there is no prior where `odd`.
fn store(lane: u32, quad: u32, channel: u32, sum: vec4f, odd: bool) {
  if (quad >= parameters.quads) {
    return;
  }
  let bits = select(bitcast<vec4u>(mirrored(sum)), vec4u(NAN_BITS), vec4<bool>(odd));
  let columns = (parameters.width + 1u) / 2u;
  let y = quad / columns;
  let x = quad % columns;
  let bottom = parameters.height - 1u - y;
  let right = parameters.width - 1u - x;
  let top_line = (lane * parameters.height + y) * parameters.width;
  let bottom_line = (lane * parameters.height + bottom) * parameters.width;
  contrast(top_line + x, channel, bits.x);
  if (right != x) {
    contrast(top_line + right, channel, bits.y);
  }
  if (bottom != y) {
    contrast(bottom_line + x, channel, bits.z);
  }
  if (right != x && bottom != y) {
    contrast(bottom_line + right, channel, bits.w);
  }
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * THREADS + local;
  if (i >= parameters.count) {
    return;
  }
  let channel = i % parameters.vocabulary;
  let quad = i / parameters.vocabulary % parameters.blocks * QUADS;
  let lane = i / parameters.vocabulary / parameters.blocks;
  let rows = (parameters.from_height + 1u) / 2u;
  // The second bound is never the lower one; it keeps llvmpipe from unrolling the loop at each dispatch.
  let columns = min((parameters.from_width + 1u) / 2u, arrayLength(&weights));
  let step = parameters.vocabulary;
  let line = parameters.from_width * step;
  let first = lane * parameters.from_height * line + channel;
  // Quads beyond the last one are the last one, and are not stored.
  var at = min(vec4u(quad) + vec4u(0u, 1u, 2u, 3u), vec4u(parameters.quads - 1u)) * rows * columns;
  var largest = 0u;
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var y = 0u; y < rows; y++) {
    let above = first + y * line;
    let below = first + (parameters.from_height - 1u - y) * line;
    for (var x = 0u; x < columns; x++) {
      let left = x * step;
      let right = (parameters.from_width - 1u - x) * step;
      let bits = vec4u(
        canonical(coarse[above + left]),
        canonical(coarse[above + right]),
        canonical(coarse[below + left]),
        canonical(coarse[below + right]),
      );
      let sizes = bits & vec4u(0x7fffffffu);
      largest = max(largest, max(max(sizes.x, sizes.y), max(sizes.z, sizes.w)));
      let folded = mirrored(bitcast<vec4f>(select(bits, vec4u(0u), sizes >= vec4u(INFINITE_BITS))));
      sum0 += rounded(weights[at.x], folded);
      sum1 += rounded(weights[at.y], folded);
      sum2 += rounded(weights[at.z], folded);
      sum3 += rounded(weights[at.w], folded);
      at += vec4u(1u);
    }
  }
  let odd = largest >= INFINITE_BITS;
  store(lane, quad, channel, sum0, odd);
  store(lane, quad + 1u, channel, sum1, odd);
  store(lane, quad + 2u, channel, sum2, odd);
  store(lane, quad + 3u, channel, sum3, odd);
}
