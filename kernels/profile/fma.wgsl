// Multiplies and adds in registers, two independent chains of vec4 per thread: as fast as a kernel can
// compute, the roof for those that do little else. A turn of the loop has 32 steps, so that the loop's own
// cost hardly counts. Bindings: output [threads]. Expects nothing in front of it. Twin: roof.ts.

struct Parameters {
  threads: u32,
  turns: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

const FMA_LANES = 64u;

struct Chains {
  a: vec4f,
  b: vec4f,
}

fn step(x: Chains, m: f32) -> Chains {
  return Chains(fma(x.a, vec4f(m), vec4f(m)), fma(x.b, vec4f(m), vec4f(m)));
}

fn four(x: Chains, m: f32) -> Chains {
  return step(step(step(step(x, m), m), m), m);
}

fn sixteen(x: Chains, m: f32) -> Chains {
  return four(four(four(four(x, m), m), m), m);
}

@compute @workgroup_size(FMA_LANES)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= parameters.threads) {
    return;
  }
  let m = 0.5 + f32(id.x) * 0x1p-24;
  var x = Chains(vec4f(1.0, 2.0, 3.0, 4.0) * m, vec4f(5.0, 6.0, 7.0, 8.0) * m);
  for (var turn = 0u; turn < parameters.turns; turn++) {
    x = sixteen(sixteen(x, m), m);
  }
  output[id.x] = dot(x.a + x.b, vec4f(1.0));
}
