/**
 * The documents: every link within the project leads somewhere, every page of `docs/` can be found, and the
 * notebook's cells run. Examples in the pages are run by `deno test --doc`.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { filesIn, ROOT } from "./cli/run.ts";

/** Paths of all documents, from the project's folder on. */
async function documents(folder: string = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(ROOT + folder)) {
    if (name.startsWith(".") || name === "out" || name === "node_modules") continue;
    if (isDirectory) found.push(...await documents(`${folder}${name}/`));
    else if (name.endsWith(".md")) found.push(folder + name);
  }
  return found.sort();
}

/** The text of a document without its blocks of code, in which brackets and `#` mean something else. */
async function proseOf(path: string): Promise<string> {
  return (await Deno.readTextFile(ROOT + path)).replaceAll(/^```.*?^```$/gms, "");
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
    if (!document.endsWith(".md") || !await isThere(document)) continue;
    for (const link of await linksOf(document)) found.add(resolve(document, link).path);
  }
  assertEquals(filesIn(`${ROOT}docs`).filter((name) => !found.has(`docs/${name}`)), []);
});

Deno.test("import: the notebook's cells run one after the other", async () => {
  const notebook = JSON.parse(await Deno.readTextFile(`${ROOT}docs/notebook.ipynb`)) as {
    cells: { cell_type: string; source: string[] }[];
  };
  const cells = notebook.cells.filter(({ cell_type }) => cell_type === "code");
  const code = cells.map(({ source }) => source.join("")).join("\n");
  // The notebook imports from where `deno task serve` offers the project.
  const local = code.replaceAll("http://localhost:8000/", new URL("../", import.meta.url).href);
  const file = await Deno.makeTempFile({ prefix: "varscale-notebook-", suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, local);
    const { code: status, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "-R", file],
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      stdout: "null",
      stderr: "piped",
    }).output();
    assertEquals(status, 0, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(file);
  }
});
