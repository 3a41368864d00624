// Planes of pixels in plain f32, one thread per pixel: each level scaled, not looked up.

struct Parameters {
  total: u32,
  area: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read_write> planes: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.total) {
    return;
  }
  let area = parameters.area;
  let start = i / area * 3u * area + i % area;
  let color = (unpack4x8unorm(pixels[i]) - 0.5) / 0.5;
  for (var c = 0u; c < 3u; c++) {
    planes[start + c * area] = color[c];
  }
}
