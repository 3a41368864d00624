/**
 * Infinity against numbers recorded from the released code: the whole way from checkpoints to logits, bits
 * and what they add up to, for square and other maps, for patches, and with guidance after a block.
 *
 * @module
 */

import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { loadModel } from "../../../models/load.ts";
import type { Generation, Model } from "../../../models/model.ts";
import type { Schedule } from "../../../models/schedule.ts";
import { testOnDevices } from "../../devices.ts";
import {
  hashedCheckpoints,
  hashedFeatures,
  RECORDED_PROMPT,
  TRANSFORMER_CASES,
  type TransformerCase,
} from "./hashed_model.ts";

/** Logits of up to 20 in size, after guidance of 3 and a division by 0.7. */
const LOGIT_TOLERANCE = 2e-4;

interface Summary {
  readonly n: number;
  readonly sum: number;
  readonly abssum: number;
  readonly first: readonly number[];
  readonly last: readonly number[];
}

/**
 * Compares with a summary. Errors of values that have nothing to do with each other add up as the root of
 * their number.
 */
function assertSummary(
  found: Float32Array,
  wanted: Summary,
  tolerance: number,
  ofSums: number = tolerance * Math.sqrt(wanted.n) + 1e-4,
): void {
  assertEquals(found.length, wanted.n);
  wanted.first.forEach((value, i) => assertAlmostEquals(found[i]!, value, tolerance));
  wanted.last.forEach((value, i) => {
    assertAlmostEquals(found[found.length - wanted.last.length + i]!, value, tolerance);
  });
  const sum = found.reduce((total, value) => total + value, 0);
  const absolute = found.reduce((total, value) => total + Math.abs(value), 0);
  assertAlmostEquals(sum, wanted.sum, ofSums);
  assertAlmostEquals(absolute, wanted.abssum, ofSums);
}

/** Words of a map whose bits are the likelier values, and the smallest difference that decided one. */
function likelier(
  logits: Float32Array,
  bits: number,
): { words: Uint32Array<ArrayBuffer>; hex: string; margin: number } {
  const count = logits.length / 2 / bits;
  const perToken = Math.ceil(bits / 32);
  const words = new Uint32Array(count * perToken);
  const bytes = new Uint8Array(Math.ceil(count * bits / 8));
  let margin = Infinity;
  for (let i = 0; i < count * bits; i++) {
    const difference = logits[2 * i + 1]! - logits[2 * i]!;
    margin = Math.min(margin, Math.abs(difference));
    if (difference <= 0) continue;
    const [token, bit] = [Math.floor(i / bits), i % bits];
    words[token * perToken + (bit >> 5)]! |= 1 << (bit & 31);
    bytes[i >> 3]! |= 128 >> (i & 7);
  }
  return { words, hex: bytes.toHex(), margin };
}

/** Logits of a scale after guidance and temperature. */
async function guidedLogits(
  generation: Generation,
  { config: { cfg, tau } }: TransformerCase,
): Promise<Float32Array> {
  using logits = await generation.logits();
  const values = await readFloats(logits);
  if (!generation.guided) return values.map((value) => value / tau);
  const half = values.length / 2;
  return values.slice(0, half).map((value, i) => (cfg * value + (1 - cfg) * values[half + i]!) / tau);
}

function scheduleOf(model: Model, { config }: TransformerCase): Schedule {
  const { cfg, tau, pn, h_div_w, cfg_insertion_layer } = config;
  return model.schedule({
    cfg,
    temperature: tau,
    familyOptions: { pn, aspect: `${h_div_w}`, cfgInsertionLayer: `${cfg_insertion_layer}` },
  });
}

async function loadHashed(recorded: TransformerCase, device: Device): Promise<Model> {
  return await loadModel(await hashedCheckpoints(recorded), { device });
}

for (const recorded of TRANSFORMER_CASES) {
  testOnDevices(
    `Generation: ${recorded.tag} gives the released code's logits and bits`,
    async (device) => {
      await using model = await loadHashed(recorded, device);
      const schedule = scheduleOf(model, recorded);
      assertEquals(schedule.scales.map(({ height, width }) => [height, width]), recorded.schedule);
      using generation = await model.start({
        labels: [model.resolveLabel(RECORDED_PROMPT)],
        guided: recorded.config.cfg_insertion_layer === 0,
        schedule,
        textFeatures: hashedFeatures(recorded),
      });
      const bits = model.tokens.logits / 2;
      for (const scale of recorded.scales) {
        const logits = await guidedLogits(generation, recorded);
        assertSummary(logits, scale.logits, LOGIT_TOLERANCE);
        const { words, hex, margin } = likelier(logits, bits);
        assertAlmostEquals(margin, scale.min_margin, LOGIT_TOLERANCE);
        assert(margin > 0, "a bit is decided by nothing");
        assertEquals(hex, scale.bits_hex);
        using tokens = device.upload(words);
        generation.accept(tokens);
      }
      // Seven sums of numbers below 4, each rounded on the way: up to 1e-6 each, and in the same direction.
      const sums = await readFloats(generation.accumulated!);
      assertSummary(sums, recorded.summed_codes, 2e-6, 1e-6 * sums.length);
    },
  );
}
