// Turns packed pixels into planes: each level becomes what a table has for it. Bindings: pixels [images,
// area] u32, red in the lowest byte; levels [3, 256], what stands for each level of red, green and blue;
// planes [images, 3, area]. One thread per pixel. Words are copied, so every device gives the same bits.
// Expects nothing in front of it. Twin: unpack.ts.

struct Parameters {
  total: u32,
  area: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read> levels: array<u32>;
@group(0) @binding(3) var<storage, read_write> planes: array<u32>;

const LANES = 64u;
const LEVELS = 256u;

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
  let pixel = pixels[i];
  for (var c = 0u; c < 3u; c++) {
    planes[red + c * area] = levels[c * LEVELS + ((pixel >> (8u * c)) & 255u)];
  }
}
