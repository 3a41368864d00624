// Turns image planes into RGBA pixels: clamp to [-1, 1], shift to [0, 1], scale to 255 and drop the fraction,
// or round; alpha is 255. Bindings: image [images, 3, area] f32, pixels [images, area] u32, red in the lowest
// byte. One thread per pixel. The same bits on every device: the sum x + 1 comes before the product, so
// nothing can be fused; half levels, (x + 1) * 255, round exactly as (x + 1) / 2 * 255 does, since halving
// is exact; and to round, a half is added in integers. NaN becomes 0; NaN and infinity are told by their
// bits, as a shader may assume there are none. Expects nothing in front of it. Twin: pack.ts.

struct Parameters {
  total: u32,
  area: u32,
  added: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> image: array<u32>;
@group(0) @binding(2) var<storage, read_write> pixels: array<u32>;

const LANES = 64u;

fn level(bits: u32) -> u32 {
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return 0u;
  }
  if (magnitude >= 0x3f800000u) {
    return select(0u, 255u, magnitude == bits);
  }
  return (u32((bitcast<f32>(bits) + 1.0) * 255.0) + parameters.added) >> 1u;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * LANES + lane;
  if (i >= parameters.total) {
    return;
  }
  let area = parameters.area;
  let red = i / area * 3u * area + i % area;
  let green = red + area;
  let blue = green + area;
  pixels[i] = level(image[red]) | (level(image[green]) << 8u) | (level(image[blue]) << 16u) | 0xff000000u;
}
