/**
 * The kernels of VAR-Scaling one after the other, against what the published implementation chose; see the
 * fixture's README.
 *
 * Its sort is not stable and its order by score was not recorded, so among equal scores that order is
 * anyone's guess. In these set-ups the lower index first leads to the recorded probabilities all the same;
 * which of the candidates that tie for the highest came first cannot be known, so any of them may be the
 * recorded one.
 *
 * @module
 */

import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { testOnDevices } from "../../devices.ts";
import { densities, type Pool, selection, vectorOf } from "../../var_scaling.ts";

/** Relative tolerance of a score: the published distances come from the matmul expansion in float32. */
const TOLERANCE = 1e-4;

interface Setup {
  pool: Pool;
  options: { alpha: number; representatives: number; conflictThreshold: number };
  low: boolean[];
  scores: Float32Array;
  /** Per image, the recorded search order of the low-density branch. */
  orders: (Float32Array | undefined)[];
  probabilities: Float32Array[];
  /** Per image, channel after channel. */
  chosen: Float32Array[];
}

async function setups(): Promise<Setup[]> {
  using file = await openCheckpoint(
    new URL("../../fixtures/var-scaling/expected.safetensors", import.meta.url),
  );
  const all: Setup[] = [];
  for (const [c, text] of Object.entries(file.metadata)) {
    const facts = Object.fromEntries(
      String(text).split(";").map((fact) => fact.split("=") as [string, string]),
    );
    const [draws, images, positions] = file.tensors.get(`${c}.candidates`)!.shape as [number, number, number];
    const [vocabulary, channels] = file.tensors.get(`${c}.codebook`)!.shape as [number, number];
    const drawMajor = await file.readFloat32(`${c}.candidates`);
    const tokens = new Uint32Array(drawMajor.length);
    for (let i = 0; i < tokens.length; i++) {
      const [image, draw] = [Math.floor(i / positions / draws), Math.floor(i / positions) % draws];
      tokens[i] = drawMajor[(draw * images + image) * positions + i % positions]!;
    }
    const codebook = await file.readFloat32(`${c}.codebook`);
    const chosen = await file.readFloat32(`${c}.chosen_embedding`);
    const size = chosen.length / images;
    const each = Array.from({ length: images }, (_, image) => image);
    all.push({
      pool: { images, draws, positions, vocabulary, channels, tokens, codebook },
      options: {
        alpha: Number(facts.alpha),
        representatives: Number(facts.representatives),
        conflictThreshold: Number(facts.conflict_threshold),
      },
      low: [...facts.low_density!.matchAll(/True|False/g)].map(([word]) => word === "True"),
      scores: await file.readFloat32(`${c}.scores`),
      orders: await Promise.all(each.map(async (image) => {
        const name = `${c}.${image}.search_order`;
        return file.tensors.has(name) ? await file.readFloat32(name) : undefined;
      })),
      probabilities: await Promise.all(each.map((image) => file.readFloat32(`${c}.${image}.probs`))),
      chosen: each.map((image) => chosen.subarray(image * size, (image + 1) * size)),
    });
  }
  assertEquals(all.length, 6);
  return all;
}

const recorded = await setups();

/** A map of code vectors, channel after channel. */
function planes(pool: Pool, image: number, draw: number): number[] {
  const rows = Array.from({ length: pool.positions }, (_, position) => vectorOf(pool, image, draw, position));
  return rows[0]!.flatMap((_, channel) => rows.map((row) => row[channel]!));
}

testOnDevices("published: scores are the published ones", async (device) => {
  for (const { pool, scores } of recorded) {
    const found = await densities(device, pool, { batchBandwidth: true });
    for (const [i, score] of found.scores.entries()) {
      assertAlmostEquals(score, scores[i]!, TOLERANCE * scores[i]!);
    }
  }
});

testOnDevices(
  "published: branch, representatives, their probabilities and the best of them are the published ones",
  async (device) => {
    for (const [c, { pool, options, low, orders, probabilities, chosen }] of recorded.entries()) {
      const { scores } = await densities(device, pool, { batchBandwidth: true });
      const own = await selection(device, pool, scores, options);
      assertEquals(own.decisions.map((decision) => decision.low), low);
      // The published permutation where there is one, else the candidates by score.
      const order = orders.flatMap((recordedOrder, image) => [
        ...(recordedOrder ?? own.order.subarray(image * pool.draws, (image + 1) * pool.draws)),
      ]);
      const { decisions } = await selection(device, pool, scores, { ...options, order });
      for (const [image, { kept }] of decisions.entries()) {
        const wanted = probabilities[image]!;
        assertEquals(kept.length, wanted.length, `set-up ${c}, image ${image}`);
        for (const [i, { probability }] of kept.entries()) {
          assertAlmostEquals(probability, wanted[i]!, TOLERANCE, `set-up ${c}, image ${image}`);
        }
        // The one with the highest probability, in a tie the first accepted; without a recorded order, any of
        // those in the tie.
        const most = Math.max(...wanted);
        const best = kept.filter((_, i) => wanted[i]! > most - TOLERANCE * most);
        const allowed = orders[image] ? [kept[wanted.indexOf(most)]!] : best;
        const maps = allowed.map(({ candidate }) => planes(pool, image, candidate));
        assert(
          maps.some((map) => map.every((x, i) => x === chosen[image]![i])),
          `set-up ${c}, image ${image}: ${JSON.stringify(kept)}`,
        );
      }
    }
  },
);
