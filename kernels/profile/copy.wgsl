// Copies 16 bytes per thread: as fast as a kernel can move memory, the roof for those that do little else.
// Bindings: input and output [count], vectors of four words. Expects nothing in front of it. Twin: roof.ts.

struct Parameters {
  count: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

const COPY_LANES = 256u;

@compute @workgroup_size(COPY_LANES)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * COPY_LANES + id.x;
  if (i < parameters.count) {
    output[i] = input[i];
  }
}
