/**
 * The notebooks of the documentation, run from top to bottom in Deno's kernel: what they claim holds, and
 * what is stored in them is what they show now.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { RgbaImage } from "../../../mod.ts";
import {
  differences,
  MAX_OUTPUT_BYTES,
  readNotebook,
  runNotebook,
  sourceOf,
} from "../../../tools/notebooks/notebook.ts";
import { notebookPaths, NOTEBOOKS } from "../../../tools/notebooks/run.ts";
import { parseXml } from "../../evaluation/report/xml.ts";

/** A text of an output, in one piece. */
function textIn(value: unknown): string {
  return Array.isArray(value) ? value.join("") : String(value);
}

for (const path of notebookPaths()) {
  const name = path.slice(NOTEBOOKS.length);
  Deno.test(`runNotebook: ${name} shows what is stored in it, live and small`, async () => {
    const notebook = await readNotebook(path);
    const run = await runNotebook(path);
    assertEquals(differences(notebook, run), []);
    assertEquals(run.length, notebook.cells.filter(({ cell_type }) => cell_type === "code").length);
    let [pictures, plots] = [0, 0];
    for (const { place, outputs, updates, largest } of run) {
      assert(largest < MAX_OUTPUT_BYTES, `cell ${place}: ${largest} bytes`);
      const source = sourceOf(notebook.cells[place]!);
      // What is announced as live is drawn more than once.
      assertEquals(
        /longCell\(|generateLive\(/.test(source),
        updates > 0,
        `cell ${place}: ${updates} updates`,
      );
      for (const { data = {} } of outputs as readonly { readonly data?: Record<string, unknown> }[]) {
        if ("image/png" in data) {
          const { width, height } = RgbaImage.decode(Uint8Array.fromBase64(textIn(data["image/png"])));
          assert(width >= 64 && height >= 64);
          pictures++;
        }
        if ("image/svg+xml" in data) {
          assertEquals(parseXml(textIn(data["image/svg+xml"])).name, "svg");
          plots++;
        }
      }
    }
    assert(name === "densities.ipynb" ? plots >= 2 : pictures >= 3, `${pictures} pictures, ${plots} plots`);
    // The forges that show notebooks do so up to about a megabyte.
    assert((await Deno.stat(path)).size < 2 ** 20);
    // Whoever runs a cell that takes its time is told how to stop it.
    const words = notebook.cells.filter(({ cell_type }) => cell_type === "markdown").map(sourceOf).join("\n");
    assert(/\*\*[^*]*interrupt button[^*]*\*\*/.test(words), "nothing is said of the interrupt button");
  });
}
