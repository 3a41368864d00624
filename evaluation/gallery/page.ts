/**
 * Pages of the gallery as Markdown: one of each method, and the index with one table of all. What the numbers
 * are is left to `paired_effect.ts`.
 *
 * @module
 */

import type { PairedEffect, PairedNumber } from "./paired_effect.ts";
import type { GalleryResults, MeasuredEntry } from "./results.ts";

/** The page of a method. */
export function galleryPage(entry: MeasuredEntry, results: GalleryResults): string {
  const { name, title, what, command, paper, more, models } = entry;
  const measured = Object.entries(models);
  const painted = measured.some(([, { tokens }]) => tokens !== undefined);
  return paragraphs([
    `# ${title}`,
    what,
    "```sh\n" + measured.filter(([, { refused }]) => refused === undefined).map(([model]) => {
      const label = model === "demo" ? '"red torus"' : '"two red spheres and a blue cone"';
      return `deno task varscale generate ${label} --model ${model} ${command}\n`;
    }).join("") + "```",
    painted ? `![Pairs from the same seeds: plain above, ${title} below](${name}.png)` : "",
    painted
      ? "Each pair is painted from the same random numbers: plain above, with the method below; first `demo`, then " +
        "`demo-t2i`."
      : "",
    "## What came out",
    effectTable(measured),
    ...measured.flatMap(([model, { refused }]) => refused === undefined ? [] : [`\`${model}\`: ${refused}.`]),
    howMeasured(results),
    paper === undefined
      ? ""
      : `## What is printed\n\n${paper.source}: ${paper.figure}. Measured here: see above; the ` +
        "models are not those of the paper.",
    more === undefined ? "" : `Rule, settings and where they come from: [${title}](${more}).`,
    "[All methods](README.md)",
  ]);
}

/** The index: all methods in one table. */
export function galleryIndex(results: GalleryResults): string {
  const models = [...new Set(results.entries.flatMap(({ models }) => Object.keys(models)))];
  const head = [
    "method",
    ...models.flatMap((model) => [`\`${model}\`: right`, "− plain", "operations"]),
    "printed",
  ];
  const rows = results.entries.map(({ name, title, models: own, paper }) => [
    `[${title}](${name}.md)`,
    ...models.flatMap((model) => {
      const { effect } = own[model] ?? {};
      return effect === undefined
        ? ["", "", ""]
        : [share(effect.right), difference(effect.right, 3), times(effect.cost.flops)];
    }),
    paper?.figure ?? "",
  ]);
  return paragraphs([
    "# Gallery of methods",
    "Every method of the project on the bundled models: what it does, the command, pairs from the same seeds, what " +
    "it costs, what it changes with its interval, and what its paper prints. The pages are written by a command, " +
    "and a test holds them against what the code makes today; the numbers are in [results.json](results.json):",
    "```sh\ndeno task gallery                      # all of them\n" +
    "deno task gallery --only var-scaling   # one\n" +
    "deno task varscale gallery --hook ./mine.ts -o mine   # a hook of your own gets the same page\n```",
    table(head, rows),
    howMeasured(results),
    "The models are small, and much of what is printed for large ones cannot show here; where an interval holds 0, " +
    "no difference was found. On more pictures and at equal cost methods are compared in [Search methods at equal " +
    "cost](../evidence_methods.md) and [Methods that guide, at equal cost](../evidence_guidance.md).",
  ]);
}

/** What the columns mean, the same on all pages. */
function howMeasured({ entries }: GalleryResults): string {
  const effects = entries.flatMap(({ models }) =>
    Object.entries(models).flatMap(([model, { effect }]) => effect === undefined ? [] : [{ model, effect }])
  );
  const counts = new Map(effects.map(({ model, effect: { pictures, seed } }) => [model, { pictures, seed }]));
  const painted = [...counts].map(([model, { pictures, seed }]) =>
    `${pictures} of \`${model}\` (seed ${seed})`
  );
  return [
    `Pictures: ${
      painted.join(", ")
    }, plain and with the method from the same random numbers. So few show large`,
    "differences only: what is smaller than an interval remains unknown.",
    "**right**: the share in which a network that no method has seen finds what was asked for, for captions the mean",
    "over their kinds. **log-probability**: what it gives the class. **reward**: what the model's own verifier gives.",
    "**− plain**: the method less plain on the same pictures, with a 95 % interval by the bootstrap. **operations**:",
    "those of transformer, decoder and judges, counted, as so many plain pictures.",
  ].join(" ");
}

function effectTable(measured: readonly (readonly [string, { readonly effect?: PairedEffect }])[]): string {
  const rows = measured.flatMap(([model, { effect }]) => {
    if (effect === undefined) return [];
    const { right, logProbability, reward, cost } = effect;
    const numbers = [
      ["right", right, 3],
      ["log-probability", logProbability, 3],
      ["reward", reward, 3],
    ] as const;
    return numbers.flatMap(([name, value, digits]) => {
      if (value === undefined) return [];
      return [[
        `\`${model}\``,
        name,
        value.plain.toFixed(digits),
        value.method.toFixed(digits),
        difference(value, digits),
        times(cost.flops),
        `${cost.passes.toFixed(2)}×`,
      ]];
    });
  });
  return rows.length === 0
    ? "Not measured on the bundled models."
    : table(["model", "number", "plain", "method", "− plain", "operations", "passes"], rows);
}

function share(value: PairedNumber | undefined): string {
  return value === undefined ? "" : value.method.toFixed(3);
}

function difference(value: PairedNumber | undefined, digits: number): string {
  if (value === undefined) return "";
  const { mean, low, high } = value.difference;
  return `${signed(mean, digits)} [${signed(low, digits)}, ${signed(high, digits)}]`;
}

function signed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : value > 0 ? `+${text}` : text;
}

function times(value: number | undefined): string {
  return value === undefined ? "" : `${value.toFixed(2)}×`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(3, cell.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string => {
    return `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  };
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

/** Paragraphs with their lines of 110 columns, as the formatter has them. */
function paragraphs(parts: readonly string[]): string {
  return `${parts.filter((part) => part !== "").map(wrapped).join("\n\n")}\n`;
}

function wrapped(part: string): string {
  if (/^(```|\||!\[|#)/.test(part) && !part.startsWith("## ")) return part;
  return part.split("\n").map((line) => {
    const lines: string[] = [];
    let now = "";
    for (const word of line.split(" ")) {
      if (now !== "" && now.length + 1 + word.length > 110) {
        lines.push(now);
        now = word;
      } else now = now === "" ? word : `${now} ${word}`;
    }
    return [...lines, now].join("\n");
  }).join("\n");
}
