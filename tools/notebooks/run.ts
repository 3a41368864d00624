/**
 * Checks the types of the notebooks of `docs/notebooks/`, which a kernel strips unread, runs them in Deno's
 * kernel, and stores what their cells show; with `--check` it stores nothing and says what would change.
 * `deno task notebooks [--check] [NAME…]`.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { differences, readNotebook, runNotebook, sourceOf, withOutputs } from "./notebook.ts";

/** The notebooks' folder. */
export const NOTEBOOKS: string = fileURLToPath(new URL("../../docs/notebooks/", import.meta.url));

/** Paths of all notebooks, sorted. */
export function notebookPaths(): string[] {
  return Array.from(Deno.readDirSync(NOTEBOOKS), ({ name }) => name)
    .filter((name) => name.endsWith(".ipynb")).sort().map((name) => NOTEBOOKS + name);
}

/**
 * Has the code of notebooks checked as one program each.
 *
 * @throws {Error} With what the compiler says.
 */
async function checkTypes(paths: readonly string[]): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "varscale-notebooks-" });
  try {
    const files = await Promise.all(paths.map(async (path, i) => {
      const { cells } = await readNotebook(path);
      const code = cells.filter(({ cell_type }) => cell_type === "code").map(sourceOf).join("\n");
      const file = `${folder}/${i}.ts`;
      const root = new URL("../../", import.meta.url);
      await Deno.writeTextFile(file, code.replaceAll(`from "../../`, `from "${root}`));
      return file;
    }));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--config", fileURLToPath(new URL("../../deno.json", import.meta.url)), ...files],
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(`The types are wrong\n${new TextDecoder().decode(stderr)}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const check = Deno.args.includes("--check");
  const names = Deno.args.filter((argument) => argument !== "--check");
  const paths = names.length === 0 ? notebookPaths() : names.map((name) => `${NOTEBOOKS}${name}.ipynb`);
  await checkTypes(paths);
  let changed = false;
  for (const path of paths) {
    const notebook = await readNotebook(path);
    const run = await runNotebook(path);
    const changes = differences(notebook, run);
    changed ||= changes.length > 0;
    if (!check) await Deno.writeTextFile(path, withOutputs(notebook, run));
    console.log(`${path}: ${run.length} cells run, ${changes.length} changes`);
    for (const change of changes) console.log(`  ${change}`);
  }
  if (check && changed) Deno.exitCode = 1;
}
