// Copies one codebook vector per token into a feature map.
// Bindings: tokens [images, positions]; codebook [vocabulary, channels], or in half precision, two to a word,
// if HALF is set; output as rows [images, positions, channels] or, when `planes` is 1, as planes [images,
// channels, positions]. Words are copied and halves widened, both exactly. A token outside the vocabulary
// (NO_TOKEN included) gives zeros. Expects nothing in front of it. Twin: lookup.ts. Planes: 64 tokens and 8
// channels per workgroup, a thread writing these channels of its token. Rows: up to 8 threads per token, each
// of which takes every 8th channel. So neighbouring threads write neighbouring words, and a thread reads one
// token.

struct Parameters {
  count: u32,
  positions: u32,
  vocabulary: u32,
  channels: u32,
  planes: u32,
  // log2 of the threads per row, at most 3.
  shift: u32,
}

override HALF: bool = false;

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> codebook: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

const LANES = 64u;
// Channels of a workgroup that writes planes.
const GROUP_CHANNELS = 8u;

// The float with the value of a half.
fn widen(half: u32) -> u32 {
  let exponent = (half >> 10u) & 31u;
  let mantissa = half & 0x3ffu;
  let rebias = select(112u, 224u, exponent == 31u);
  let normal = ((exponent + rebias) << 23u) | (mantissa << 13u);
  let tiny = bitcast<u32>(f32(mantissa) * 0x1p-24f);
  return ((half & 0x8000u) << 16u) | select(normal, tiny, exponent == 0u);
}

fn word(token: u32, channel: u32) -> u32 {
  let known = token < parameters.vocabulary;
  let i = select(0u, token * parameters.channels + channel, known);
  if (HALF) {
    return select(0u, widen((codebook[i >> 1u] >> (16u * (i & 1u))) & 0xffffu), known);
  }
  return select(0u, codebook[i], known);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let channels = parameters.channels;
  let positions = parameters.positions;
  if (parameters.planes == 1u) {
    let place = (group.z * groups.x + group.x) * LANES + lane;
    if (place >= parameters.count) {
      return;
    }
    let token = tokens[place];
    let begin = group.y * GROUP_CHANNELS;
    let end = min(begin + GROUP_CHANNELS, channels);
    let image = place / positions;
    var i = (image * channels + begin) * positions + place - image * positions;
    for (var channel = begin; channel < end; channel++) {
      output[i] = word(token, channel);
      i += positions;
    }
    return;
  }
  let place = ((group.y * groups.x + group.x) * LANES + lane) >> parameters.shift;
  if (place >= parameters.count) {
    return;
  }
  let token = tokens[place];
  let width = 1u << parameters.shift;
  for (var channel = lane & (width - 1u); channel < channels; channel += width) {
    output[place * channels + channel] = word(token, channel);
  }
}
