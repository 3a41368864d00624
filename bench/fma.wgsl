// Multiplies and adds in registers, eight independent vec4 chains per thread: as fast as a kernel can compute, the roof for those that do
// little else. Eight steps in a turn of the loop, so that the loop's own cost hardly counts.

struct Parameters {
  threads: u32,
  turns: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

struct Chains {
  a: vec4f,
  b: vec4f,
  c: vec4f,
  d: vec4f,
  e: vec4f,
  f: vec4f,
  g: vec4f,
  h: vec4f,
}

fn step(x: Chains, m: vec4f, n: vec4f) -> Chains {
  return Chains(
    fma(x.a, m, n),
    fma(x.b, m, n),
    fma(x.c, m, n),
    fma(x.d, m, n),
    fma(x.e, m, n),
    fma(x.f, m, n),
    fma(x.g, m, n),
    fma(x.h, m, n),
  );
}

fn steps(x: Chains, m: vec4f, n: vec4f) -> Chains {
  return step(step(step(step(step(step(step(step(x, m, n), m, n), m, n), m, n), m, n), m, n), m, n), m, n);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= parameters.threads) {
    return;
  }
  let start = vec4f(f32(id.x)) * 0x1p-20;
  let m = vec4f(0.5) + start;
  var x = Chains(start, start + 1.0, start + 2.0, start + 3.0, start + 4.0, start + 5.0, start + 6.0, start + 7.0);
  for (var turn = 0u; turn < parameters.turns; turn++) {
    x = steps(x, m, start);
  }
  output[id.x] = dot(x.a + x.b + x.c + x.d + x.e + x.f + x.g + x.h, vec4f(1.0));
}
