// Resizes maps with a separable filter: output = sum over rows of weight * (sum over columns of weight *
// input). Bindings: input planes [images, channels, from_rows, from_columns]; for each output row its first
// tap, number of taps and weights, row_first, row_count and row_weights [to_rows, row_taps]; the same for
// each output column, column_first, column_count and column_weights [to_columns, column_taps], the same
// arrays where maps are square; output as planes [images, channels, to_rows, to_columns] or, when `rows` is
// 1, as rows [images, to_rows * to_columns, channels]. With `sign` 1 or -1 the result is added to the output
// or taken from it, with 0 it takes its place. One thread per position and 8 channels, which share the
// weights and where they lie.
// Plain f32: the error is at most (row_taps + column_taps + 3) * 2^-24 * sum |weight * input|, and that of
// one addition. Expects nothing in front of it. Twin: resample.ts.

struct Parameters {
  images: u32,
  channels: u32,
  from_rows: u32,
  from_columns: u32,
  to_rows: u32,
  to_columns: u32,
  row_taps: u32,
  column_taps: u32,
  rows: u32,
  sign: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> row_first: array<u32>;
@group(0) @binding(3) var<storage, read> row_count: array<u32>;
@group(0) @binding(4) var<storage, read> row_weights: array<f32>;
@group(0) @binding(5) var<storage, read> column_first: array<u32>;
@group(0) @binding(6) var<storage, read> column_count: array<u32>;
@group(0) @binding(7) var<storage, read> column_weights: array<f32>;
@group(0) @binding(8) var<storage, read_write> output: array<f32>;

const LANES = 64u;
// Channels of a workgroup.
const GROUP_CHANNELS = 8u;

fn put(place: u32, value: f32) {
  if (parameters.sign == 0.0) {
    output[place] = value;
  } else {
    output[place] += parameters.sign * value;
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let width = parameters.to_columns;
  let area = parameters.to_rows * width;
  let channels = parameters.channels;
  let i = (group.z * groups.x + group.x) * LANES + lane;
  if (i >= parameters.images * area) {
    return;
  }
  let image = i / area;
  let position = i - image * area;
  let y = position / width;
  let x = position - y * width;
  let begin = group.y * GROUP_CHANNELS;
  let plane = image * channels + begin;
  let from_area = parameters.from_rows * parameters.from_columns;
  // Channels beyond the last one read the last one's plane, and are not written.
  let spare = channels - 1u - begin;
  let near = min(vec4u(0u, 1u, 2u, 3u), vec4u(spare)) * from_area;
  let far = min(vec4u(4u, 5u, 6u, 7u), vec4u(spare)) * from_area;
  let row_taps = row_count[y];
  let column_taps = column_count[x];
  var source = plane * from_area + row_first[y] * parameters.from_columns + column_first[x];
  var sum0 = vec4f(0.0);
  var sum1 = vec4f(0.0);
  for (var v = 0u; v < row_taps; v++) {
    var line0 = vec4f(0.0);
    var line1 = vec4f(0.0);
    for (var u = 0u; u < column_taps; u++) {
      let weight = column_weights[x * parameters.column_taps + u];
      let a = near + source + u;
      let b = far + source + u;
      line0 += weight * vec4f(input[a.x], input[a.y], input[a.z], input[a.w]);
      line1 += weight * vec4f(input[b.x], input[b.y], input[b.z], input[b.w]);
    }
    let weight = row_weights[y * parameters.row_taps + v];
    sum0 += weight * line0;
    sum1 += weight * line1;
    source += parameters.from_columns;
  }
  var place = plane * area + position;
  var step = area;
  if (parameters.rows == 1u) {
    place = i * channels + begin;
    step = 1u;
  }
  put(place, sum0.x);
  if (spare >= 1u) {
    put(place + step, sum0.y);
  }
  if (spare >= 2u) {
    put(place + 2u * step, sum0.z);
  }
  if (spare >= 3u) {
    put(place + 3u * step, sum0.w);
  }
  if (spare >= 4u) {
    put(place + 4u * step, sum1.x);
  }
  if (spare >= 5u) {
    put(place + 5u * step, sum1.y);
  }
  if (spare >= 6u) {
    put(place + 6u * step, sum1.z);
  }
  if (spare >= 7u) {
    put(place + 7u * step, sum1.w);
  }
}
