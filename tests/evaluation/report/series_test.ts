/**
 * Which rows make a line.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { SweepRow } from "../../../evaluation/mod.ts";
import { linesOf, methodTitle, settingText } from "../../../evaluation/report/series.ts";

function row(method: string, settings: SweepRow["settings"]): SweepRow {
  return {
    id: `${method} ${JSON.stringify(settings)}`,
    model: "d16",
    method,
    title: method,
    settings,
    seeds: [0],
    pictures: 1,
    planned: 1,
    metrics: {},
    examples: [],
  };
}

/** Lines as texts: the setting, and of each line its title and its values. */
function shown(rows: readonly SweepRow[]): unknown {
  return linesOf(rows).map(({ setting, series }) => ({
    [setting]: Object.fromEntries(
      series.map(({ title, rows }) => [title, rows.map(({ settings }) => settings[setting])]),
    ),
  }));
}

Deno.test("linesOf: alpha that follows from N leaves one line along N", () => {
  const rows = [[50, 2.4], [20, 2.3], [100, 2.5]].map(([samples, alpha]) =>
    row("var-scaling", { cfg: 1.5, alpha, samples })
  );
  assertEquals(shown(rows), [{ samples: { "VAR-Scaling": [20, 50, 100] } }]);
});

Deno.test("linesOf: a grid of two settings has lines along both", () => {
  const rows = [20, 50].flatMap((samples) =>
    [1.1, 1.3, 1.5].map((alpha) => row("var-scaling", { samples, alpha }))
  );
  assertEquals(shown(rows), [
    {
      samples: {
        "alpha 1.1": [20, 50],
        "alpha 1.3": [20, 50],
        "alpha 1.5": [20, 50],
      },
    },
    { alpha: { "samples 20": [1.1, 1.3, 1.5], "samples 50": [1.1, 1.3, 1.5] } },
  ]);
});

Deno.test("linesOf: the published table of scales is a line for each scale, with N's own alphas", () => {
  // Table 2 of VAR-Scaling, its first rows: scale, N, alpha.
  const rows = [
    [0, 20, 2.3],
    [0, 50, 2.4],
    [0, 100, 2.5],
    [2, 20, 1.7],
    [2, 50, 1.7],
    [2, 100, 1.8],
  ].map(([scale, samples, alpha]) => row("var-scaling", { scale, samples, alpha }));
  assertEquals(shown(rows), [
    { samples: { "scale 0": [20, 50, 100], "scale 2": [20, 50, 100] } },
    {
      scale: {
        "samples 20": [0, 2],
        "samples 50": [0, 2],
        "samples 100": [0, 2],
      },
    },
  ]);
});

Deno.test("linesOf: a method with one setting is a point beside the lines of others", () => {
  const rows = [
    row("plain", { cfg: 1.5 }),
    row("best-of-n", { samples: 2 }),
    row("best-of-n", { samples: 4 }),
    row("var-scaling+best-of-n", { samples: 4 }),
  ];
  assertEquals(shown(rows), [{ samples: { "Best-of-N": [2, 4], "VAR-Scaling + Best-of-N": [4] } }]);
  assertEquals(shown(rows.slice(0, 2)), []);
});

Deno.test("linesOf: settings that are no numbers part lines and are no axis", () => {
  const rows = ["own", "evidence"].flatMap((verifier) =>
    [2, 4].map((samples) => row("best-of-n", { samples, verifier }))
  );
  assertEquals(shown(rows), [
    { samples: { "verifier own": [2, 4], "verifier evidence": [2, 4] } },
  ]);
});

Deno.test("linesOf: where there are several methods, a line has the name of its own", () => {
  const rows = ["own", "evidence"].flatMap((verifier) =>
    [2, 4].map((samples) => row("best-of-n", { samples, verifier }))
  );
  assertEquals(shown([...rows, row("var-scaling", { samples: 4 })]), [{
    samples: {
      "Best-of-N, verifier own": [2, 4],
      "Best-of-N, verifier evidence": [2, 4],
      "VAR-Scaling": [4],
    },
  }]);
});

Deno.test("methodTitle: known parts have their names, others keep theirs", () => {
  assertEquals(methodTitle("var-scaling+tts-var"), "VAR-Scaling + TTS-VAR");
  assertEquals(methodTitle("my-method"), "my-method");
});

Deno.test("settingText: values of any kind", () => {
  assertEquals(settingText("sizes", [4, 2]), "sizes [4,2]");
  assertEquals(settingText("scale", undefined), "scale by default");
});
