/**
 * What the records that varscale leaves in folders say of pictures: `run.json` of a long run or of a
 * generation, `reconstruct.json`. Only what evaluation needs is read; the command line writes them.
 *
 * @module
 */

/** A picture that a record tells of. */
export interface RecordedPicture {
  /** Path within the folder. */
  readonly file: string;
  /** Number of the class that it should show. */
  readonly label?: number;
  /** Prompt that it should show. */
  readonly prompt?: string;
  /** SHA-256 of its file in hexadecimal. */
  readonly sha256?: string;
  /** Variant of the run. */
  readonly variant?: string;
}

/** A record. */
export interface PictureRecord {
  /** Name of the model. */
  readonly model: string;
  /** Names of the variants; one or none where there is one way only. */
  readonly variants: readonly string[];
  /** All pictures that there shall be. */
  readonly pictures: readonly RecordedPicture[];
}

/**
 * Reads the record of a folder; `undefined` if it has none of ours.
 *
 * @throws {Error} If it is damaged, or one of another version.
 *
 * @example
 * ```ts
 * import { readRunRecord } from "./run_record.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * assertEquals(await readRunRecord(folder), undefined);
 * await Deno.remove(folder);
 * ```
 */
export async function readRunRecord(folder: string): Promise<PictureRecord | undefined> {
  const refuse = (name: string, reason: string): never => {
    throw new Error(`Cannot read pictures of ${folder}: its ${name} ${reason}`);
  };
  for (const name of ["run.json", "reconstruct.json"]) {
    const text = await readIfThere(`${folder}/${name}`);
    if (text === undefined) continue;
    const parsed = parse(text) ?? refuse(name, "is no JSON");
    const series = parsed.format === "varscale-series";
    if (name === "run.json" && !series && parsed.format !== "varscale-run") continue;
    if (name === "run.json" && parsed.version !== 1) {
      refuse(name, `has the version ${parsed.version}, and 1 is read`);
    }
    const { model } = parsed as { model?: { name?: unknown } };
    const found = series ? ofSeries(parsed) : ofGeneration(parsed);
    return found === undefined
      ? refuse(name, "does not tell of its pictures")
      : { model: String(model?.name ?? "unknown"), ...found };
  }
  return undefined;
}

/**
 * Names of the variants of a run, of which each is a set of pictures; fewer than two where there is one way.
 *
 * @throws {Error} If the record is damaged, or one of another version.
 *
 * @example
 * ```ts
 * import { runVariants } from "./run_record.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await runVariants("no such folder"), []);
 * ```
 */
export async function runVariants(folder: string): Promise<readonly string[]> {
  return (await readRunRecord(folder))?.variants ?? [];
}

/** Pictures of a long run, of which the record says how many of what. */
function ofSeries(record: Record<string, unknown>): Omit<PictureRecord, "model"> | undefined {
  const { classes, imagesPerClass, prompts, imagesPerPrompt } = record;
  const each = Number(imagesPerClass ?? imagesPerPrompt);
  if (!Number.isSafeInteger(each) || each < 1) return undefined;
  const five = (number: number): string => String(number).padStart(5, "0");
  const numbers = Array.from({ length: each }, (_, image) => image);
  if (isListOf(classes, "number")) {
    const pictures = classes.flatMap((label) => {
      return numbers.map((image) => ({ file: `class_${label}_img_${image}.png`, label }));
    });
    return { variants: [], pictures };
  }
  if (!isListOf(prompts, "string")) return undefined;
  const pictures = prompts.flatMap((prompt, place) => {
    return numbers.map((image) => ({ file: `${five(place)}/samples/${five(image)}.png`, prompt }));
  });
  return { variants: [], pictures };
}

/** Pictures of a generation or a reconstruction, of which the record has a list. */
function ofGeneration({ images }: Record<string, unknown>): Omit<PictureRecord, "model"> | undefined {
  if (!Array.isArray(images) || images.length === 0) return undefined;
  const pictures: RecordedPicture[] = [];
  for (const { file, label, sha256, variant } of images) {
    // A path that leads out of the folder is none of a record that varscale wrote.
    if (typeof file !== "string" || /(^|[/\\])\.\.([/\\]|$)|^[/\\]/.test(file)) return undefined;
    pictures.push({
      file,
      ...(typeof label?.id === "number" && { label: label.id }),
      ...(typeof label?.prompt === "string" && { prompt: label.prompt }),
      ...(typeof sha256 === "string" && { sha256 }),
      ...(typeof variant === "string" && { variant }),
    });
  }
  return { variants: [...new Set(pictures.flatMap(({ variant }) => variant ?? []))], pictures };
}

function isListOf<Type extends "number" | "string">(
  value: unknown,
  type: Type,
): value is (Type extends "number" ? number : string)[] {
  return Array.isArray(value) && value.every((item) => typeof item === type);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
