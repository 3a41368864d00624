/**
 * Builds the graphs of a model folder on disk again, as its family builds them today, with their sizes and
 * checksums in `model.json`. Nothing else in the folder changes. The bundled models are kept up to date by
 * it:
 *
 * ```sh
 * deno run -A tools/renew_graphs.ts models/demo
 * deno run -A tools/renew_graphs.ts models/demo_t2i
 * ```
 *
 * @module
 */

import { join } from "node:path";
import { familyNamed } from "../models/families.ts";
import type { PartWeights } from "../models/family.ts";
import { sha256 } from "../models/checkpoint/source.ts";
import { MANIFEST, type ModelManifest, openModelFolder } from "../models/folder/model_folder.ts";
import { describeWeights } from "../models/weights/weight_files.ts";
import type { WeightPlaces } from "../models/weights/weight_places.ts";
import { WeightSet } from "../models/weights/weight_set.ts";

/**
 * Builds the graphs of a model folder again, whose weights must not be integers.
 *
 * @param folder Path of the folder.
 * @returns Names of the graphs that have changed.
 * @throws {ModelFileError} If the folder is none.
 */
export async function renewGraphs(folder: string): Promise<string[]> {
  using opened = await openModelFolder(folder);
  using owned = new DisposableStack();
  const family = familyNamed(opened.manifest.family);
  const config = family.requireConfig(opened.manifest.config, join(folder, MANIFEST));
  const weights: Record<string, PartWeights> = {};
  const places: Record<string, WeightPlaces> = {};
  for (const { weights: part } of family.parts) {
    if (!opened.hasWeights(part)) continue;
    const files = owned.use(await opened.weights(part));
    const tensors = describeWeights(files).map(({ name, ...tensor }) => [name, tensor] as const);
    weights[part] = {
      set: new WeightSet(files.file, new Map(tensors)),
      readFloat32: (name) => files.readFloat32(name),
    };
    places[part] = files.places;
  }
  const manifest: ModelManifest = JSON.parse(await Deno.readTextFile(join(folder, MANIFEST)));
  const files = { ...manifest.files };
  const changed: string[] = [];
  for (const [name, bytes] of family.graphs(config, weights, places)) {
    const entry = { bytes: bytes.length, sha256: await sha256(bytes) };
    if (entry.sha256 === files[name]?.sha256) continue;
    await Deno.writeFile(join(folder, name), bytes);
    files[name] = entry;
    changed.push(name);
  }
  await Deno.writeTextFile(join(folder, MANIFEST), `${JSON.stringify({ ...manifest, files }, null, 2)}\n`);
  return changed;
}

if (import.meta.main) {
  const [folder, ...others] = Deno.args;
  if (folder === undefined || others.length > 0) {
    console.error("Usage: deno run -A tools/renew_graphs.ts FOLDER");
    Deno.exit(2);
  }
  const changed = await renewGraphs(folder);
  console.log(changed.length === 0 ? "all graphs are as they were" : `renewed ${changed.join(", ")}`);
}
