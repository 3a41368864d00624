// Resizes square maps with a separable filter: output = sum over rows of weight * (sum over columns of weight * input).
// Bindings: input planes [images, channels, from, from]; for each output index its first tap, number of taps and weights [to, taps];
// output as planes [images, channels, to, to] or, when `rows` is 1, as rows [images, to * to, channels]. One thread per output value.
// Plain f32: for t taps a side the error is at most (2 t + 3) * 2^-24 * sum |weight * input|. Twin: resample.ts.

struct Parameters {
  total: u32,
  channels: u32,
  from_side: u32,
  to_side: u32,
  taps: u32,
  rows: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> first: array<u32>;
@group(0) @binding(3) var<storage, read> count: array<u32>;
@group(0) @binding(4) var<storage, read> weights: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= parameters.total) {
    return;
  }
  let side = parameters.to_side;
  let channels = parameters.channels;
  var plane = i / (side * side);
  var position = i % (side * side);
  if (parameters.rows == 1u) {
    plane = i / (side * side * channels) * channels + i % channels;
    position = i / channels % (side * side);
  }
  let y = position / side;
  let x = position % side;
  let source = (plane * parameters.from_side + first[y]) * parameters.from_side + first[x];
  var sum = 0.0;
  for (var v = 0u; v < count[y]; v++) {
    var line = 0.0;
    for (var u = 0u; u < count[x]; u++) {
      line += weights[x * parameters.taps + u] * input[source + v * parameters.from_side + u];
    }
    sum += weights[y * parameters.taps + v] * line;
  }
  output[i] = sum;
}
