/**
 * Whether WebAssembly and the native library draw the same tokens: every class of `demo` with some seeds (4),
 * recorded captions (200) with `demo-t2i`. The two add up in another order, so that logits differ in their
 * last bits; where a draw falls just between, it goes another way, and the rest of the picture with it.
 *
 *     deno run -A bench/provider_tokens.ts [SEEDS] [CAPTIONS]
 *
 * @module
 */

import { requireInteger } from "../kernels/arguments.ts";
import { type CpuProvider, generate, type GeneratedImage, type Label, loadModel } from "../mod.ts";

const CAPTIONS = new URL("../tests/fixtures/golden/demo-t2i/captions.jsonl", import.meta.url);

const [SEEDS, COUNT] = [Deno.args[0] ?? 4, Deno.args[1] ?? 200].map((given, i) => {
  const name = ["the number of seeds", "the number of captions"][i]!;
  return requireInteger(Number(given), name, "compare providers", { min: 1 });
}) as [number, number];

/** Labels of one call. */
const AT_A_TIME = 32;

const captions = (await Deno.readTextFile(CAPTIONS)).trim().split("\n")
  .slice(0, COUNT).map((line): string => JSON.parse(line).prompt);
const wishes = [
  { name: "demo", labels: Array.from({ length: 64 }, (_, id) => id), seeds: SEEDS },
  { name: "demo-t2i", labels: captions, seeds: 1 },
];

for (const { name, labels, seeds } of wishes) {
  const [wasm, native] = [
    await paint(name, "wasm", labels, seeds),
    await paint(name, "native", labels, seeds),
  ];
  let [pictures, tokens, levels, pixels] = [0, 0, 0, 0];
  for (const [i, image] of wasm.entries()) {
    const other = native[i]!;
    const same = image.tokens.every((map, scale) => map.join() === other.tokens[scale]!.join());
    tokens += image.tokens.reduce((sum, map) => sum + map.length, 0);
    if (!same) pictures++;
    else {
      levels += image.data.filter((level, j) => level !== other.data[j]).length;
      pixels += image.data.length;
    }
  }
  console.log(
    `${name}: ${pictures} of ${wasm.length} pictures (${tokens} words of tokens) have other tokens; ` +
      `${(100 * levels / pixels).toFixed(4)} % of the 8-bit values of the others differ`,
  );
}

async function paint(
  name: string,
  cpuProvider: CpuProvider,
  labels: readonly Label[],
  seeds: number,
): Promise<GeneratedImage[]> {
  await using model = await loadModel(name, { device: "cpu", cpuProvider });
  const painted: GeneratedImage[] = [];
  for (let seed = 0; seed < seeds; seed++) {
    for (let i = 0; i < labels.length; i += AT_A_TIME) {
      const { images } = await generate(model, { labels: labels.slice(i, i + AT_A_TIME), seed });
      painted.push(...images);
    }
  }
  return painted;
}
