/**
 * What tests of model folders share: facts of a model that is none, and a place to write to.
 *
 * @module
 */

import type { ManifestFacts } from "../../../models/folder/model_folder.ts";

/** Facts of a folder whose content does not matter. */
export const FACTS: ManifestFacts = {
  family: "var",
  name: "test",
  dtype: "f32",
  config: {},
  classNames: [],
  tuning: {},
};

/** Works in a folder that goes afterwards. */
export async function inFolder(work: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    await work(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}
