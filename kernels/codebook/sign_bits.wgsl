// From feature maps to the bits of tokens: a bit is 1 where the value is above 0.
// Bindings: features as rows [images, positions, channels] or, when `planes` is 1, as planes [images,
// channels, positions]; packed [images, tokens, ceil(bits / 32)]. Zeros of both signs and NaN give 0; bits
// beyond the last are 0; exact. Expects nothing in front of it. Twin: bits.ts. Which bit is which value: see
// bit_codes.wgsl. One thread per word.

struct Parameters {
  // Tokens of all images, and positions of one.
  count: u32,
  positions: u32,
  channels: u32,
  // Bits and words of a token.
  bits: u32,
  stride: u32,
  patch_width: u32,
  planes: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> features: array<u32>;
@group(0) @binding(2) var<storage, read_write> packed: array<u32>;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = (group.z * groups.x + group.x) * LANES + lane;
  if (token >= parameters.count) {
    return;
  }
  let channels = parameters.channels;
  let width = parameters.patch_width;
  // The token's first position among those of all images; where channel 0 of it is, and how far the next
  // channel and the positions to the right and below are from there.
  var place = token;
  var step = 0u;
  if (width > 0u) {
    let line = token / width;
    place = (line * 2u) * 2u * width + (token - line * width) * 2u;
    step = 2u;
  }
  var base = place * channels;
  var next = 1u;
  var right = channels;
  if (parameters.planes == 1u) {
    let image = place / parameters.positions;
    base = image * channels * parameters.positions + place - image * parameters.positions;
    next = parameters.positions;
    right = 1u;
  }
  let below = 2u * width * right;
  let begin = group.y * 32u;
  let end = min(begin + 32u, parameters.bits);
  var word = 0u;
  for (var bit = begin; bit < end; bit++) {
    let channel = bit >> step;
    let inner = bit - (channel << step);
    let value = features[base + channel * next + (inner >> 1u) * below + (inner & 1u) * right];
    // As integers, the positive numbers are 1 to infinity's bits.
    word |= select(0u, 1u << (bit - begin), value - 1u < 0x7f800000u);
  }
  packed[token * parameters.stride + group.y] = word;
}
