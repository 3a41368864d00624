// The logarithm of the probability of each token in plain f32, one thread per row of logits: no care for NaN,
// infinities or equal bits, and no sum over rows. With `bits` a token is as many rows of two values.

struct Parameters {
  rows: u32,
  images: u32,
  sides: u32,
  positions: u32,
  words: u32,
  bits: u32,
  vocabulary: u32,
  has_kept: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> tokens: array<u32>;
@group(0) @binding(3) var<storage, read_write> logarithms: array<f32>;

override is_index: bool = true;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = id.y * groups.x * 64u + id.x;
  if (row >= parameters.rows) {
    return;
  }
  let start = row * parameters.vocabulary;
  var largest = logits[start];
  for (var i = 1u; i < parameters.vocabulary; i++) {
    largest = max(largest, logits[start + i]);
  }
  var sum = 0.0;
  for (var i = 0u; i < parameters.vocabulary; i++) {
    sum += exp(logits[start + i] - largest);
  }
  let token = row / parameters.bits % (parameters.images * parameters.positions);
  let bit = row % parameters.bits;
  var value = tokens[token * parameters.words + bit / 32u];
  if (!is_index) {
    value = (value >> (bit % 32u)) & 1u;
  }
  logarithms[row] = logits[start + value] - largest - log(sum);
}
