// From the bits of tokens to vectors of two values, as a feature map.
// Bindings: packed [images, tokens, ceil(bits / 32)]; output as rows [images, positions, channels] or, when
// `planes` is 1, as planes [images, channels, positions]. A bit that is 1 gives `magnitude`, one that is 0
// the same below zero; exact. Expects nothing in front of it. Twin: bits.ts. Without patches, bit c of a
// token is channel c of its position. With patches of 2×2 (`patch_width` tokens in a line, 0 without), bit 4
// c + 2 dy + dx is channel c of the position dy below and dx to the right of the patch's first.
// Planes: 64 positions and 8 channels per workgroup; the bits of 8 channels are always in one word. Rows: up
// to 8 threads per position.

struct Parameters {
  // Positions of all images, and of one.
  count: u32,
  positions: u32,
  channels: u32,
  // Words of a token.
  stride: u32,
  patch_width: u32,
  planes: u32,
  // log2 of the threads per row, at most 3.
  shift: u32,
  magnitude: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> packed: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

const LANES = 64u;
// Channels of a workgroup that writes planes.
const GROUP_CHANNELS = 8u;

// Where a position's bits are: first word of its token, its first bit in the token.
fn home(place: u32) -> vec2u {
  let width = parameters.patch_width;
  if (width == 0u) {
    return vec2u(place * parameters.stride, 0u);
  }
  let line = place / (2u * width);
  let x = place - line * 2u * width;
  // The lines of all images follow one another, and each image has an even number of them.
  let token = (line >> 1u) * width + (x >> 1u);
  return vec2u(token * parameters.stride, (line & 1u) * 2u + (x & 1u));
}

fn code(bits: u32) -> f32 {
  return select(-parameters.magnitude, parameters.magnitude, (bits & 1u) == 1u);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let channels = parameters.channels;
  let positions = parameters.positions;
  let step = select(4u, 1u, parameters.patch_width == 0u);
  if (parameters.planes == 1u) {
    let place = (group.z * groups.x + group.x) * LANES + lane;
    if (place >= parameters.count) {
      return;
    }
    let begin = group.y * GROUP_CHANNELS;
    let end = min(begin + GROUP_CHANNELS, channels);
    let start = home(place);
    let first = start.y + begin * step;
    var bits = packed[start.x + (first >> 5u)] >> (first & 31u);
    let image = place / positions;
    var i = (image * channels + begin) * positions + place - image * positions;
    for (var channel = begin; channel < end; channel++) {
      output[i] = code(bits);
      bits >>= step;
      i += positions;
    }
    return;
  }
  let place = ((group.y * groups.x + group.x) * LANES + lane) >> parameters.shift;
  if (place >= parameters.count) {
    return;
  }
  let start = home(place);
  let width = 1u << parameters.shift;
  let span = 32u / step;
  for (var block = 0u; block < channels; block += span) {
    let bits = packed[start.x + ((block * step) >> 5u)] >> start.y;
    let end = min(block + span, channels);
    for (var channel = block + (lane & (width - 1u)); channel < end; channel += width) {
      output[place * channels + channel] = code(bits >> ((channel - block) * step));
    }
  }
}
