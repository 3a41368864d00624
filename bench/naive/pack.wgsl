// RGBA pixels in plain f32, one thread per pixel: no care for NaN.

struct Parameters {
  total: u32,
  area: u32,
  added: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> image: array<f32>;
@group(0) @binding(2) var<storage, read_write> pixels: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.total) {
    return;
  }
  let area = parameters.area;
  let start = i / area * 3u * area + i % area;
  var pixel = 0xff000000u;
  for (var c = 0u; c < 3u; c++) {
    let value = clamp((image[start + c * area] + 1.0) * 127.5 + 0.5 * f32(parameters.added), 0.0, 255.0);
    pixel |= u32(value) << (8u * c);
  }
  pixels[i] = pixel;
}
