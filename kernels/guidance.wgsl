// Classifier-free guidance: guided = conditional + weight * (conditional - unconditional), one invocation per value.
// Expects exact.wgsl and logit.wgsl in front. logits holds the conditional values, then, when the weight is not 0, as many unconditional
// ones. Works on bits; the result is canonical (logit.wgsl) and bit for bit that of the twin.

struct Parameters {
  count: u32,
  weight: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read_write> guided: array<u32>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= parameters.count) {
    return;
  }
  if (parameters.weight == 0.0) {
    guided[i] = canonical(logits[i]);
  } else {
    guided[i] = guide(logits[i], logits[parameters.count + i], parameters.weight);
  }
}
