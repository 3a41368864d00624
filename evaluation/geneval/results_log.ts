/**
 * Results that grow: while pictures are judged, each verdict goes to `results.jsonl.part`, which becomes
 * `results.jsonl` when all are there. So what is interrupted goes on, and nobody takes half of the results
 * for all. What a line holds, `results_file.ts` knows.
 *
 * @module
 */

import { shown } from "../../kernels/arguments.ts";
import type { GenEvalPicture } from "./harness.ts";
import { formatGenEvalResult, type GenEvalResult, parseGenEvalResults, pythonJson } from "./results_file.ts";

/** What results must be of to be gone on with. */
export interface ResultsLogOptions {
  /** Who judges. */
  readonly judge: string;
  /** Pictures that are judged. */
  readonly pictures: readonly GenEvalPicture[];
  /** Whether to begin anew, whatever is there; false by default. */
  readonly overwrite?: boolean;
}

/**
 * The results of some pictures, in a file. Closing it keeps what is there for another time.
 *
 * @example
 * ```ts
 * import { ResultsLog } from "./results_log.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * {
 *   using log = await ResultsLog.open(`${folder}/results.jsonl`, { judge: "an owl", pictures: [] });
 *   assertEquals([log.results, log.missing], [[], []]);
 * }
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export class ResultsLog implements Disposable {
  /** Results that are there. */
  readonly results: readonly GenEvalResult[];
  /** Pictures that have none. */
  readonly missing: readonly GenEvalPicture[];
  readonly #path: string;
  readonly #file: Deno.FsFile | undefined;
  readonly #results: GenEvalResult[];
  #finished = false;

  private constructor(
    path: string,
    file: Deno.FsFile | undefined,
    results: GenEvalResult[],
    missing: readonly GenEvalPicture[],
  ) {
    this.#path = path;
    this.#file = file;
    this.results = this.#results = results;
    this.missing = missing;
  }

  /**
   * Opens a file of results, with those that are there already.
   *
   * @param path The file as it is called when it is whole.
   * @throws {TypeError} If a line is none of a result.
   * @throws {RangeError} If results are by another judge, or of other pictures.
   * @throws {Error} If another process is at it.
   */
  static async open(
    path: string,
    { judge, pictures, overwrite = false }: ResultsLogOptions,
  ): Promise<ResultsLog> {
    const part = `${path}.part`;
    using owned = new DisposableStack();
    const begun = await isThere(part);
    const whole = !overwrite && !begun && await isThere(path);
    let results: GenEvalResult[] = [];
    if (whole) {
      results = await known(parseGenEvalResults(await Deno.readTextFile(path), path), path, {
        judge,
        pictures,
      });
    }
    const judged = new Set(results.map(({ filename }) => keyOf(filename)));
    const missingOf = () => pictures.filter(({ filename }) => !judged.has(keyOf(filename)));
    if (whole && missingOf().length === 0) return new ResultsLog(path, undefined, results, []);
    const file = owned.use(await Deno.open(part, { read: true, write: true, create: true }));
    if (!await file.tryLock(true)) throw new Error(`Cannot write ${path}: another process is at it`);
    const goesOn = begun && !overwrite;
    const text = goesOn ? await Deno.readTextFile(part) : "";
    // A line that was being written when the process ended has no end.
    const lines = text.slice(0, text.lastIndexOf("\n") + 1);
    if (goesOn) results = await known(parseGenEvalResults(lines, part), part, { judge, pictures });
    for (const { filename } of results) judged.add(keyOf(filename));
    await file.truncate(new TextEncoder().encode(lines).length);
    await file.seek(0, Deno.SeekMode.End);
    const log = new ResultsLog(path, file, goesOn ? results : [], missingOf());
    if (!goesOn) { for (const result of results) await log.append(result); }
    owned.move();
    return log;
  }

  /** Adds a result. */
  async append(result: GenEvalResult): Promise<void> {
    const bytes = new TextEncoder().encode(`${formatGenEvalResult(result)}\n`);
    for (let at = 0; at < bytes.length;) at += await this.#file!.write(bytes.subarray(at));
    this.#results.push(result);
  }

  /** Gives the file its own name, when all results are there. */
  async finish(): Promise<void> {
    if (this.#file === undefined) return;
    await this.#file.syncData();
    await Deno.rename(`${this.#path}.part`, this.#path);
    this.#finished = true;
  }

  /** Closes the file, which stays if anything stands in it. */
  [Symbol.dispose](): void {
    this.#file?.close();
    const empty = this.#file !== undefined && !this.#finished && this.#results.length === 0;
    if (empty) Deno.removeSync(`${this.#path}.part`);
  }
}

/** Results of the same judge and pictures, each once. */
async function known(
  results: readonly GenEvalResult[],
  path: string,
  { judge, pictures }: ResultsLogOptions,
): Promise<GenEvalResult[]> {
  const refuse = (wanted: string, found: string): never => {
    throw new RangeError(
      `Cannot go on with ${path} as it must have ${wanted}: it has ${found}; choose another file, or begin anew`,
    );
  };
  const byKey = new Map(pictures.map((picture) => [keyOf(picture.filename), picture]));
  const found = new Map<string, GenEvalResult>();
  for (const result of results) {
    const { filename, judge: by = "GenEval's script or somebody unnamed", metadata, picture: hash } = result;
    if (by !== judge) refuse(`results by ${judge}`, `one by ${by}`);
    const picture = byKey.get(keyOf(filename)) ?? refuse("results of this folder", `one of ${filename}`);
    if (metadata !== pythonJson(picture.prompt)) {
      refuse(`results of ${shown(picture.prompt.prompt)} as ${filename}`, `one of ${shown(result.prompt)}`);
    }
    if (hash !== await picture.hash()) refuse("results of these pictures", `one of another ${filename}`);
    found.set(keyOf(filename), result);
  }
  return [...found.values()];
}

/** What tells a picture in its folder, wherever that lies: `00007/samples/00000.png`. */
function keyOf(filename: string): string {
  return filename.split(/[\\/]/).slice(-3).join("/");
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
