// Merges kept positions of source maps into target maps, in place.
// Bindings: source [source_rows, channels, positions], rows [images], keep [positions], target_maps [images,
// repeats, channels, positions]: where keep[position] is not 0, a target word becomes that of source row
// rows[image]; words are copied, whatever they mean, so the result is exact. A row that is not below
// `source_rows` keeps nothing. Expects nothing in front of it. Twin: merge.ts.

struct Parameters {
  // Words of the target.
  count: u32,
  positions: u32,
  channels: u32,
  // Words of the target that belong to one image.
  stride: u32,
  source_rows: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> keep: array<u32>;
@group(0) @binding(4) var<storage, read_write> target_maps: array<u32>;

const LANES = 256u;
// Words of a workgroup.
const GROUP_WORDS = 1024u;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let begin = (group.y * groups.x + group.x) * GROUP_WORDS + lane;
  for (var i = begin; i < min(begin + GROUP_WORDS, parameters.count); i += LANES) {
    let position = i % parameters.positions;
    if (keep[position] == 0u) {
      continue;
    }
    let row = rows[i / parameters.stride];
    if (row < parameters.source_rows) {
      let channel = i / parameters.positions % parameters.channels;
      target_maps[i] = source[(row * parameters.channels + channel) * parameters.positions + position];
    }
  }
}
