// The random words of consecutive draws at one position of one stream: output[2 * i] and output[2 * i + 1]
// belong to draw i. Bindings: output [count, 2]. One invocation per draw. Integers only, the same on every
// device. Expects threefry.wgsl in front of it. Twin: threefry.ts.

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

const LANES = 256u;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let draw = (group.y * groups.x + group.x) * LANES + lane;
  if (draw >= parameters.count) {
    return;
  }
  let seed = vec2u(parameters.seed_low, parameters.seed_high);
  let key = stream_key(seed, parameters.image, parameters.scale, parameters.purpose);
  let words = threefry(key, vec2u(parameters.position, draw));
  output[2u * draw] = words.x;
  output[2u * draw + 1u] = words.y;
}
