import { assertEquals, assertThrows } from "@std/assert";
import { hooksOf, partsOf, settingsOf, SWEEP_METHODS, titleOf } from "../../../evaluation/sweep/methods.ts";
import { ownEvidence, ttsSchedule } from "../../../sampler/mod.ts";

Deno.test("hooksOf: settings reach the part that they belong to", () => {
  const told = (method: string, settings: Record<string, unknown>) =>
    hooksOf(method, settings, { scales: 6, verifier: ownEvidence() }).map(({ name, settings }) => ({
      name,
      ...settings,
    }));
  assertEquals(told("plain", { cfg: 2 }), []);
  const [scaled, best] = told("var-scaling+best-of-n", { candidates: 20, alpha: 1.5, samples: 3 });
  assertEquals([scaled!.name, Reflect.get(scaled!, "samples"), Reflect.get(scaled!, "alpha")], [
    "var-scaling",
    20,
    1.5,
  ]);
  assertEquals(best, { name: "best-of-n", samples: 3, verifier: "evidence", keep: 1 });
  const [beam] = told("beam", { samples: 6, width: 3, scales: [2] });
  assertEquals([Reflect.get(beam!, "beams"), Reflect.get(beam!, "scales")], [2, [2]]);
});

Deno.test("hooksOf: TTS-VAR's lanes in the proportions of its preset", () => {
  const [whole] = hooksOf("tts-var", { samples: 8 }, { scales: 6 });
  assertEquals([whole!.lanes, whole!.settings!.sizes], [8, ttsSchedule(6).sizes]);
  const [large] = hooksOf("tts-var", { samples: 16 }, { scales: 6 });
  assertEquals(large!.settings!.sizes, ttsSchedule(6, { multiple: 2 }).sizes);
  assertThrows(() => hooksOf("tts-var", { samples: 1 }, { scales: 6 }), RangeError, "from 2 to 256");
});

Deno.test("settingsOf: no method has a setting twice, and parts are told apart", () => {
  for (const method of SWEEP_METHODS) {
    const names = settingsOf(method);
    assertEquals(new Set(names).size, names.length, method);
  }
  const both = settingsOf("var-scaling+tts-var");
  const told = ["samples", "candidates", "features", "densityFeatures", "preset", "scalingPreset"];
  assertEquals(told.filter((name) => !both.includes(name)), []);
  assertEquals(settingsOf("var-scaling").includes("candidates"), false);
  assertEquals(partsOf("var-scaling+beam"), { scaled: true, search: "beam" });
});

Deno.test("titleOf: symbols of the papers, and values as they are", () => {
  assertEquals(titleOf("plain", {}), "plain");
  assertEquals(
    titleOf("var-scaling+tts-var", { candidates: 20, samples: 8, resampleScales: [3], draw: "best" }),
    "VAR-Scaling + TTS-VAR, candidates = 20, N = 8, resampleScales = [3], draw = best",
  );
});
