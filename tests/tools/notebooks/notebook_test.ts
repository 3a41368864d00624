import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  differences,
  type Notebook,
  readNotebook,
  type RunCell,
  runNotebook,
  sourceOf,
  withOutputs,
} from "../../../tools/notebooks/notebook.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";

function notebookOf(...sources: string[]): Notebook {
  const cells = sources.map((source, i) => ({
    ...{ cell_type: "code", id: `c${i}`, metadata: {}, source: source.split(/(?<=\n)/) },
    ...{ execution_count: null, outputs: [] },
  }));
  return { cells, metadata: {}, nbformat: 4, nbformat_minor: 5 };
}

/** A result in a cell's outputs. */
function result(data: Record<string, unknown>) {
  return { output_type: "execute_result", execution_count: 1, data, metadata: {} };
}

function runOf(...outputs: RunCell["outputs"]): RunCell[] {
  return [{ place: 0, count: 1, outputs, updates: 0, largest: 0 }];
}

function stored(run: RunCell[]): Notebook {
  return JSON.parse(withOutputs(notebookOf("1"), run));
}

function png(...values: number[]): string {
  const data = new Uint8Array(values.flatMap((value) => [value, value, value, 255]));
  return new RgbaImage(values.length, 1, data).png().toBase64();
}

Deno.test("runNotebook: runs cells in the notebook's folder, and the file keeps what they show", async () => {
  const folder = await Deno.makeTempDir({ prefix: "varscale-notebook-" });
  try {
    await Deno.writeTextFile(`${folder}/beside.ts`, "export const words: string = 'two\\nlines';");
    const path = `${folder}/own.ipynb`;
    const notebook = notebookOf(
      `import { words } from "./beside.ts";\nconsole.log(words);`,
      `({ [Symbol.for("Jupyter.display")]: () => ({ "image/svg+xml": "<svg>\\n</svg>", "image/png": "AA==" }) })`,
    );
    await Deno.writeTextFile(path, JSON.stringify(notebook));
    const run = await runNotebook(path);
    assertEquals(run.map(({ place, count, outputs }) => [place, count, outputs]), [
      [0, 1, [{ output_type: "stream", name: "stdout", text: ["two\n", "lines\n"] }]],
      [1, 2, [{
        ...result({ "image/svg+xml": ["<svg>\n", "</svg>"], "image/png": "AA==" }),
        execution_count: 2,
      }]],
    ]);
    const text = withOutputs(notebook, run);
    await Deno.writeTextFile(path, text);
    const again = await readNotebook(path);
    assertEquals(differences(again, run), []);
    assertEquals(withOutputs(again, run), text);
    assertEquals(sourceOf(again.cells[0]!), sourceOf(notebook.cells[0]!));
    await Deno.writeTextFile(
      path,
      JSON.stringify(notebookOf("1", "const two = 2;\nthrow new RangeError('no')")),
    );
    const failed = await assertRejects(() => runNotebook(path), Error, "Cell 1 of ");
    assertStringIncludes(failed.message, "RangeError: no");
    assertStringIncludes(failed.message, "const two = 2;");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("readNotebook: another format is refused", async () => {
  const file = await Deno.makeTempFile({ suffix: ".ipynb" });
  await Deno.writeTextFile(file, JSON.stringify({ nbformat: 3, worksheets: [] }));
  await assertRejects(() => readNotebook(file), TypeError, "nbformat 4");
  await Deno.remove(file);
});

Deno.test("differences: what is not shown any more, or otherwise, is named", () => {
  const text = runOf(result({ "text/plain": "1" }));
  assertEquals(differences(stored(text), text), []);
  const cases: [before: RunCell[], now: RunCell[], words: string][] = [
    [runOf(), text, "0 outputs are stored, and a run makes 1"],
    [text, runOf(result({ "text/plain": "2" })), "text/plain is now: 2"],
    [text, runOf(result({ "text/plain": "1", "text/html": "1" })), "execute_result text/html text/plain"],
    [text, runOf({ output_type: "stream", name: "stdout", text: ["1"] }), "a run makes stream"],
    [text, [{ ...text[0]!, count: 2 }], "its number is 1, and a run gives it 2"],
    [
      runOf({ output_type: "stream", name: "stdout", text: ["1"] }),
      runOf({ output_type: "stream", name: "stdout", text: ["2"] }),
      '"2" is written now',
    ],
    [
      runOf(result({ "image/png": png(0, 10) })),
      runOf(result({ "image/png": png(0, 13) })),
      "channels of the picture differ by up to 3 of 255",
    ],
    [
      runOf(result({ "image/png": png(0, 10) })),
      runOf(result({ "image/png": png(0) })),
      "the picture was 2×1 and is 1×1",
    ],
  ];
  for (const [before, now, words] of cases) {
    const [first, ...others] = differences(stored(before), now);
    assertStringIncludes(first!, words);
    assertEquals(others, []);
  }
  const [before, now] = [png(0, 10), png(2, 8)];
  assert(before !== now);
  assertEquals(
    differences(stored(runOf(result({ "image/png": before }))), runOf(result({ "image/png": now }))),
    [],
  );
});
