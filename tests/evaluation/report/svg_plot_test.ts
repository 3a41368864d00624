import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SvgPlot } from "../../../evaluation/report/svg_plot.ts";
import { deno } from "../../deno_process.ts";

/** What a notebook is given. */
function shownOf(plot: SvgPlot): Record<string, string> {
  return (Reflect.get(plot, Symbol.for("Jupyter.display")) as () => Record<string, string>).call(plot);
}

Deno.test("SvgPlot: a notebook gets the text, and a file the same in UTF-8", () => {
  const plot = new SvgPlot("<svg>α</svg>", "Own");
  assertEquals(shownOf(plot), { "image/svg+xml": "<svg>α</svg>", "text/plain": "Own" });
  assertEquals(plot.bytes(), new TextEncoder().encode("<svg>α</svg>"));
});

Deno.test("SvgPlot: one beyond 8 MiB is a file with a link", async () => {
  const folder = await Deno.makeTempDir({ prefix: "varscale-plot-" });
  try {
    const code = `
      import { SvgPlot } from ${
      JSON.stringify(import.meta.resolve("../../../evaluation/report/svg_plot.ts"))
    };
      const plot = new SvgPlot("<svg>" + "x".repeat(2 ** 23) + "</svg>", "Large <plot>");
      console.log(JSON.stringify(plot[Symbol.for("Jupyter.display")]()));
    `;
    const { out, err } = await deno(["eval", code], {}, folder);
    assertEquals(err, "");
    const shown = JSON.parse(out);
    assertEquals(Object.keys(shown), ["text/html", "text/plain"]);
    const [, path] = /<a href="(varscale_outputs\/[0-9a-f]{16}\.svg)">/.exec(shown["text/html"])!;
    assertStringIncludes(shown["text/html"], "Large &lt;plot&gt;, too large for a notebook");
    assert(await Deno.readTextFile(`${folder}/${path}`) === `<svg>${"x".repeat(2 ** 23)}</svg>`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
