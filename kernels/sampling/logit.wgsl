// What the kernels that read logits agree on: which values count, how guidance combines two of them, and
// their order as integers. Works on the bits of f32, so that infinities, NaN and subnormal values mean the
// same on every device. Stands in front of the kernels that read logits. Expects exact.wgsl in front of it.
// Twin: logit.ts.

const NAN_BITS = 0x7fc00000u;
const INFINITE_BITS = 0x7f800000u;
// 2^-64 and 2^90: with finite values between them no guided value or difference leaves the normal range.
const LEAST_BITS = 0x1f800000u;
const LARGEST_BITS = 0x6c800000u;
// Key of +infinity, the largest there is.
const INFINITE_KEY = 0xff800000u;

// One NaN, one zero; below 2^-64 in size is zero, beyond 2^90 is 2^90; infinities stay.
fn canonical(bits: u32) -> u32 {
  let size = bits & 0x7fffffffu;
  let bounded = select(min(size, LARGEST_BITS), INFINITE_BITS, size >= INFINITE_BITS) | (bits & 0x80000000u);
  return select(select(bounded, 0u, size < LEAST_BITS), NAN_BITS, size > INFINITE_BITS);
}

// conditional + weight * (conditional - unconditional); just the conditional value if either is not finite.
fn guide(conditional_bits: u32, unconditional_bits: u32, weight: f32) -> u32 {
  let conditional = canonical(conditional_bits);
  let unconditional = canonical(unconditional_bits);
  let value = bitcast<f32>(conditional);
  let guided = canonical(bitcast<u32>(value + product(value - bitcast<f32>(unconditional), weight)));
  return select(guided, conditional, max(conditional & 0x7fffffffu, unconditional & 0x7fffffffu) >= INFINITE_BITS);
}

// An integer in the order of the values; 0 for what can never be drawn: NaN and -infinity. Takes canonical
// bits.
fn logit_key(bits: u32) -> u32 {
  if (bits == NAN_BITS || bits == 0xff800000u) {
    return 0u;
  }
  return bits ^ select(0x80000000u, 0xffffffffu, (bits >> 31u) == 1u);
}

// The bits of the value of a key other than 0.
fn key_bits(key: u32) -> u32 {
  return key ^ select(0xffffffffu, 0x80000000u, (key >> 31u) == 1u);
}

// The value of a key other than 0 and INFINITE_KEY.
fn key_logit(key: u32) -> f32 {
  return bitcast<f32>(key_bits(key));
}

// Whether a token survives a truncation: a key of at least the threshold, and at the threshold an index up to
// the last one.
fn is_kept(key: u32, token: u32, threshold: u32, last: u32) -> bool {
  return key > threshold || (key == threshold && token <= last);
}
