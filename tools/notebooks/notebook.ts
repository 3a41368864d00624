/**
 * The file of a notebook (nbformat 4): read, run cell by cell, written back, and what was stored compared
 * with what a run makes now. How a kernel is talked to is left to `kernel.ts`.
 *
 * @module
 */

import { dirname } from "node:path";
import { RgbaImage } from "../../sampler/pictures/image.ts";
import { JupyterKernel, type Output } from "./kernel.ts";

/** Bytes that one output has at most, in the file and on its way to a notebook. */
export const MAX_OUTPUT_BYTES: number = 8 * 2 ** 20;

/** By how much a channel of a stored picture may differ from that of a run: another processor may round. */
export const CHANNEL_TOLERANCE = 2;

/** A cell in the file. Texts are lists of lines there. */
export interface Cell {
  readonly cell_type: string;
  readonly id: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly source: string | readonly string[];
  execution_count?: number | null;
  outputs?: StoredOutput[];
}

/** An output in the file: as {@linkcode Output}, with texts in one piece or as lines. */
export type StoredOutput = Readonly<Record<string, unknown>> & { readonly output_type: string };

/** A notebook's file. */
export interface Notebook {
  readonly cells: readonly Cell[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly nbformat: number;
  readonly nbformat_minor: number;
}

/** What became of a cell of code. */
export interface RunCell {
  /** Its place among all cells. */
  readonly place: number;
  /** Its number. */
  readonly count: number;
  /** Its outputs as the file holds them. */
  readonly outputs: readonly StoredOutput[];
  /** How often a display was updated. */
  readonly updates: number;
  /** Bytes of the largest single message. */
  readonly largest: number;
}

/** Reads a notebook. */
export async function readNotebook(path: string): Promise<Notebook> {
  const notebook = JSON.parse(await Deno.readTextFile(path)) as Notebook;
  if (notebook.nbformat !== 4 || !Array.isArray(notebook.cells)) {
    throw new TypeError(`Cannot read ${path} as it must be a notebook of nbformat 4`);
  }
  return notebook;
}

/** The code of a cell. */
export function sourceOf({ source }: Pick<Cell, "source">): string {
  return typeof source === "string" ? source : source.join("");
}

/**
 * Runs all cells of code of a notebook, in its own folder, one after the other in a kernel of their own.
 *
 * @throws {Error} If a cell fails, with its code and its error.
 */
export async function runNotebook(path: string): Promise<RunCell[]> {
  const { cells } = await readNotebook(path);
  await using kernel = await JupyterKernel.start({ cwd: dirname(path) });
  const run: RunCell[] = [];
  for (const [place, cell] of cells.entries()) {
    if (cell.cell_type !== "code") continue;
    const { outputs, ...facts } = await kernel.execute(sourceOf(cell));
    const failed = outputs.find((output) => output.output_type === "error");
    if (failed !== undefined) {
      const { ename, evalue, traceback } = failed;
      throw new Error(
        `Cell ${place} of ${path} fails: ${ename}: ${evalue}\n${traceback.join("\n")}\n${sourceOf(cell)}`,
      );
    }
    run.push({ place, ...facts, outputs: outputs.map(storedOutput) });
  }
  return run;
}

/** The file of a notebook with other outputs, laid out as Jupyter does, so that it changes where they do. */
export function withOutputs(notebook: Notebook, run: readonly RunCell[]): string {
  const cells = notebook.cells.map((cell, place) => {
    const found = run.find((cell) => cell.place === place);
    return found === undefined ? cell : { ...cell, execution_count: found.count, outputs: found.outputs };
  });
  return `${JSON.stringify(sorted({ ...notebook, cells }), null, 1)}\n`;
}

/**
 * In what stored outputs differ from those of a run: number, kinds, texts, and pictures by more than a
 * processor's rounding. Nothing differs where the list is empty.
 */
export function differences(notebook: Notebook, run: readonly RunCell[]): string[] {
  return run.flatMap(({ place, count, outputs }) => {
    const cell = notebook.cells[place]!;
    const stored = cell.outputs ?? [];
    if (cell.execution_count !== count) {
      return [`cell ${place}: its number is ${cell.execution_count}, and a run gives it ${count}`];
    }
    if (stored.length !== outputs.length) {
      return [`cell ${place}: ${stored.length} outputs are stored, and a run makes ${outputs.length}`];
    }
    return outputs.flatMap((output, i) =>
      outputDifferences(stored[i]!, output).map((what) => `cell ${place}, output ${i}: ${what}`)
    );
  });
}

function outputDifferences(stored: StoredOutput, made: StoredOutput): string[] {
  const kinds = [stored, made].map((output) =>
    [output.output_type, ...Object.keys(output.data ?? {}).sort()].join(" ")
  );
  if (kinds[0] !== kinds[1]) return [`${kinds[0]} is stored, and a run makes ${kinds[1]}`];
  if (made.output_type === "stream") {
    return textOf(stored.text) === textOf(made.text) ? [] : [`"${textOf(made.text)}" is written now`];
  }
  const [before, now] = [stored, made].map(({ data }) => data as Readonly<Record<string, unknown>>);
  return Object.keys(now!).flatMap((type) => {
    const [old, fresh] = [before![type], now![type]].map(textOf) as [string, string];
    if (old === fresh) return [];
    if (type === "image/png") return pictureDifferences(old, fresh);
    return [`${type} is now: ${fresh.length > 400 ? `${fresh.slice(0, 400)}…` : fresh}`];
  });
}

function pictureDifferences(stored: string, made: string): string[] {
  const [before, now] = [stored, made].map((png) => RgbaImage.decode(Uint8Array.fromBase64(png)));
  if (before!.width !== now!.width || before!.height !== now!.height) {
    return [`the picture was ${before!.width}×${before!.height} and is ${now!.width}×${now!.height}`];
  }
  const most = before!.data.reduce((most, value, i) => Math.max(most, Math.abs(value - now!.data[i]!)), 0);
  return most <= CHANNEL_TOLERANCE ? [] : [`channels of the picture differ by up to ${most} of 255`];
}

/** An output with its texts as lines; pictures in base64 stay in one piece. */
function storedOutput(output: Output): StoredOutput {
  if (output.output_type === "stream") return { ...output, text: linesOf(output.text) };
  if (output.output_type === "error") return output;
  const data = Object.fromEntries(
    Object.entries(output.data).map(([type, value]) => {
      const lines = typeof value === "string" && !/^image\/(?!svg)/.test(type);
      return [type, lines ? linesOf(value) : value];
    }),
  );
  return { ...output, data };
}

function linesOf(text: string): string[] {
  return text.split(/(?<=\n)/);
}

function textOf(value: unknown): string {
  return Array.isArray(value) ? value.join("") : typeof value === "string" ? value : JSON.stringify(value);
}

/** The same value with the keys of its objects in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, inner]) => [key, sorted(inner)]),
  );
}
