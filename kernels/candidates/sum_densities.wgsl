// Densities of candidates from the sums of their positions: 64-bit integers in units of 2^-30, added up and
// rounded down to f32. Bindings: sums [images, positions, rows, 2] (low word first), members [images, draws,
// positions] (any array unless `grouped` is 1), scores [images, draws]. A candidate's row at a position is
// its own number, or what `members` says. One thread per candidate. Expects exact.wgsl and exact_sums.wgsl in
// front of it. Integers throughout, so the bits are the same everywhere. Twin: sum_densities.ts.

struct Parameters {
  images: u32,
  draws: u32,
  positions: u32,
  rows: u32,
  grouped: u32,
  // The own term of 1 per position does not count.
  leave_one_out: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> sums: array<u32>;
@group(0) @binding(2) var<storage, read> members: array<u32>;
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let candidate = (group.y * groups.x + group.x) * LANES + lane;
  if (candidate >= parameters.images * parameters.draws) {
    return;
  }
  let image = candidate / parameters.draws;
  let draw = candidate % parameters.draws;
  var total = vec2u(0u);
  for (var position = 0u; position < parameters.positions; position++) {
    var row = draw;
    if (parameters.grouped == 1u) {
      row = min(members[candidate * parameters.positions + position], parameters.rows - 1u);
    }
    let at = 2u * ((image * parameters.positions + position) * parameters.rows + row);
    total = add64(total, vec2u(sums[at], sums[at + 1u]));
  }
  if (parameters.leave_one_out == 1u) {
    total = subtract64(total, multiply_wide(parameters.positions, 0x40000000u));
  }
  scores[candidate] = truncate64(total) * 0x1p-30f;
}
