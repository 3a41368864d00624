/**
 * The page of a sweep: whole, half-finished, with pictures and with hostile texts; that it reaches for
 * nothing outside of it and has the same bytes each time.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertFalse,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { reportMarkdown, reportPage, type SweepResults } from "../../../evaluation/mod.ts";
import { RgbaImage } from "../../../sampler/mod.ts";
import { halfFinished, madeUp } from "./made_up.ts";
import { parseXml, type XmlElement } from "./xml.ts";

/** A page as elements: ours is HTML that, with its few empty elements closed, is XML as well. */
function parsePage(page: string): XmlElement {
  const xml = page.replace("<!doctype html>\n", "").replaceAll("<br>", "<br/>")
    .replace(/<(meta|img)((?:\s+[\w-]+="[^"]*")*)>/g, "<$1$2/>")
    .replace(/<style>[^<]*<\/style>/g, "");
  return parseXml(xml);
}

function textOf(element: XmlElement): string {
  return element.text + element.children.map(textOf).join("");
}

/** A picture of 2 by 2 pixels of one colour. */
function readExample(path: string): Promise<Uint8Array> {
  const shade = [...path].reduce((sum, mark) => sum + mark.charCodeAt(0), 0) % 256;
  const data = Uint8Array.from({ length: 16 }, (_, i) => i % 4 === 3 ? 255 : shade);
  return Promise.resolve(new RgbaImage(2, 2, data).png());
}

Deno.test("reportPage: sections, tables, figures and pictures in their order", async () => {
  const page = parsePage(await reportPage(madeUp(), { readExample }));
  assertEquals(page.name, "html");
  assertEquals(page.attributes.lang, "en");
  assertEquals(page.all("h1").map(({ text }) => text), ["How far N carries"]);
  assertEquals(page.all("h2").map(({ text }) => text), [
    "What came out",
    "Figures",
    "Samples",
    "What was not run",
    "How to read it",
    "What ran on what",
  ]);
  const sections = page.all("section").map(({ attributes }) => `#${attributes.id}`);
  assertEquals(page.all("nav")[0]!.all("a").map(({ attributes }) => attributes.href), sections);
  assertEquals(page.all("figure").length, 24);
  assertEquals(page.all("figure").length, page.all("svg").length);
  const images = page.all("img");
  // Five rows of two models have three pictures each.
  assertEquals(images.length, 30);
  assert(images.every(({ attributes }) => attributes.src!.startsWith("data:image/png;base64,")));
  assertEquals(images[0]!.attributes.alt, "plain: 0");
  assertEquals([images[0]!.attributes.width, images[0]!.attributes.height], ["2", "2"]);
  const text = textOf(page);
  for (const fact of ["sha256:1f0c7a5e", "native ONNX Runtime 1.30.0", "no weights of VAR d30", "table 3"]) {
    assertStringIncludes(text, fact);
  }
  assertFalse(text.includes("not finished"));
  for (const table of page.all("table")) assertEquals(table.all("caption").length, 1);
});

Deno.test("reportPage: reaches for nothing and runs nothing", async () => {
  const page = await reportPage(madeUp(), { readExample });
  assertFalse(
    /<(script|link|iframe|object|embed|base|form)\b|\son\w+=|javascript:|@import|@font-face/i.test(page),
  );
  for (const [, url] of page.matchAll(/\b(?:src|href|action|data|poster|srcset)="([^"]*)"/g)) {
    assertMatch(url!, /^(#|data:image\/)/);
  }
  for (const [, url] of page.matchAll(/url\(([^)]*)\)/g)) assertMatch(url!, /^#/);
  assertEquals(new Set(page.match(/https?:\/\/[^"\s<]*/g)), new Set(["http://www.w3.org/2000/svg"]));
  assertStringIncludes(page, "default-src 'none'; img-src data:; style-src 'unsafe-inline'");
});

Deno.test("reportPage: a sweep that is not finished says so, with pictures and planned ones", async () => {
  const page = parsePage(await reportPage(halfFinished()));
  const [banner] = page.all("aside");
  assertStringIncludes(textOf(banner!), "This sweep is not finished");
  assertStringIncludes(textOf(banner!), "and 16 rows of 35 lack some");
  const rows = banner!.all("tbody")[0]!.all("tr").map((row) => row.children.map((cell) => textOf(cell)));
  assertEquals(rows[0], [
    "VAR-Scaling, N\u00a0=\u00a010, α\u00a0=\u00a02.1",
    "VAR d20",
    "1840",
    "2000",
    "92 %",
  ]);
  assertEquals(rows.at(-1)?.slice(2), ["0", "2000", "0 %"]);
  assertEquals(rows.length, 16);
});

Deno.test("reportPage: what only lacks weights is finished", async () => {
  const page = parsePage(await reportPage({ ...madeUp(), complete: false }));
  assertEquals(page.all("aside"), []);
});

Deno.test("reportPage: nothing yet, and a plan alone, make a page", async () => {
  const empty = { ...madeUp(), complete: false, rows: [] };
  const text = textOf(parsePage(await reportPage(empty)));
  assertStringIncludes(text, "Nothing has been run yet");
  assertStringIncludes(text, "This sweep is not finished");
  parsePage(await reportPage({ ...empty, models: [], metrics: [], made: {}, plan: null }));
});

Deno.test("reportPage: hostile texts in every field stay texts", async () => {
  const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(1)>\u0000\u202e&lt;`;
  const poison = (value: unknown): unknown => {
    if (typeof value === "string") return `${value}${hostile}`;
    if (Array.isArray(value)) return value.map(poison);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [`${key}`, poison(inner)]));
  };
  const clean = madeUp();
  const better = clean.metrics.map(({ better }) => better);
  const results = poison(clean) as SweepResults;
  const metrics = results.metrics.map((metric, i) => ({
    ...metric,
    key: clean.metrics[i]!.key,
    better: better[i]!,
  }));
  const poisoned = {
    ...results,
    metrics,
    made: { [hostile]: hostile },
    models: results.models.map((model) => ({ ...model, facts: { [hostile]: hostile } })),
    plan: { [hostile]: hostile },
    rows: results.rows.map((row) => ({
      ...row,
      settings: { ...row.settings, [hostile]: hostile },
      ...(row.branches === undefined ? {} : { branches: { [hostile]: 0.5 } }),
    })),
  };
  const page = await reportPage(poisoned, { readExample });
  assertFalse(/<script|<img src=x|\u202e/.test(page));
  const root = parsePage(page);
  assertStringIncludes(root.all("h1")[0]!.text, "<script>alert(1)</script>");
  assertEquals(root.all("img").filter(({ attributes }) => !attributes.src!.startsWith("data:")), []);
  const markdown = reportMarkdown(poisoned);
  assertFalse(/(?<!\\)<(script|img)/.test(markdown));
});

Deno.test("reportPage: the same results have the same bytes, also after other pages", async () => {
  const first = await reportPage(madeUp(), { readExample });
  await reportPage(halfFinished());
  assertEquals(await reportPage(madeUp(), { readExample }), first);
});

Deno.test("reportPage: stays within the bytes that pictures may have, and says what is left out", async () => {
  const large = (path: string) =>
    readExample(path).then((file) => {
      const bytes = new Uint8Array(100_000);
      bytes.set(file);
      return bytes;
    });
  const without = (await reportPage(madeUp())).length;
  const page = await reportPage(madeUp(), { readExample: large, exampleBytes: 1_000_000 });
  // A column of five pictures fits into each model's half; base64 takes four bytes for three.
  assertStringIncludes(page, "20 more examples lie in the folder of the results.");
  assert(page.length < without + 1_000_000 * 4 / 3 + 20_000);
  assert(without < 500_000, `${without}`);
  const few = await reportPage(madeUp(), { readExample, examples: 1 });
  assertEquals(parsePage(few).all("img").length, 10);
});

Deno.test("reportPage: pictures that are not there are named, and the page is made", async () => {
  const page = await reportPage(madeUp(), {
    readExample: (path) => path.includes("plain") ? Promise.reject(new Error("gone")) : readExample(path),
  });
  assertStringIncludes(page, "<code>pictures/VAR d16/plain/0.png</code>");
  assertStringIncludes(page, "and 1 more.");
});

Deno.test("reportPage: a long plan is cut", async () => {
  const page = await reportPage({ ...madeUp(), plan: { captions: ["x".repeat(100_000)] } });
  assertStringIncludes(page, "more characters stand in results.json");
  assert(page.length < 500_000);
});

Deno.test("reportPage: unknown options and wrong ones are refused", async () => {
  await assertRejects(
    () => reportPage(madeUp(), { pictures: 3 } as never),
    TypeError,
    'Cannot make a report as the option "pictures" is unknown: options are readExample, examples, exampleBytes',
  );
  await assertRejects(
    () => reportPage(madeUp(), { examples: -1 }),
    RangeError,
    "examples must be an integer >= 0",
  );
  await assertRejects(() => reportPage([] as never), TypeError, "results must be results of a sweep");
  assertThrows(() => reportMarkdown(null as never), TypeError, "results must be results of a sweep");
});

Deno.test("reportMarkdown: headings, findings, tables, what was not run, traps", () => {
  const text = reportMarkdown(halfFinished());
  assertEquals(text.match(/^#.*$/gm), [
    "# How far N carries",
    "## What came out",
    "## What was not run",
    "## How to read it",
    "## What ran on what",
  ]);
  assertStringIncludes(text, "**This sweep is not finished.** ");
  assertStringIncludes(text, "\n- VAR d16: lowest FID 3.50 with VAR-Scaling + Best-of-N, N = 100,");
  // Every table stands between empty lines, or Markdown would not see it.
  for (const [table] of text.matchAll(/(?:^\|.*\n)+/gm)) {
    const at = text.indexOf(table);
    assert(text.slice(0, at).endsWith("\n\n"));
  }
  assertFalse(/\n\n\n/.test(text));
});
