import { assertEquals, assertThrows } from "@std/assert";
import { MersenneTwister } from "../../../sampler/methods/mersenne.ts";
import golden from "../../fixtures/golden/tts-var/expected.json" with { type: "json" };

Deno.test("MersenneTwister: doubles are those of numpy's RandomState(0)", () => {
  const random = new MersenneTwister(0);
  const wanted = golden.mt19937_seed0_doubles;
  assertEquals(wanted.map(() => random.double()), wanted);
});

Deno.test("MersenneTwister: the ten thousandth word of seed 5489 is that of the C++ standard", () => {
  const random = new MersenneTwister(5489);
  for (let i = 1; i < 10_000; i++) random.word();
  assertEquals(random.word(), 4123659995);
});

Deno.test("MersenneTwister: words stay unsigned, whatever the seed", () => {
  // numpy.random.RandomState(seed).randint(0, 2**32, 3, dtype=numpy.uint32)
  const wanted = new Map([
    [0xffffffff, [419326371, 479346978, 3918654476]],
    [42, [1608637542, 3421126067, 4083286876]],
  ]);
  for (const [seed, words] of wanted) {
    const random = new MersenneTwister(seed);
    assertEquals(words.map(() => random.word()), words);
  }
});

Deno.test("MersenneTwister: a seed that numpy refuses is refused", () => {
  for (const seed of [-1, 2 ** 32, 0.5]) {
    const message =
      `Cannot begin a random stream as seed must be an integer from 0 to 4294967295: current value is ${seed}`;
    assertThrows(() => new MersenneTwister(seed), RangeError, message);
  }
});
