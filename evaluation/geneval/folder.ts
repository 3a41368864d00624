/**
 * A folder of pictures as GenEval's scorer reads it, whoever painted them: `00007/metadata.jsonl` tells of
 * the prompt, `00007/samples/00000.png` and so on are its pictures. Judging them is left to `harness.ts`.
 *
 * @module
 */

import { join } from "node:path";
import { shown } from "../../kernels/arguments.ts";
import { sha256 } from "../../models/checkpoint/source.ts";
import { systemReason } from "../../models/system_reason.ts";
import { decodeImage } from "../../sampler/pictures/decode.ts";
import type { GenEvalPicture } from "./harness.ts";
import { type GenEvalPrompt, parsePrompt } from "./metadata.ts";
import { pythonJson } from "./results_file.ts";

/** Options of {@linkcode openGenEvalFolder}. */
export interface GenEvalFolderOptions {
  /**
   * The prompts, one for each sub-folder from 0 on, where these do not tell of theirs; where they do, it must
   * be the same.
   */
  readonly prompts?: readonly GenEvalPrompt[];
  /** Whether prompts may have fewer pictures than others, or none; false by default. */
  readonly allowMissing?: boolean;
}

/** Places that an error names at most. */
const NAMED = 5;

/**
 * Finds the pictures in a folder, and the prompts that they are of.
 *
 * @param folder Path of the folder.
 * @returns The pictures in the order of their names, which are read when their turn comes.
 * @throws {TypeError} If a sub-folder does not tell of its prompt, or of another one than it should.
 * @throws {RangeError} If there are no pictures, or a prompt has fewer than others.
 *
 * @example
 * ```ts
 * import { openGenEvalFolder } from "./folder.ts";
 * import { RgbaImage } from "../../sampler/pictures/image.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * await Deno.mkdir(`${folder}/00000/samples`, { recursive: true });
 * await Deno.writeFile(`${folder}/00000/samples/00000.png`, new RgbaImage(64, 64).png());
 * const prompt = { tag: "single_object", include: [{ class: "cone", count: 1 }], prompt: "a cone" };
 * const [picture] = await openGenEvalFolder(folder, { prompts: [prompt] });
 * assertEquals((await picture!.read()).pixels.width, 64);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function openGenEvalFolder(
  folder: string,
  { prompts, allowMissing = false }: GenEvalFolderOptions = {},
): Promise<GenEvalPicture[]> {
  const names = (await namesIn(folder)).filter((name) => /^\d+$/.test(name));
  if (names.length === 0) {
    throw new RangeError(`Cannot read ${folder} as it must have folders like 00000: there is none`);
  }
  const lacking: string[] = [];
  const found: (readonly [place: string, pictures: readonly GenEvalPicture[]])[] = [];
  for (const name of names.toSorted((a, b) => Number(a) - Number(b))) {
    const place = join(folder, name);
    const prompt = await promptOf(place, Number(name), prompts);
    if (prompt === undefined) lacking.push(join(place, "metadata.jsonl"));
    else found.push([place, await picturesIn(join(place, "samples"), prompt)]);
  }
  if (lacking.length > 0) {
    throw new TypeError(`Cannot read ${folder} as it must tell of each prompt: ${named(lacking)} is missing`);
  }
  const pictures = found.flatMap(([, some]) => some);
  if (pictures.length === 0) {
    throw new RangeError(`Cannot read ${folder} as it must have pictures like 00000/samples/00000.png`);
  }
  if (allowMissing) return pictures;
  const absent = prompts?.flatMap((_, i) => names.some((name) => Number(name) === i) ? [] : `prompt ${i}`);
  if (absent !== undefined && absent.length > 0) {
    throw new RangeError(
      `Cannot read ${folder} as it must have pictures of all prompts: ${named(absent)} has none`,
    );
  }
  const most = Math.max(...found.map(([, some]) => some.length));
  const short = found.filter(([, some]) => some.length < most);
  if (short.length > 0) {
    const places = short.map(([place, some]) => `${join(place, "samples")} has ${some.length}`);
    throw new RangeError(
      `Cannot read ${folder} as each prompt must have ${most} of ${most} pictures: ${named(places)}`,
    );
  }
  return pictures;
}

function named(places: readonly string[]): string {
  const more = places.length - NAMED;
  return places.slice(0, NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** What a sub-folder is of. */
async function promptOf(
  folder: string,
  index: number,
  prompts: readonly GenEvalPrompt[] | undefined,
): Promise<GenEvalPrompt | undefined> {
  const file = join(folder, "metadata.jsonl");
  const given = prompts?.[index];
  if (prompts !== undefined && given === undefined) {
    throw new TypeError(
      `Cannot use ${folder} as there must be a prompt ${index}: there are ${prompts.length}`,
    );
  }
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return given;
    throw error;
  }
  const own = parsePrompt(text, file);
  if (given !== undefined && pythonJson(given) !== pythonJson(own)) {
    throw new TypeError(
      `Cannot use ${file} as it must tell of prompt ${index}, ${shown(given.prompt)}: it tells of ${
        shown(own.prompt)
      }`,
    );
  }
  return own;
}

async function picturesIn(folder: string, prompt: GenEvalPrompt): Promise<GenEvalPicture[]> {
  const names = await namesIn(folder).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  });
  const pictures = names.filter((name) => /^\d+\.(png|jpe?g|webp)$/i.test(name));
  return pictures.toSorted((a, b) => parseInt(a) - parseInt(b)).map((name): GenEvalPicture => {
    const filename = join(folder, name);
    return {
      filename,
      prompt,
      hash: async () => await sha256(await Deno.readFile(filename)),
      read: async () => {
        const bytes = await Deno.readFile(filename);
        try {
          return { pixels: await decodeImage(bytes), picture: await sha256(bytes) };
        } catch (error) {
          throw new TypeError(`Cannot read ${filename}: ${systemReason(error)}`, { cause: error });
        }
      },
    };
  });
}

async function namesIn(folder: string): Promise<string[]> {
  return await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
}
