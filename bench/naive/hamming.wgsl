// Differing bits, one thread per pair, everything from global memory.

struct Parameters {
  rows: u32,
  columns: u32,
  words: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.rows * parameters.columns) {
    return;
  }
  let row = i / parameters.columns * parameters.words;
  let column = i % parameters.columns * parameters.words;
  var count = 0u;
  for (var k = 0u; k < parameters.words; k++) {
    count += countOneBits(a[row + k] ^ b[column + k]);
  }
  output[i] = count;
}
