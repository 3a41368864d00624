// Resizes packed pixels along one axis: each colour of a new pixel is the sum of weight * level over its
// sources, in units of 2^-22, rounded and clipped to 8 bits; alpha is 255. Bindings: input pixels [lines,
// from, step] u32, red in the lowest byte; table [to, 2 + taps] u32, for each new pixel its first source,
// their number and the bits of their i32 weights; output pixels [lines, to, step] u32. One thread per new
// pixel. Integers only, so every device gives the same bytes: the weights add up to 2^22, those below zero to
// no less than -2^21, so no sum leaves 32 bits. Expects nothing in front of it. Twin: resize_pixels.ts.

struct Parameters {
  total: u32,
  from_pixels: u32,
  to_pixels: u32,
  taps: u32,
  step: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

const LANES = 64u;
const PRECISION = 22u;

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
  let step = parameters.step;
  let place = i % step;
  let line = i / step / parameters.to_pixels;
  let row = i / step % parameters.to_pixels * (2u + parameters.taps);
  let begin = (line * parameters.from_pixels + table[row]) * step + place;
  var sums = vec3i(1i << (PRECISION - 1u));
  for (var tap = 0u; tap < table[row + 1u]; tap++) {
    let pixel = input[begin + tap * step];
    let levels = vec3i(vec3u(pixel, pixel >> 8u, pixel >> 16u) & vec3u(255u));
    sums += bitcast<i32>(table[row + 2u + tap]) * levels;
  }
  let levels = vec3u(clamp(sums >> vec3u(PRECISION), vec3i(0i), vec3i(255i)));
  output[i] = levels.x | (levels.y << 8u) | (levels.z << 16u) | 0xff000000u;
}
