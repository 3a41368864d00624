// Hamming distances, in bits, between all rows of a and all rows of b.
// Bindings: own [batch, own_count, words] and others [batch, others_count, words], one of them a and one b;
// output [batch, rows, columns]. A thread holds four own rows and streams the others past them, loaded at
// addresses that are the same for the whole workgroup: one load serves 256 pairs. Up to 16 words the own rows
// stay in registers for 32 others; beyond, 8 others and 4 own rows advance together, four words at a time.
// Integers only, so every device gives the same. Expects nothing in front of it. Twin: hamming.ts.

struct Parameters {
  own_count: u32,
  others_count: u32,
  // Of a row.
  words: u32,
  batch: u32,
  // Workgroups side by side along the own rows, and below each other along the others.
  tiles_across: u32,
  tiles_down: u32,
  // Lanes of a workgroup that have own rows, four each.
  lanes: u32,
  // From one output of an own row, of another row and of a matrix to the next.
  own_stride: u32,
  other_stride: u32,
  batch_stride: u32,
}

// words / 4, rounded up, if that is at most 4; else 0.
override STEPS: u32;
// Whether words is a multiple of 4.
override ALIGNED: bool;

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> own: array<vec4u>;
@group(0) @binding(2) var<storage, read> others: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

const LANES = 64u;

// Four words of each of four rows.
struct Block {
  x: vec4u,
  y: vec4u,
  z: vec4u,
  w: vec4u,
}

fn own_word(i: u32) -> u32 {
  return own[i / 4u][i % 4u];
}

fn others_word(i: u32) -> u32 {
  return others[i / 4u][i % 4u];
}

// Words k to k + 3 of the row whose first word is at `first`; zeros beyond the last.
fn own_four(first: u32, k: u32) -> vec4u {
  let i = first + k;
  if (ALIGNED) {
    return own[i / 4u];
  }
  let last = parameters.words - 1u - k;
  let four = vec4u(own_word(i), own_word(i + min(last, 1u)), own_word(i + min(last, 2u)), own_word(i + min(last, 3u)));
  return select(vec4u(), four, vec4u(last) >= vec4u(0u, 1u, 2u, 3u));
}

fn others_four(first: u32, k: u32) -> vec4u {
  let i = first + k;
  if (ALIGNED) {
    return others[i / 4u];
  }
  let last = parameters.words - 1u - k;
  let four = vec4u(
    others_word(i),
    others_word(i + min(last, 1u)),
    others_word(i + min(last, 2u)),
    others_word(i + min(last, 3u)),
  );
  return select(vec4u(), four, vec4u(last) >= vec4u(0u, 1u, 2u, 3u));
}

fn block(first: vec4u, k: u32) -> Block {
  if (STEPS > 0u && k >= 4u * STEPS) {
    return Block();
  }
  return Block(own_four(first.x, k), own_four(first.y, k), own_four(first.z, k), own_four(first.w, k));
}

fn ones(words: vec4u) -> u32 {
  let counts = countOneBits(words);
  return counts.x + counts.y + counts.z + counts.w;
}

// How many of these bits differ between a row and each of the own rows.
fn bits(x: vec4u, own: Block) -> vec4u {
  return vec4u(ones(x ^ own.x), ones(x ^ own.y), ones(x ^ own.z), ones(x ^ own.w));
}

fn store(counts: vec4u, column: vec4u, at: u32) {
  let inside = column < vec4u(parameters.own_count);
  let places = at + column * parameters.own_stride;
  if (inside.x) {
    output[places.x] = counts.x;
  }
  if (inside.y) {
    output[places.y] = counts.y;
  }
  if (inside.z) {
    output[places.z] = counts.z;
  }
  if (inside.w) {
    output[places.w] = counts.w;
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  let tiles = parameters.tiles_across * parameters.tiles_down;
  let matrix = index / tiles;
  if (matrix >= parameters.batch || lane >= parameters.lanes) {
    return;
  }
  let height = select(8u, 32u, STEPS > 0u);
  let start = index % tiles / parameters.tiles_across * height;
  let end = min(start + height, parameters.others_count);

  let first_column = index % tiles % parameters.tiles_across * 4u * parameters.lanes;
  let column = first_column + lane + parameters.lanes * vec4u(0u, 1u, 2u, 3u);
  let mine = matrix * parameters.own_count + min(column, vec4u(parameters.own_count - 1u));
  let first = mine * parameters.words;
  let row = matrix * parameters.others_count;
  let at = matrix * parameters.batch_stride;

  if (STEPS > 0u) {
    let b0 = block(first, 0u);
    let b1 = block(first, 4u);
    let b2 = block(first, 8u);
    let b3 = block(first, 12u);
    for (var r = start; r < end; r++) {
      let x = (row + r) * parameters.words;
      var counts = bits(others_four(x, 0u), b0);
      if (STEPS > 1u) {
        counts += bits(others_four(x, 4u), b1);
      }
      if (STEPS > 2u) {
        counts += bits(others_four(x, 8u), b2);
      }
      if (STEPS > 3u) {
        counts += bits(others_four(x, 12u), b3);
      }
      store(counts, column, at + r * parameters.other_stride);
    }
    return;
  }

  var counts = array<vec4u, 8>();
  for (var k = 0u; k < parameters.words; k += 4u) {
    let b = block(first, k);
    for (var r = 0u; r < 8u; r++) {
      // Rows beyond the last are counted as if they were the last, and not stored.
      counts[r] += bits(others_four((row + min(start + r, end - 1u)) * parameters.words, k), b);
    }
  }
  for (var r = 0u; r < 8u; r++) {
    if (start + r < end) {
      store(counts[r], column, at + (start + r) * parameters.other_stride);
    }
  }
}
