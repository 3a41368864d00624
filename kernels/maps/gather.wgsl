// Copies chosen rows: output row i is input row rows[i].
// Bindings: input [input_rows, stride], rows [count], output [count, stride]; words are copied, whatever they
// mean, so the result is exact. An index that is not below `input_rows` gives a row of zeros. Expects nothing
// in front of it. Twin: gather.ts.
// Neighbouring threads copy neighbouring words: of a long row some workgroups 64 words each at a time, of a
// short row up to 8 threads a word each.

struct Parameters {
  count: u32,
  stride: u32,
  input_rows: u32,
  // 1 if the workgroups along x share a row, 0 if rows share a workgroup.
  long_rows: u32,
  // log2 of the threads per short row, at most 3.
  shift: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let stride = parameters.stride;
  var place = group.z * groups.y + group.y;
  var begin = group.x * LANES + lane;
  var step = groups.x * LANES;
  if (parameters.long_rows == 0u) {
    place = ((group.y * groups.x + group.x) * LANES + lane) >> parameters.shift;
    step = 1u << parameters.shift;
    begin = lane & (step - 1u);
  }
  if (place >= parameters.count) {
    return;
  }
  let row = rows[place];
  let known = row < parameters.input_rows;
  let source = select(0u, row * stride, known);
  for (var word = begin; word < stride; word += step) {
    output[place * stride + word] = select(0u, input[source + word], known);
  }
}
