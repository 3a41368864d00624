// Copies one codebook vector per token into a feature map.
// Bindings: tokens [images, positions], codebook [vocabulary, channels], output as rows [images, positions, channels] or, when
// `planes` is 1, as planes [images, channels, positions]. One thread per output word; no arithmetic, so the result is exact.
// A token outside the vocabulary (NO_TOKEN included) gives zeros. Twin: lookup.ts.

struct Parameters {
  total: u32,
  positions: u32,
  vocabulary: u32,
  channels: u32,
  planes: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> codebook: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

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
  let channels = parameters.channels;
  let positions = parameters.positions;
  var place = i / channels;
  var channel = i % channels;
  if (parameters.planes == 1u) {
    place = i / (channels * positions) * positions + i % positions;
    channel = i / positions % channels;
  }
  let token = tokens[place];
  var word = 0u;
  if (token < parameters.vocabulary) {
    word = codebook[token * channels + channel];
  }
  output[i] = word;
}
