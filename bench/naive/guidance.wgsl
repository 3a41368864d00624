// Guidance in plain f32, one thread per logit: no care for NaN, infinities or equal bits.

struct Parameters {
  count: u32,
  weight: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> guided: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.count) {
    return;
  }
  let conditional = logits[i];
  guided[i] = conditional + parameters.weight * (conditional - logits[parameters.count + i]);
}
