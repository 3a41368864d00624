// From how unlikely single tokens are to the logarithm of the probability of all. Bindings: sums [rows,
// items, 2] (64-bit integers in units of 2^-22, low word first); evidence [rows]. One workgroup per row.
// Integers only, the same on every device. Expects exact.wgsl and exact_sums.wgsl in front of it. Twin:
// sum_evidence.ts.

struct Parameters {
  rows: u32,
  items: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> sums: array<vec2u>;
@group(0) @binding(2) var<storage, read_write> evidence: array<f32>;

const LANES = 256u;

var<workgroup> totals: array<vec2u, LANES>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * groups.x + group.x;
  if (row >= parameters.rows) {
    return;
  }
  var total = vec2u(0u);
  for (var i = lane; i < parameters.items; i += LANES) {
    total = add64(total, sums[row * parameters.items + i]);
  }
  totals[lane] = total;
  workgroupBarrier();
  if (lane == 0u) {
    for (var i = 1u; i < LANES; i++) {
      total = add64(total, totals[i]);
    }
    // Not a negative zero.
    evidence[row] = select(-(truncate64(total) * 0x1p-22), 0.0, total.x == 0u && total.y == 0u);
  }
}
