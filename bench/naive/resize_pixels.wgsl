// One pass of a resizing in plain f32, one thread per pixel.

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

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.total) {
    return;
  }
  let step = parameters.step;
  let line = i / step / parameters.to_pixels;
  let row = i / step % parameters.to_pixels * (2u + parameters.taps);
  let begin = (line * parameters.from_pixels + table[row]) * step + i % step;
  var sum = vec4f(0.0);
  for (var tap = 0u; tap < table[row + 1u]; tap++) {
    let weight = f32(bitcast<i32>(table[row + 2u + tap])) / 4194304.0;
    sum += weight * unpack4x8unorm(input[begin + tap * step]);
  }
  output[i] = pack4x8unorm(vec4f(sum.rgb, 1.0));
}
