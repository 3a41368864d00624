/**
 * One picture in every type of weights, and the memory that it took: both bundled models are converted to
 * each type, and each of those paints the same picture of the same seed in a process of its own, in turns.
 * The pictures go to `docs/types.png`, and are the same each time; the figures are printed as a table.
 *
 * ```sh
 * deno run -A --no-lock bench/types_picture.ts [--provider=wasm] [--turns=5] [--output=docs/types.png]
 * ```
 *
 * Memory is that of the process at most, while it loads and paints, less what it had before it loaded
 * anything of the model: on Linux only.
 *
 * @module
 */

import { parseArgs } from "node:util";
import {
  BUNDLED_MODELS,
  convertModel,
  createModelFolder,
  DTYPES,
  generate,
  gridImage,
  loadModel,
  RgbaImage,
} from "../mod.ts";
import { processBytes } from "./process_costs.ts";

/** What each model paints. */
const LABELS: Readonly<Record<string, string>> = {
  "demo": "red torus",
  "demo-t2i": "a red sphere and a blue cone",
};
const SEED = 7;

/** What a process tells. */
interface Outcome {
  /** The picture, a PNG file in base64. */
  readonly png: string;
  /** Bytes of memory beyond those at the beginning. */
  readonly memory: number;
}

const { values: { provider, turns, output, run, label } } = parseArgs({
  options: {
    provider: { type: "string", default: "wasm" },
    turns: { type: "string", default: "5" },
    output: { type: "string", default: "docs/types.png" },
    run: { type: "string" },
    label: { type: "string" },
  },
});

/** Loads a folder and paints. */
async function paint(folder: string, text: string): Promise<Outcome> {
  const before = processBytes("VmRSS");
  await using model = await loadModel(folder, {
    device: "cpu",
    threads: 1,
    cpuProvider: provider as "wasm" | "native",
  });
  const { images: [image] } = await generate(model, { labels: text, seed: SEED });
  return { png: image!.png().toBase64(), memory: processBytes("VmHWM") - before };
}

async function paintApart(folder: string, text: string): Promise<Outcome> {
  const args = [`--provider=${provider}`, `--run=${folder}`, `--label=${text}`];
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", import.meta.url, ...args],
    stderr: "inherit",
  });
  const { stdout, success } = await command.output();
  if (!success) throw new Error(`Cannot paint with ${folder}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

if (run !== undefined) {
  console.log(JSON.stringify(await paint(run, label!)));
} else {
  const folder = await Deno.makeTempDir();
  try {
    const ways: { model: string; dtype: string; path: string; bytes: number; outcomes: Outcome[] }[] = [];
    for (const [model, place] of Object.entries(BUNDLED_MODELS)) {
      for (const dtype of DTYPES) {
        const path = `${folder}/${model}-${dtype}`;
        await using writer = await createModelFolder(path);
        const { manifest: { files } } = await convertModel({ folder: place }, writer, { dtype });
        const weights = Object.entries(files).filter(([name]) => name.endsWith(".safetensors"));
        const bytes = weights.reduce((sum, [, file]) => sum + file.bytes, 0);
        ways.push({ model, dtype, path, bytes, outcomes: [] });
      }
    }
    for (let turn = 0; turn < Number(turns); turn++) {
      const order = turn % 2 === 0 ? ways : ways.toReversed();
      for (const { model, path, outcomes } of order) outcomes.push(await paintApart(path, LABELS[model]!));
    }
    console.log("| model | dtype | MB of weights | MB of memory |\n| --- | --- | ---: | ---: |");
    for (const { model, dtype, bytes, outcomes } of ways) {
      const memory = median(outcomes.map((outcome) => outcome.memory));
      console.log(`| ${model} | ${dtype} | ${(bytes / 1e6).toFixed(1)} | ${Math.round(memory / 1e6)} |`);
    }
    const cells = ways.map(({ dtype, outcomes: [outcome] }) => ({
      image: RgbaImage.decode(Uint8Array.fromBase64(outcome!.png)),
      caption: dtype,
    }));
    const rowTitles = Object.keys(BUNDLED_MODELS).map((model) => `${model}: ${LABELS[model]}`);
    const sheet = gridImage(cells, { columns: DTYPES.length, rowTitles, scale: 3 });
    await Deno.writeFile(
      output,
      sheet.png({ text: { Description: `Seed ${SEED}, by bench/types_picture.ts` } }),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
