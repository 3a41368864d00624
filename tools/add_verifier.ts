/**
 * Puts a verifier into a model folder: its description as `verifier.json`, the files that it names, and their
 * sizes and checksums in `model.json`. Nothing else in the folder changes. The bundled models got theirs by
 * it:
 *
 * ```sh
 * deno run -A tools/add_verifier.ts models/demo_t2i reward.json
 * ```
 *
 * @module
 */

import { join } from "node:path";
import { placeBeside } from "../models/checkpoint/source.ts";
import { sha256 } from "../models/checkpoint/source.ts";
import { MANIFEST, type ModelManifest, openModelFolder } from "../models/folder/model_folder.ts";
import { DESCRIPTION } from "../models/vision/described_network.ts";
import { describedFiles } from "../models/vision/network_description.ts";

/**
 * Adds a verifier to a model folder on disk.
 *
 * @param folder Path of the folder.
 * @param description Path of the description; the files that it names lie beside it, or in the folder
 * already.
 * @throws {ModelFileError} If the folder or the description is none.
 */
export async function addVerifier(folder: string, description: string): Promise<void> {
  using opened = await openModelFolder(folder);
  const content = await Deno.readFile(description);
  const added = new Map([[DESCRIPTION, content]]);
  for (const name of describedFiles(content, description)) {
    if (!opened.has(name)) added.set(name, await Deno.readFile(placeBeside(description, name)));
  }
  const manifest: ModelManifest = JSON.parse(await Deno.readTextFile(join(folder, MANIFEST)));
  const files = { ...manifest.files };
  for (const [name, bytes] of added) {
    await Deno.writeFile(join(folder, name), bytes);
    files[name] = { bytes: bytes.length, sha256: await sha256(bytes) };
  }
  await Deno.writeTextFile(join(folder, MANIFEST), `${JSON.stringify({ ...manifest, files }, null, 2)}\n`);
}

if (import.meta.main) {
  const [folder, description, ...others] = Deno.args;
  if (folder === undefined || description === undefined || others.length > 0) {
    console.error("Usage: deno run -A tools/add_verifier.ts FOLDER DESCRIPTION");
    Deno.exit(2);
  }
  await addVerifier(folder, description);
}
