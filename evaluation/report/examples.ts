/**
 * Pictures of a sweep within the page, so that it needs no folder beside it: which of them, up to how many
 * bytes, and of each method those of the same subjects. How they are laid out is left to `report.ts`.
 *
 * @module
 */

import type { SweepResults, SweepRow } from "../sweep/results.ts";

/** A picture within a page. */
export interface Example {
  /** `data:image/png;base64,…` */
  readonly source: string;
  /** Width in pixels, where the file says it. */
  readonly width?: number;
  /** Height in pixels. */
  readonly height?: number;
}

/** Pictures of a model: a row for each method, a column for each subject. */
export interface ExampleGrid {
  /** Name of the model. */
  readonly model: string;
  /** Names of the columns: what the pictures show, or what their files are called. */
  readonly columns: readonly string[];
  /** Rows with a place for each column. */
  readonly rows: readonly { readonly title: string; readonly pictures: readonly (Example | undefined)[] }[];
}

/** All pictures of a page. */
export interface Examples {
  /** Grids, model after model. */
  readonly grids: readonly ExampleGrid[];
  /** Pictures that are there and not in the page, as it would have become too large. */
  readonly left: number;
  /** Paths of pictures that could not be read, or are none. */
  readonly unreadable: readonly string[];
}

/** What is taken. */
export interface ExampleOptions {
  /** Reads a picture by its path from the folder of the results. */
  readonly readExample: (path: string) => Promise<Uint8Array>;
  /** Columns of a model at most. */
  readonly columns: number;
  /** Bytes of files at most, for all models together. */
  readonly bytes: number;
}

/** Reads pictures, column by column, so that what is shown of one method is shown of all. */
export async function collectExamples(results: SweepResults, options: ExampleOptions): Promise<Examples> {
  const models = results.models
    .map(({ name, subjects = {} }) => ({
      name,
      subjects,
      rows: results.rows.filter(({ model }) => model === name).filter(hasExamples),
    }))
    .filter(({ rows }) => rows.length > 0);
  const grids: ExampleGrid[] = [];
  const unreadable: string[] = [];
  let left = 0;
  for (const { name: model, subjects, rows } of models) {
    const { names, paths } = columnsOf(rows);
    const columns: string[] = [];
    const pictures: (Example | undefined)[][] = rows.map(() => []);
    let room = options.bytes / models.length;
    for (const [at, name] of names.entries()) {
      const column = paths.map((row) => row[at]);
      const wanted = column.filter((path) => path !== undefined).length;
      if (at >= options.columns || room <= 0) {
        left += wanted;
        continue;
      }
      const files = await Promise.all(
        column.map((path) => path === undefined ? undefined : read(path, options)),
      );
      const bytes = files.reduce((sum, file) => sum + (file?.length ?? 0), 0);
      if (bytes > room) {
        left += wanted;
        room = 0;
        continue;
      }
      room -= bytes;
      columns.push(Object.hasOwn(subjects, name) ? subjects[name]! : name);
      for (const [row, file] of files.entries()) {
        const example = file === undefined ? undefined : exampleOf(file);
        pictures[row]?.push(example);
        const path = column[row];
        if (example === undefined && path !== undefined) unreadable.push(path);
      }
    }
    if (columns.length > 0) {
      grids.push({
        model,
        columns,
        rows: rows.map(({ title }, i) => ({ title, pictures: pictures[i] ?? [] })),
      });
    }
  }
  return { grids, left, unreadable };
}

function hasExamples({ examples }: SweepRow): boolean {
  return examples.length > 0;
}

async function read(path: string, { readExample }: ExampleOptions): Promise<Uint8Array | undefined> {
  try {
    return await readExample(path);
  } catch {
    // A page without one of its pictures is worth more than none; it says which are not there.
    return undefined;
  }
}

/** Files of one name are of one subject; where names differ from row to row, their order says it. */
function columnsOf(
  rows: readonly SweepRow[],
): { readonly names: readonly string[]; readonly paths: readonly (readonly (string | undefined)[])[] } {
  const byName = rows.map(({ examples }) => new Map(examples.map((path) => [nameOf(path), path])));
  const longest = byName.reduce((most, names) => names.size > most.size ? names : most);
  const matched = byName.every((names, i) =>
    names.size === rows[i]?.examples.length && [...names.keys()].every((name) => longest.has(name))
  );
  if (matched) {
    const names = [...longest.keys()];
    // Numbers of subjects stand in the order of the plan, however the paths were sorted.
    if (names.every((name) => /^\d{1,15}$/.test(name))) names.sort((a, b) => Number(a) - Number(b));
    return { names, paths: byName.map((row) => names.map((name) => row.get(name))) };
  }
  const count = Math.max(...rows.map(({ examples }) => examples.length));
  return {
    names: Array.from({ length: count }, (_, i) => `${i + 1}`),
    paths: rows.map(({ examples }) => Array.from({ length: count }, (_, i) => examples[i])),
  };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1).replace(/\.\w+$/, "");
}

/** A file as its first bytes say what it is; nothing else gets into a page. */
function exampleOf(file: Uint8Array): Example | undefined {
  const begins = (bytes: readonly number[], at = 0) => bytes.every((byte, i) => file[at + i] === byte);
  const type = begins([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
    ? "png"
    : begins([0xff, 0xd8, 0xff])
    ? "jpeg"
    : begins([0x52, 0x49, 0x46, 0x46]) && begins([0x57, 0x45, 0x42, 0x50], 8)
    ? "webp"
    : undefined;
  if (type === undefined) return undefined;
  const source = `data:image/${type};base64,${file.toBase64()}`;
  if (type !== "png" || file.length < 24) return { source };
  // PNG begins with its header: width and height stand at bytes 16 and 20.
  const header = new DataView(file.buffer, file.byteOffset, file.length);
  return { source, width: header.getUint32(16), height: header.getUint32(20) };
}
