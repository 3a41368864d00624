// Rows as the density kernel wants them: moved by the mean, multiplied by a matrix, and filled up with zeros
// to `stride` words. Bindings: input [batch, count, dimensions], mean [batch, dimensions], two words each, of
// which the second is what the first leaves; matrix [batch, dimensions, dimensions], of which the lower
// triangle is used, or [batch, dimensions] if `diagonal` is 1; output [batch, count, stride] as words. One
// thread per word. What is not finite stays so: any NaN makes NaN, else any infinity +infinity. Plain f32;
// the bound is in the twin. Expects nothing in front of it. Twin: whiten.ts.

struct Parameters {
  batch: u32,
  count: u32,
  dimensions: u32,
  stride: u32,
  diagonal: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<vec2f>;
@group(0) @binding(3) var<storage, read> matrix: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<u32>;

const LANES = 64u;
const NAN_BITS = 0x7fc00000u;
const INFINITE_BITS = 0x7f800000u;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (group.y * groups.x + group.x) * LANES + lane;
  let dimensions = parameters.dimensions;
  let row = index / parameters.stride;
  let i = index % parameters.stride;
  if (row >= parameters.batch * parameters.count) {
    return;
  }
  var word = 0u;
  if (i < dimensions) {
    let start = row / parameters.count * dimensions;
    let line = start + i;
    let diagonal = parameters.diagonal == 1u;
    var sum = 0.0;
    var greatest = 0u;
    for (var k = select(0u, i, diagonal); k <= i; k++) {
      let x = input[row * dimensions + k];
      let center = mean[start + k];
      greatest = max(greatest, bitcast<u32>(x) & 0x7fffffffu);
      sum += matrix[select(line * dimensions + k, line, diagonal)] * ((x - center.x) - center.y);
    }
    word = bitcast<u32>(sum);
    if (greatest >= INFINITE_BITS) {
      word = select(INFINITE_BITS, NAN_BITS, greatest > INFINITE_BITS);
    }
  }
  output[index] = word;
}
