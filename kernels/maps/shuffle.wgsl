// Moves words between tokens that each hold a patch of 2×2 positions and maps of those positions: channel c
// of the position dy below and dx to the right of a patch's first is word 4 c + 2 dy + dx of its token.
// Bindings: input, output; tokens are [images, tokens, 4 channels] or [images, 4 channels, tokens], and maps
// [images, channels, 2 height, 2 width]. One invocation per word of a map. Words are copied, whatever they
// mean, so the result is exact. Expects nothing in front of it. Twin: shuffle.ts.

struct Parameters {
  // Words of all maps.
  count: u32,
  channels: u32,
  // Tokens in a row, and rows of them.
  width: u32,
  height: u32,
  // 1 if a token's words lie side by side.
  rows: u32,
  // 1 from maps to tokens.
  back: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let place = (group.y * groups.x + group.x) * LANES + lane;
  if (place >= parameters.count) {
    return;
  }
  let width = parameters.width;
  let height = parameters.height;
  let x = place % (2u * width);
  let line = place / (2u * width);
  let y = line % (2u * height);
  let plane = line / (2u * height);
  let words = 4u * parameters.channels;
  let image = plane / parameters.channels;
  let word = plane % parameters.channels * 4u + (y & 1u) * 2u + (x & 1u);
  let token = (y >> 1u) * width + (x >> 1u);
  let tokens = width * height;
  let of_token = select((image * words + word) * tokens + token, (image * tokens + token) * words + word, parameters.rows == 1u);
  if (parameters.back == 1u) {
    output[of_token] = input[place];
  } else {
    output[place] = input[of_token];
  }
}
