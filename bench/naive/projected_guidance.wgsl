// Guidance without its part along the conditional logits, in plain f32, one thread per logit.

struct Parameters {
  total: u32,
  length: u32,
  weight: f32,
  removed: f32,
  longest: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> conditional: array<f32>;
@group(0) @binding(2) var<storage, read> unconditional: array<f32>;
@group(0) @binding(3) var<storage, read> sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> guided: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.total) {
    return;
  }
  let row = 3u * (i / parameters.length);
  let share = parameters.removed * sums[row] / sums[row + 1u];
  let shortened = min(1.0, parameters.longest / sqrt(sums[row + 2u]));
  let value = conditional[i];
  guided[i] = value + parameters.weight * shortened * (value - unconditional[i] - share * value);
}
