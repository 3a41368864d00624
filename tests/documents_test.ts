/**
 * The documents: every link within the project leads somewhere, every page of `docs/` can be found.
 * Examples in the pages are run by `deno test --doc`, notebooks by `tests/tools/notebooks/run_test.ts`.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import * as kernels from "../kernels/mod.ts";
import { readNotebook, sourceOf } from "../tools/notebooks/notebook.ts";
import { ROOT } from "./cli/run.ts";

/** Paths of all documents, from the project's folder on. */
async function documents(folder: string = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(ROOT + folder)) {
    if (name.startsWith(".") || name === "out" || name === "node_modules") continue;
    if (isDirectory) found.push(...await documents(`${folder}${name}/`));
    else if (/\.(md|ipynb)$/.test(name)) found.push(folder + name);
  }
  return found.sort();
}

/** The text of a document without its blocks of code, in which brackets and `#` mean something else. */
async function proseOf(path: string): Promise<string> {
  const text = path.endsWith(".ipynb")
    ? (await readNotebook(ROOT + path)).cells.filter(({ cell_type }) => cell_type === "markdown")
      .map(sourceOf).join("\n\n")
    : await Deno.readTextFile(ROOT + path);
  return text.replaceAll(/^```.*?^```$/gms, "");
}

/** Paths of all files below a folder, from that folder on. */
function filesBelow(folder: string): string[] {
  return Array.from(
    Deno.readDirSync(ROOT + folder),
    ({ name, isDirectory }) => isDirectory ? filesBelow(`${folder}/${name}`) : [`${folder}/${name}`],
  ).flat().sort();
}

/** Targets of the links of a document, those into the web left out. */
async function linksOf(path: string): Promise<string[]> {
  const links = (await proseOf(path)).matchAll(/\]\(([^)\s]+)\)/g);
  return Array.from(links, ([, target]) => target!).filter((target) => !/^https?:/.test(target));
}

/** The anchors that a page's headings have, as forges make them. */
async function anchorsOf(path: string): Promise<string[]> {
  const headings = (await proseOf(path)).matchAll(/^#+ (.+)$/gm);
  return Array.from(
    headings,
    ([, heading]) => heading!.toLowerCase().replaceAll(/[^\w\s-]/g, "").replaceAll(/\s/g, "-"),
  );
}

/** Where a link leads, from the project's folder on, and the anchor there. */
function resolve(from: string, link: string): { path: string; anchor: string } {
  const { pathname, hash } = new URL(link, `file:///${from}`);
  return { path: decodeURIComponent(pathname).slice(1), anchor: hash.slice(1) };
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(ROOT + path).then(() => true, () => false);
}

Deno.test("house: every link in a document leads to a file, and to a heading where it names one", async () => {
  const broken: string[] = [];
  for (const document of await documents()) {
    for (const link of await linksOf(document)) {
      const { path, anchor } = resolve(document, link);
      const leads = await isThere(path) && (anchor === "" || (await anchorsOf(path)).includes(anchor));
      if (!leads) broken.push(`${document}: ${link}`);
    }
  }
  assertEquals(broken, []);
});

Deno.test("house: every page of docs/ is linked from the README or from a page that is", async () => {
  const found = new Set(["README.md"]);
  for (const document of found) {
    if (!/\.(md|ipynb)$/.test(document) || !await isThere(document)) continue;
    for (const link of await linksOf(document)) found.add(resolve(document, link).path);
  }
  assertEquals(filesBelow("docs").filter((path) => !found.has(path)), []);
});

Deno.test("house: docs/kernels.md names every kernel of the kernels' door", async () => {
  const text = await Deno.readTextFile(`${ROOT}docs/kernels.md`);
  const names = Object.entries(kernels).flatMap(([name, value]) => {
    return typeof value === "object" && "plan" in value ? [name] : [];
  });
  assert(names.length > 30);
  assertEquals(names.filter((name) => !text.includes(`\`${name}\``)), []);
});
