// Sums from which it follows how much of guidance points along the conditional logits: of difference *
// conditional, conditional^2 and difference^2, where the difference is that of the conditional and the
// unconditional value. Bindings: conditional and unconditional [rows, length]; sums [rows, chunks, 3], of
// 4096 values each but for the last of a row. One workgroup per chunk. Pairs that are not finite count
// nothing, sizes are held between 2^-40 (or 0) and 2^38. The order of additions is fixed, the same on every
// device. Expects exact.wgsl, logit.wgsl and projection.wgsl in front of it. Twin: projection_sums.ts.

struct Parameters {
  length: u32,
  chunks: u32,
  items: u32,
  // 0xffffffff, which compilers do not know.
  all_bits: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> conditional: array<u32>;
@group(0) @binding(2) var<storage, read> unconditional: array<u32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

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
  let first = item / parameters.chunks * parameters.length;
  let begin = item % parameters.chunks * CHUNK;
  var total = vec3f();
  for (var turn = 0u; turn < CHUNK / THREADS; turn++) {
    let i = begin + turn * THREADS + local;
    if (i < parameters.length) {
      let a = canonical(conditional[first + i]);
      let b = canonical(unconditional[first + i]);
      if (max(a & 0x7fffffffu, b & 0x7fffffffu) < INFINITE_BITS) {
        let value = held(bitcast<f32>(a));
        let difference = held(bitcast<f32>(a) - bitcast<f32>(b));
        // Rounded for good: no compiler may fuse a product with the addition.
        let products = vec3f(difference, value, difference) * vec3f(value, value, difference);
        total += bitcast<vec3f>(bitcast<vec3u>(products) & vec3u(parameters.all_bits));
      }
    }
  }
  let all = sum_of_threads(total, local);
  if (local == 0u) {
    sums[3u * item] = all.x;
    sums[3u * item + 1u] = all.y;
    sums[3u * item + 2u] = all.z;
  }
}
