// The different tokens of each position of each image, in ascending order: how often each was drawn, its code
// vector, and which of them each candidate has. All tokens that are no code are one, with a vector of zeros.
// Bindings: tokens [images, draws, positions], codebook [vocabulary, channels], table [workgroups, vocabulary
// + 1] (scratch), members [images, draws, positions], groups [images, positions, rows, 2] (token, count;
// unused rows 0, 0), vectors [images, positions, ceil(channels / 4), rows] of four channels each (zeros
// beyond the last channel), sums [images, positions, rows, 2] (set to 0 for group_density.wgsl). A workgroup
// takes one position after another and counts its tokens in its part of the table. Integers and copies only.
// Expects nothing in front of it. Twin: group_tokens.ts.

struct Parameters {
  // images * positions.
  places: u32,
  draws: u32,
  positions: u32,
  vocabulary: u32,
  channels: u32,
  rows: u32,
  workgroups: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> codebook: array<f32>;
@group(0) @binding(3) var<storage, read_write> table: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> members: array<u32>;
@group(0) @binding(5) var<storage, read_write> groups: array<vec2u>;
@group(0) @binding(6) var<storage, read_write> vectors: array<f32>;
@group(0) @binding(7) var<storage, read_write> sums: array<vec2u>;

const LANES = 256u;

// How many different tokens each thread, then all threads up to it, found in their part of the table.
var<workgroup> found: array<u32, LANES>;

fn channel(token: u32, c: u32) -> f32 {
  if (token >= parameters.vocabulary || c >= parameters.channels) {
    return 0.0;
  }
  return codebook[token * parameters.channels + c];
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let size = parameters.vocabulary + 1u;
  let entries = group.x * size;
  let part = (size + LANES - 1u) / LANES;
  let begin = min(size, lane * part);
  let end = min(size, begin + part);
  let rows = parameters.rows;
  let blocks = (parameters.channels + 3u) / 4u;
  for (var place = group.x; place < parameters.places; place += parameters.workgroups) {
    let first = place / parameters.positions * parameters.draws * parameters.positions + place % parameters.positions;
    for (var i = lane; i < size; i += LANES) {
      atomicStore(&table[entries + i], 0u);
    }
    for (var i = lane; i < rows; i += LANES) {
      groups[place * rows + i] = vec2u(0u);
      sums[place * rows + i] = vec2u(0u);
    }
    storageBarrier();
    for (var i = lane; i < parameters.draws; i += LANES) {
      atomicAdd(&table[entries + min(tokens[first + i * parameters.positions], parameters.vocabulary)], 1u);
    }
    storageBarrier();
    var count = 0u;
    for (var i = begin; i < end; i++) {
      count += select(0u, 1u, atomicLoad(&table[entries + i]) > 0u);
    }
    found[lane] = count;
    for (var step = 1u; step < LANES; step *= 2u) {
      workgroupBarrier();
      let before = select(0u, found[max(lane, step) - step], lane >= step);
      workgroupBarrier();
      found[lane] += before;
    }
    workgroupBarrier();
    var row = found[lane] - count;
    for (var i = begin; i < end; i++) {
      let drawn = atomicLoad(&table[entries + i]);
      if (drawn > 0u) {
        groups[place * rows + row] = vec2u(i, drawn);
        atomicStore(&table[entries + i], row);
        row++;
      }
    }
    let used = found[LANES - 1u];
    storageBarrier();
    for (var i = lane; i < parameters.draws; i += LANES) {
      let at = first + i * parameters.positions;
      members[at] = atomicLoad(&table[entries + min(tokens[at], parameters.vocabulary)]);
    }
    for (var block = 0u; block < blocks; block++) {
      for (var i = lane; i < used; i += LANES) {
        let token = groups[place * rows + i].x;
        let at = ((place * blocks + block) * rows + i) * 4u;
        vectors[at] = channel(token, block * 4u);
        vectors[at + 1u] = channel(token, block * 4u + 1u);
        vectors[at + 2u] = channel(token, block * 4u + 2u);
        vectors[at + 3u] = channel(token, block * 4u + 3u);
      }
    }
    // The next position reuses table and found.
    storageBarrier();
    workgroupBarrier();
  }
}
