// Scales each row to length 1, for distances between directions.
// Bindings: input [count, channels], output [count, channels]. One thread per row. Expects exact.wgsl in
// front of it. A row shorter than 2^-50 has no direction and becomes zeros. Same bits on every device. Twin:
// unit_rows.ts.

struct Parameters {
  count: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = (group.y * groups.x + group.x) * LANES + lane;
  if (row >= parameters.count) {
    return;
  }
  let start = row * parameters.channels;
  let end = start + parameters.channels;
  var sum = 0.0;
  for (var i = start; i < end; i++) {
    sum = add_square(sum, input[i]);
  }
  let norm = square_root(sum);
  let inverse = reciprocal(norm);
  for (var i = start; i < end; i++) {
    output[i] = select(product(input[i], inverse), 0.0, norm == 0.0);
  }
}
