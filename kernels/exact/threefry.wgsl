// threefry2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the
// 64-bit word with number `counter` of the stream `key`. No state, so any word of any stream is had in any
// order. Integers only, the same on every device. Stands in front of the kernels that draw. Expects nothing
// in front of it. Twin: threefry.ts.

const TOKEN_PURPOSE = 0u;
const PERMUTATION_PURPOSE = 1u;
const CHOICE_PURPOSE = 2u;
const NOISE_PURPOSE = 3u;

fn threefry_mix(x: vec2u, distance: u32) -> vec2u {
  let sum = x.x + x.y;
  return vec2u(sum, ((x.y << distance) | (x.y >> (32u - distance))) ^ sum);
}

fn threefry(key: vec2u, counter: vec2u) -> vec2u {
  let third = 0x1bd11bdau ^ key.x ^ key.y;
  var injected = key;
  var next = third;
  var x = counter + key;
  for (var group = 1u; group <= 5u; group++) {
    if ((group & 1u) == 1u) {
      x = threefry_mix(threefry_mix(threefry_mix(threefry_mix(x, 13u), 15u), 26u), 6u);
    } else {
      x = threefry_mix(threefry_mix(threefry_mix(threefry_mix(x, 17u), 29u), 16u), 24u);
    }
    // The three key words take turns, two at a time.
    let following = injected.x;
    injected = vec2u(injected.y, next);
    next = following;
    x += injected + vec2u(0u, group);
  }
  return x;
}

// The key of the stream that belongs to one image, scale and purpose.
fn stream_key(seed: vec2u, image: u32, scale: u32, purpose: u32) -> vec2u {
  return threefry(seed, vec2u(image, (scale << 8u) | purpose));
}
