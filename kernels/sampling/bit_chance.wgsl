// Which value of a bit is likelier, and how the other one weighs beside it: what `sample_bits.wgsl` draws by
// and densities are expected by. Stands in front of kernels that read the logits of bits. Expects exact.wgsl
// and logit.wgsl in front of it. Twin: bit_chance.ts.

// The likelier value in the highest bit, the weight of the other one below, in units of 2^-30 of the
// likelier's. Takes the keys of both; `sharpness` is log2(e) / temperature, or 0 for the likelier value in
// any case, and `certain` the bits of the difference from which on it is certain.
fn bit_chance(zero: u32, one: u32, sharpness: f32, certain: u32) -> u32 {
  let likelier = select(0u, 0x80000000u, one > zero);
  let more = max(zero, one);
  let less = min(zero, one);
  // Two infinities have no difference.
  let difference = select(key_logit(more) - key_logit(less), 0.0, more == less);
  let is_certain = sharpness == 0.0 || less == 0u || (more == INFINITE_KEY && less != INFINITE_KEY)
    || bitcast<u32>(difference) >= certain;
  return likelier | select(exp2_negative(difference * sharpness), 0u, is_certain);
}
