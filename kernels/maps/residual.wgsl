// One residual step of the multi-scale quantiser: state += keep * h + share * (conv3x3(h) + bias), with one
// zero of padding. Bindings: features (h) as planes [images, channels, side, side], weight [channels,
// channels, 3, 3], bias [channels], state as planes (in and out). A workgroup computes 4 output channels of
// an 8 x 8 tile: it stages 16 input channels at a time with their border, and the weights for its 4 outputs.
// `keep` and `share` carry the sign. Plain f32: for n = 9 * channels the update is off by at most (n + 6) *
// 2^-24 * (keep |h| + share (sum |weight * h| + |bias|)). Expects nothing in front of it. Twin: residual.ts.

const TILE = 8u;
// A tile with its border.
const HALO = TILE + 2u;
const CHUNK = 16u;
const LANES = TILE * TILE;

struct Parameters {
  count: u32,
  channels: u32,
  side: u32,
  keep: f32,
  share: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> features: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> state: array<f32>;

var<workgroup> patch_values: array<f32, CHUNK * HALO * HALO>;
var<workgroup> taps: array<vec4f, CHUNK * 9u>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group.y * groups.x + group.x;
  if (number >= parameters.count) {
    return;
  }
  let side = parameters.side;
  let channels = parameters.channels;
  let tiles = (side + TILE - 1u) / TILE;
  let quads = (channels + 3u) / 4u;
  let left = number % tiles * TILE;
  let top = number / tiles % tiles * TILE;
  let output = number / (tiles * tiles) % quads * 4u;
  let image = number / (tiles * tiles * quads);
  let x = lane % TILE;
  let y = lane / TILE;

  var sum = vec4f();
  for (var chunk = 0u; chunk < channels; chunk += CHUNK) {
    let depth = min(CHUNK, channels - chunk);
    for (var i = lane; i < depth * HALO * HALO; i += LANES) {
      // One less than the border's place; beyond the left and upper edge it wraps to a large number, which is
      // outside, too.
      let u = left + i % HALO - 1u;
      let v = top + i / HALO % HALO - 1u;
      var value = 0.0;
      if (u < side && v < side) {
        value = features[((image * channels + chunk + i / (HALO * HALO)) * side + v) * side + u];
      }
      patch_values[i] = value;
    }
    for (var i = lane; i < depth * 9u; i += LANES) {
      var quad = vec4f();
      for (var o = 0u; o < min(4u, channels - output); o++) {
        quad[o] = weight[((output + o) * channels + chunk) * 9u + i];
      }
      taps[i] = quad;
    }
    workgroupBarrier();
    for (var c = 0u; c < depth; c++) {
      for (var v = 0u; v < 3u; v++) {
        let tap = c * 9u + v * 3u;
        let place = (c * HALO + y + v) * HALO + x;
        sum += taps[tap] * patch_values[place];
        sum += taps[tap + 1u] * patch_values[place + 1u];
        sum += taps[tap + 2u] * patch_values[place + 2u];
      }
    }
    workgroupBarrier();
  }

  if (left + x >= side || top + y >= side) {
    return;
  }
  for (var o = 0u; o < min(4u, channels - output); o++) {
    let place = ((image * channels + output + o) * side + top + y) * side + left + x;
    state[place] += parameters.keep * features[place] + parameters.share * (sum[o] + bias[output + o]);
  }
}
