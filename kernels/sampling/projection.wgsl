// What the sums of a projection and those who use them agree on: how many values a sum is of, in which order,
// and which sizes count. Expects nothing in front of it. Twin: projection_sums.ts.

const THREADS = 256u;
// Values of a sum.
const CHUNK = 4096u;

var<workgroup> parts: array<vec3f, THREADS>;

// A finite value as it counts in sums: below 2^-40 in size it is 0, beyond 2^38 it is 2^38, so that neither
// squares nor sums of 2^24 of them leave the normal range.
fn held(x: f32) -> f32 {
  return select(clamp(x, -0x1p38f, 0x1p38f), 0.0, abs(x) < 0x1p-40f);
}

// The sum of what all threads bring, for all of them: neighbours at half the distance first to last.
fn sum_of_threads(part: vec3f, local: u32) -> vec3f {
  parts[local] = part;
  for (var reach = THREADS / 2u; reach > 0u; reach /= 2u) {
    workgroupBarrier();
    if (local < reach) {
      parts[local] += parts[local + reach];
    }
  }
  workgroupBarrier();
  return parts[0];
}
