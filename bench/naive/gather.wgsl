// Chosen rows, one thread per row, which copies all of it.

struct Parameters {
  count: u32,
  stride: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= parameters.count) {
    return;
  }
  for (var i = 0u; i < parameters.stride; i++) {
    output[id.x * parameters.stride + i] = input[rows[id.x] * parameters.stride + i];
  }
}
