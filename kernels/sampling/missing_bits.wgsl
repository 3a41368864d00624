// The first position of each image at which some bit has no value that could be drawn: both logits are NaN or
// -infinity. Bindings: logits [images, positions, bits, 2], missing [images], 0xffffffff for none. One
// workgroup per image. Integers only, the same on every device. Expects exact.wgsl and logit.wgsl in front of
// it. Twin: missing_bits.ts.

struct Parameters {
  images: u32,
  positions: u32,
  bits: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read_write> missing: array<u32>;

const LANES = 256u;

var<workgroup> first: array<u32, LANES>;

fn is_impossible(i: u32) -> bool {
  return logit_key(canonical(logits[i])) == 0u;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let image = group.y * groups.x + group.x;
  if (image >= parameters.images) {
    return;
  }
  let start = image * parameters.positions;
  var found = 0xffffffffu;
  for (var position = lane; position < parameters.positions && found == 0xffffffffu; position += LANES) {
    for (var bit = 0u; bit < parameters.bits; bit++) {
      let i = 2u * ((start + position) * parameters.bits + bit);
      if (is_impossible(i) && is_impossible(i + 1u)) {
        found = position;
        break;
      }
    }
  }
  first[lane] = found;
  workgroupBarrier();
  if (lane == 0u) {
    for (var i = 1u; i < LANES; i++) {
      found = min(found, first[i]);
    }
    missing[image] = found;
  }
}
