// Random words, one thread per word: every pair is computed twice. Expects threefry.wgsl in front of it.

struct Parameters {
  count: u32,
  image: u32,
  scale: u32,
  purpose: u32,
  seed_low: u32,
  seed_high: u32,
  position: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= 2u * parameters.count) {
    return;
  }
  let seed = vec2u(parameters.seed_low, parameters.seed_high);
  let key = stream_key(seed, parameters.image, parameters.scale, parameters.purpose);
  output[i] = threefry(key, vec2u(parameters.position, i / 2u))[i % 2u];
}
