/**
 * Candidates as they are watched: the hook chooses what it would have chosen, and the densities are those
 * that the analysis of candidates finds by a hook of its own.
 */

import { assertAlmostEquals, assertEquals } from "@std/assert";
import { CandidateWatch } from "../../../cli/hosting/candidate_watch.ts";
import { candidatesOf } from "../../../evaluation/analyses/candidate_densities.ts";
import { bestOfN, generate, loadModel, varScaling } from "../../../mod.ts";
import { testOnDevices } from "../../devices.ts";

testOnDevices("CandidateWatch: tells what there was to choose from, and changes nothing", async (device) => {
  await using model = await loadModel("demo", { device });
  const request = { labels: ["red torus", "blue cone"], indices: [3, 3], seed: 9 };
  const hook = varScaling({ samples: 12, scale: [1, 2] });
  const plain = await generate(model, { ...request, hooks: [hook] });
  const watch = new CandidateWatch();
  const watched = await generate(model, { ...request, hooks: [watch.watching(hook)] });
  assertEquals(watched.images.map(({ tokens }) => tokens), plain.images.map(({ tokens }) => tokens));
  const events = watch.take();
  assertEquals(watch.take(), []);
  assertEquals(events.map(({ place, index, scale }) => [place, index, scale]), [
    [0, 3, 1],
    [1, 3, 1],
    [0, 3, 2],
    [1, 3, 2],
  ]);
  for (const { place, scale, decision, kept, chosen, threshold, points } of events) {
    const said = plain.images[place]!.decisions.find((decision) => decision.scale === scale)!.value;
    assertEquals(decision, said);
    assertEquals([...kept], decision.kept.map(({ candidate }) => candidate));
    assertEquals(chosen, decision.chosen);
    assertEquals(decision.low, decision.max < threshold);
    assertEquals(points.length, 2 * 12);
  }
  const found = await candidatesOf(model, { ...request, scale: 1, samples: [12] });
  for (const [place, [candidates]] of found.entries()) {
    const { densities, points } = events[place]!;
    assertEquals(densities, candidates!.densities);
    // Around their centre; and equal maps, which have equal densities, lie on one point.
    const sum = [0, 1].map((axis) => points.filter((_, i) => i % 2 === axis).reduce((a, b) => a + b, 0));
    for (const total of sum) assertAlmostEquals(total, 0, 1e-3);
  }
});

Deno.test("CandidateWatch: leaves other hooks as they are", () => {
  const hook = bestOfN({ samples: 2 });
  assertEquals(new CandidateWatch().watching(hook), hook);
});
