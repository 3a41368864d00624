/**
 * Writes settings of a search into a model folder, or into a copy of it. Which settings, and whether they are
 * worth it, is left to `tuning.ts`.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { mustBe, requireOptions } from "../../kernels/arguments.ts";
import { createModelFolder } from "../../models/folder/folder_writer.ts";
import {
  type FolderTuning,
  MANIFEST,
  openModelFolder,
  wrongTuning,
} from "../../models/folder/model_folder.ts";
import { BUNDLED_MODELS } from "../../models/load.ts";
import { systemReason } from "../../models/system_reason.ts";

/** Options of {@linkcode writeTuning}. */
export interface WriteTuningOptions {
  /** Path of a copy that gets the settings instead of the folder itself. */
  readonly output?: string;
  /** Replace a model folder that is there already; by default that is an error. */
  readonly overwrite?: boolean;
  /** Ends the copying; nothing is left behind. */
  readonly signal?: AbortSignal | undefined;
}

const ACTION = "write tuned settings";

/**
 * Writes settings into the description of a model folder, in place of those that are there. The folder's
 * `model.json` is replaced at once; a copy appears when it is whole.
 *
 * @param folder Path of a model folder, or the name of a bundled model, which can only be copied.
 * @param tuning The settings, and how they were found.
 * @returns Path of the folder that has them now.
 * @throws {TypeError} If the model is a bundled one and there is no `output`, or an option is unknown.
 * @throws {RangeError} If a setting is none that a folder may have; nothing is written then.
 * @throws {ModelFileError} If there is no model folder.
 * @throws {Deno.errors.AlreadyExists} If something is at `output` that may not be replaced.
 *
 * @example
 * ```ts
 * import { writeTuning } from "./tuned_folder.ts";
 * import { loadModel } from "../../models/load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const place = await Deno.makeTempDir();
 * const output = await writeTuning("demo", { samples: 20, alpha: 1.5 }, { output: `${place}/tuned` });
 * await using model = await loadModel(output, { device: "cpu" });
 * assertEquals([model.search.samples, model.search.alpha({ scale: 1, samples: 20 })], [20, 1.5]);
 * await Deno.remove(place, { recursive: true });
 * ```
 */
export async function writeTuning(
  folder: string,
  tuning: FolderTuning,
  options: WriteTuningOptions = {},
): Promise<string> {
  requireOptions(options, ["output", "overwrite", "signal"], ACTION);
  const { output, overwrite = false, signal } = options;
  const wrong = wrongTuning(tuning);
  if (wrong !== undefined) {
    throw new RangeError(`Cannot ${ACTION}: expected ${wrong.expected}, found ${wrong.found}`);
  }
  const bundled = Object.hasOwn(BUNDLED_MODELS, folder) ? BUNDLED_MODELS[folder] : undefined;
  if (output === undefined) {
    const reason = bundled !== undefined || await isBundled(folder)
      ? "a bundled model stays as it is"
      : /^https?:/i.test(folder)
      ? "nothing can be written to a web server"
      : undefined;
    if (reason !== undefined) {
      throw new TypeError(mustBe(`given, as ${reason}`, output, "output", ACTION));
    }
  }
  using opened = await openModelFolder(bundled ?? folder, { ...(signal && { signal }) });
  const { files, format: _format, version: _version, ...facts } = opened.manifest;
  if (output !== undefined) {
    await using writer = await createModelFolder(output, { overwrite, signal });
    for (const name of Object.keys(files)) await writer.write(name, await opened.read(name));
    using copy = await writer.finish({ ...facts, tuning });
    return copy.location;
  }
  const path = join(/^file:/i.test(folder) ? fileURLToPath(folder) : folder, MANIFEST);
  const manifest = JSON.parse(await Deno.readTextFile(path));
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await Deno.writeTextFile(temporary, `${JSON.stringify({ ...manifest, tuning }, null, 2)}\n`);
    signal?.throwIfAborted();
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    if (signal?.aborted || error instanceof Deno.errors.NotCapable) throw error;
    throw new Error(`Cannot write ${path}: ${systemReason(error)}`, { cause: error });
  }
  return folder;
}

/** Whether a path leads to a bundled model. */
async function isBundled(folder: string): Promise<boolean> {
  const real = await Deno.realPath(folder).catch(() => folder);
  const places = Object.values(BUNDLED_MODELS).filter(({ protocol }) => protocol === "file:");
  return places.some((place) => fileURLToPath(place).replace(/[\\/]$/, "") === real);
}
