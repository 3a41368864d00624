// Area resizing, one thread per value, in the order in which the values are written: rows, [images,
// positions, channels].

struct Parameters {
  total: u32,
  channels: u32,
  from_side: u32,
  to_side: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.total) {
    return;
  }
  let side = parameters.from_side;
  let to_side = parameters.to_side;
  let channels = parameters.channels;
  let position = i / channels % (to_side * to_side);
  let plane = i / (channels * to_side * to_side) * channels + i % channels;
  let y = position / to_side;
  let x = position % to_side;
  let top = y * side / to_side;
  let bottom = ((y + 1u) * side + to_side - 1u) / to_side;
  let left = x * side / to_side;
  let right = ((x + 1u) * side + to_side - 1u) / to_side;
  var sum = 0.0;
  for (var v = top; v < bottom; v++) {
    for (var u = left; u < right; u++) {
      sum += input[(plane * side + v) * side + u];
    }
  }
  output[i] = sum / f32((bottom - top) * (right - left));
}
