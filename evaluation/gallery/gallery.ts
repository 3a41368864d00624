/**
 * Makes the pages of the gallery: paints pairs of pictures from the same seeds, measures what a method makes
 * of the bundled models, and writes a page, a sheet of pairs and the numbers of each method, with an index.
 * What stands on a page is left to `page.ts`.
 *
 * @module
 */

import { join } from "node:path";
import { mustBe, requireList, requireOptions } from "../../kernels/arguments.ts";
import { sha256 } from "../../models/checkpoint/source.ts";
import { type CpuProvider, loadModel, type Model } from "../../models/mod.ts";
import {
  generate,
  type GeneratedImage,
  type GridCell,
  gridImage,
  type RgbaImage,
  type ScaleHook,
  viewScale,
} from "../../sampler/mod.ts";
import { writeWhole } from "../sweep/sweep_folder.ts";
import type { GalleryEntry } from "./entry.ts";
import { GALLERY } from "./entries.ts";
import { galleryIndex, galleryPage } from "./page.ts";
import { PairedPictures } from "./paired_effect.ts";
import type { GalleryResults, MeasuredEntry, MeasuredModel } from "./results.ts";

/** The bundled models, and what the pairs of each show. */
const MODELS: readonly { readonly name: string; readonly labels: readonly string[] }[] = [
  { name: "demo", labels: ["red torus", "blue cone", "green cube", "yellow sphere"] },
  {
    name: "demo-t2i",
    labels: [
      "two red spheres and a blue cone",
      "a green cube",
      "three yellow cylinders",
      "a purple torus left of a red cube",
    ],
  },
];

/** Seed of the pairs. */
const PAIR_SEED = 7;

/** Options of {@linkcode makeGallery}. */
export interface GalleryOptions {
  /** Folder of the pages; it is made. */
  readonly folder: string;
  /** Methods that are measured; others keep what `results.json` in the folder says. All by default. */
  readonly only?: readonly string[];
  /** Entries beside those of the project, such as a reader's own hook. */
  readonly more?: readonly GalleryEntry[];
  /** Subjects that are painted of each model at most; all by default. */
  readonly subjects?: number;
  /** Who computes what is measured; pairs are always painted by WebAssembly, the same everywhere. */
  readonly cpuProvider?: CpuProvider | "auto";
  /** Threads; all cores by default. */
  readonly threads?: number;
  /** Ends it between batches; nothing is written then. */
  readonly signal?: AbortSignal | undefined;
  /** Told as it goes. */
  readonly onProgress?: (progress: GalleryProgress) => void;
}

/** How far a gallery has come. */
export interface GalleryProgress {
  /** The method. */
  readonly method: string;
  /** The model. */
  readonly model: string;
  /** Its pictures so far. */
  readonly pictures: number;
}

/** What has been written. */
export interface Gallery {
  /** All numbers. */
  readonly results: GalleryResults;
  /** The files, the index first. */
  readonly files: readonly string[];
}

const ACTION = "make a gallery";

/**
 * Makes a gallery of methods on the bundled models.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a method is unknown, or two have the same name.
 *
 * @example
 * ```ts
 * import { makeGallery } from "../mod.ts";
 * import { varScaling } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * const mine = {
 *   name: "mine",
 *   title: "VAR-Scaling of three",
 *   what: "As few candidates as there can be.",
 *   command: "--hook ./mine.ts",
 *   hooks: () => [varScaling({ samples: 3 })],
 * };
 * const { files } = await makeGallery({ folder, only: ["mine"], more: [mine], subjects: 2 });
 * assertEquals(files.map((file) => file.slice(folder.length + 1)), [
 *   "README.md",
 *   "results.json",
 *   "mine.md",
 *   "mine.png",
 * ]);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function makeGallery(options: GalleryOptions): Promise<Gallery> {
  const known = [
    ...["folder", "only", "more", "subjects", "cpuProvider"],
    ...["threads", "signal", "onProgress"],
  ];
  requireOptions(options, known, ACTION);
  const { folder, more = [], subjects } = options;
  const entries = entriesOf(requireList(more, "more", ACTION));
  const wanted = wantedOf(entries, options.only);
  const before = await readGalleryResults(folder);
  const measured = new Map(wanted.map((entry) => [entry.name, new Map<string, MeasuredModel>()]));
  const cells = new Map(wanted.map((entry) => [entry.name, [] as GridCell[]]));
  for (const { name } of MODELS) {
    {
      const { threads } = options;
      await using model = await loadModel(name, {
        device: "cpu",
        cpuProvider: "wasm",
        ...(threads && { threads }),
      });
      const plain = await paintPairs(model, []);
      for (const entry of wanted) {
        const hooks = hooksOf(entry, model);
        if (typeof hooks === "string") {
          measured.get(entry.name)!.set(name, { refused: hooks });
          continue;
        }
        const painted = await paintPairs(model, hooks);
        const rows = [...plain, ...painted].map((image) => ({ image, caption: image.label.name }));
        cells.get(entry.name)!.push(...rows);
        measured.get(entry.name)!.set(name, { tokens: await Promise.all(painted.map(tokensHash)) });
      }
    }
    await measure(name, { wanted, measured, options });
  }
  const results: GalleryResults = {
    format: "varscale-gallery",
    version: 1,
    subjects: subjects ?? "all",
    entries: entries.flatMap((entry): MeasuredEntry[] => {
      const models = measured.get(entry.name);
      const { name, title, what, command, paper, more: link } = entry;
      const about = { name, title, what, command, ...(paper && { paper }), ...(link && { more: link }) };
      if (models !== undefined) return [{ ...about, models: Object.fromEntries(models) }];
      const old = before?.entries.find(({ name }) => name === entry.name);
      return old === undefined ? [] : [{ ...about, models: old.models }];
    }),
  };
  options.signal?.throwIfAborted();
  return { results, files: await write(folder, results, cells) };
}

/** Reads the numbers of a gallery that is there; `undefined` where there is none. */
export async function readGalleryResults(folder: string): Promise<GalleryResults | undefined> {
  const path = join(folder, "results.json");
  try {
    const results = JSON.parse(await Deno.readTextFile(path));
    if (results?.format === "varscale-gallery" && results.version === 1) return results;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new TypeError(`Cannot ${ACTION} as ${path} is not that of one: choose another folder`);
}

/** Pictures of a bundled model for the pairs, with hooks or without, always from the same seed. */
export async function paintPairs(
  model: Model,
  hooks: readonly ScaleHook[],
): Promise<readonly GeneratedImage[]> {
  const { labels } = MODELS.find(({ name }) => name === model.name)!;
  return (await generate(model, { labels, seed: PAIR_SEED, hooks })).images;
}

/** What tells the tokens of a picture from others. */
export async function tokensHash({ tokens }: GeneratedImage): Promise<string> {
  const all = Uint32Array.from(tokens.flatMap((map) => [...map]));
  return (await sha256(new Uint8Array(all.buffer))).slice(0, 16);
}

function entriesOf(more: readonly GalleryEntry[]): readonly GalleryEntry[] {
  const entries = [...GALLERY, ...more];
  for (const { name } of more) {
    if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) {
      throw new RangeError(
        mustBe("of small letters, digits and dashes", name, "the name of a method", ACTION),
      );
    }
    if (entries.filter((entry) => entry.name === name).length > 1) {
      throw new RangeError(mustBe("unlike the others", name, "the name of a method", ACTION));
    }
  }
  return entries;
}

function wantedOf(
  entries: readonly GalleryEntry[],
  only: readonly string[] | undefined,
): readonly GalleryEntry[] {
  if (only === undefined) return entries;
  const names = entries.map(({ name }) => name);
  for (const name of requireList(only, "only", ACTION)) {
    if (!names.includes(name as string)) {
      throw new RangeError(mustBe(`of ${names.join(", ")}`, name, "a method", ACTION));
    }
  }
  return entries.filter(({ name }) => only.includes(name));
}

/** The hooks of an entry, or why a model has none. */
function hooksOf(entry: GalleryEntry, model: Model): readonly ScaleHook[] | string {
  try {
    return entry.hooks(model);
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

async function measure(
  name: string,
  { wanted, measured, options }: {
    readonly wanted: readonly GalleryEntry[];
    readonly measured: ReadonlyMap<string, Map<string, MeasuredModel>>;
    readonly options: GalleryOptions;
  },
): Promise<void> {
  const { subjects, cpuProvider = "auto", threads, signal, onProgress } = options;
  await using model = await loadModel(name, { device: "cpu", cpuProvider, ...(threads && { threads }) });
  await using pictures = await PairedPictures.open(model, {
    ...(subjects !== undefined && { subjects }),
    signal,
  });
  for (const entry of wanted) {
    const hooks = hooksOf(entry, model);
    if (typeof hooks === "string") continue;
    const effect = await pictures.effectOf(hooks, (done) => {
      onProgress?.({ method: entry.title, model: name, pictures: done });
    });
    const models = measured.get(entry.name)!;
    models.set(name, { ...models.get(name)!, effect });
  }
}

async function write(
  folder: string,
  results: GalleryResults,
  cells: ReadonlyMap<string, readonly GridCell[]>,
): Promise<readonly string[]> {
  const files: string[] = [];
  const put = async (name: string, content: Uint8Array | string): Promise<void> => {
    const path = join(folder, name);
    await writeWhole(path, content);
    files.push(path);
  };
  await put("README.md", galleryIndex(results));
  await put("results.json", `${JSON.stringify(results, undefined, 2)}\n`);
  for (const entry of results.entries) {
    const own = cells.get(entry.name);
    if (own === undefined) continue;
    await put(`${entry.name}.md`, galleryPage(entry, results));
    if (own.length > 0) await put(`${entry.name}.png`, sheet(own).png());
  }
  return files;
}

/** Rows of plain pictures above those of the method, model by model. */
function sheet(cells: readonly GridCell[]): RgbaImage {
  const [{ image }] = cells as [GridCell];
  const columns = 4;
  const rowTitles = Array.from(
    { length: cells.length / columns },
    (_, row) => row % 2 === 0 ? "plain" : "method",
  );
  return gridImage(cells, { columns, rowTitles, scale: Math.min(2, viewScale(image)) });
}
