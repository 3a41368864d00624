// Classifier-free guidance: guided = conditional + weight * (conditional - unconditional), four values per
// invocation. Bindings: logits [count], the conditional values, then, when the weight is not 0, as many
// unconditional ones; guided [count]. Works on bits; the result is canonical (logit.wgsl) and has the same
// bits on every device. Expects exact.wgsl and logit.wgsl in front of it. Twin: guidance.ts.

struct Parameters {
  count: u32,
  weight: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read_write> guided: array<u32>;

const THREADS = 256u;

fn guided_value(i: u32) -> u32 {
  let at = min(i, parameters.count - 1u);
  let conditional = logits[at];
  // Guided against itself a value stays what it is.
  var unconditional = conditional;
  if (parameters.weight != 0.0) {
    unconditional = logits[parameters.count + at];
  }
  return guide(conditional, unconditional, parameters.weight);
}

fn store(i: u32, value: u32) {
  if (i < parameters.count) {
    guided[i] = value;
  }
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * THREADS * 4u + lane;
  // All loads before all stores: in a loop over the four this takes 1.1 to 1.3 times as long on llvmpipe.
  let a = guided_value(i);
  let b = guided_value(i + THREADS);
  let c = guided_value(i + 2u * THREADS);
  let d = guided_value(i + 3u * THREADS);
  store(i, a);
  store(i + THREADS, b);
  store(i + 2u * THREADS, c);
  store(i + 3u * THREADS, d);
}
