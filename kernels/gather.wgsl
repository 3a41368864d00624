// Copies chosen rows: output row i is input row rows[i].
// Bindings: input [inputRows, stride], rows [count], output [count, stride]; words are copied, whatever they mean, so the result is
// exact. An index that is not below `input_rows` gives a row of zeros. One thread per output word. Twin: gather.ts.

struct Parameters {
  total: u32,
  stride: u32,
  input_rows: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= parameters.total) {
    return;
  }
  let row = rows[i / parameters.stride];
  var word = 0u;
  if (row < parameters.input_rows) {
    word = input[row * parameters.stride + i % parameters.stride];
  }
  output[i] = word;
}
