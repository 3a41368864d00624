// Guidance without some of its part along the conditional logits: conditional + weight * shortened *
// (difference - share * conditional), by the sums of a row (projection_sums.wgsl). Bindings: conditional and
// unconditional [rows, length]; sums [rows, chunks, 3]; guided [rows, length]. One workgroup per 4096 values
// of a row; each adds up its row's sums by itself. The result is canonical (logit.wgsl), with the same bits
// on every device. Expects exact.wgsl, logit.wgsl and projection.wgsl in front of it. Twin:
// projected_guidance.ts.

struct Parameters {
  length: u32,
  chunks: u32,
  items: u32,
  weight: f32,
  // The share of the parallel part that is taken away.
  removed: f32,
  // The longest that a difference may be; 0 for any length.
  longest: f32,
  // 0xffffffff, which compilers do not know.
  all_bits: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> conditional: array<u32>;
@group(0) @binding(2) var<storage, read> unconditional: array<u32>;
@group(0) @binding(3) var<storage, read> sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> guided: array<u32>;

// removed * x / y for y >= 0, and 0 where that is nothing.
fn share_of(x: f32, y: f32) -> f32 {
  if (y == 0.0 || abs(x) < y * 0x1p-40f) {
    return 0.0;
  }
  let share = product(product(x, reciprocal(y)), parameters.removed);
  return select(clamp(share, -0x1p32f, 0x1p32f), 0.0, abs(share) < 0x1p-30f);
}

// The weight for differences whose squares add up to this.
fn weight_of(squares: f32) -> f32 {
  let length = square_root(squares);
  if (parameters.longest == 0.0 || length <= parameters.longest) {
    return parameters.weight;
  }
  return product(parameters.weight, max(product(parameters.longest, reciprocal(length)), 0x1p-30f));
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = group.y * groups.x + group.x;
  if (item >= parameters.items) {
    return;
  }
  let row = item / parameters.chunks;
  var total = vec3f();
  for (var i = local; i < min(parameters.chunks, arrayLength(&sums)); i += THREADS) {
    let at = 3u * (row * parameters.chunks + i);
    total += vec3f(sums[at], sums[at + 1u], sums[at + 2u]);
  }
  let all = sum_of_threads(total, local);
  let share = share_of(all.x, all.y);
  let weight = weight_of(all.z);
  let first = row * parameters.length;
  let begin = item % parameters.chunks * CHUNK;
  for (var turn = 0u; turn < CHUNK / THREADS; turn++) {
    let i = begin + turn * THREADS + local;
    if (i < parameters.length) {
      let a = canonical(conditional[first + i]);
      let b = canonical(unconditional[first + i]);
      let value = bitcast<f32>(a);
      // Rounded for good: no compiler may fuse the product with the difference.
      let along = bitcast<f32>(bitcast<u32>(held(value) * share) & parameters.all_bits);
      let rest = (value - bitcast<f32>(b)) - along;
      let moved = canonical(bitcast<u32>(value + product(rest, weight)));
      guided[first + i] = select(moved, a, max(a & 0x7fffffffu, b & 0x7fffffffu) >= INFINITE_BITS);
    }
  }
}
