// Bicubic resizing, one thread per value, the cubic weights computed on the spot for all 16 taps.

struct Parameters {
  total: u32,
  from_side: u32,
  to_side: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

fn cubic(distance: f32) -> f32 {
  let x = abs(distance);
  if (x <= 1.0) {
    return (1.25 * x - 2.25) * x * x + 1.0;
  }
  return ((-0.75 * x + 3.75) * x - 6.0) * x + 3.0;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= parameters.total) {
    return;
  }
  let side = i32(parameters.from_side);
  let to_side = parameters.to_side;
  let plane = i32(i / (to_side * to_side));
  let ratio = f32(parameters.from_side) / f32(to_side);
  let y = (f32(i / to_side % to_side) + 0.5) * ratio - 0.5;
  let x = (f32(i % to_side) + 0.5) * ratio - 0.5;
  var sum = 0.0;
  for (var v = -1; v <= 2; v++) {
    let row = i32(floor(y)) + v;
    for (var u = -1; u <= 2; u++) {
      let column = i32(floor(x)) + u;
      let place = (plane * side + clamp(row, 0, side - 1)) * side + clamp(column, 0, side - 1);
      sum += cubic(y - f32(row)) * cubic(x - f32(column)) * input[place];
    }
  }
  output[i] = sum;
}
