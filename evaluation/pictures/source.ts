/**
 * Opens pictures, wherever they are: a folder, a folder of a class each, a run of varscale, a NumPy archive.
 *
 * @module
 */

import { openPackedPictures } from "./packed_pictures.ts";
import { openPictureFolder } from "./picture_folder.ts";
import type { OpenPicturesOptions, PictureSource } from "./picture_source.ts";

/**
 * Opens pictures. Of a run of varscale only those count that its `run.json` tells of, and that are there; of
 * any other folder all PNG, JPEG and WebP files in it count, or, if there are none, those in its folders,
 * each of which is a class: folders with numbers have these classes, others the name. An archive has them in
 * `arr_0`, as bytes [pictures, rows, columns, 3], and classes, if it has them, in `arr_1`.
 *
 * @param place Path of a folder or an archive.
 * @throws {Error} If there are none, or what is there tells two things.
 *
 * @example
 * ```ts
 * import { openPictures } from "./source.ts";
 * import { RgbaImage } from "../../sampler/mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * for (const name of ["10.png", "9.png"]) {
 *   await Deno.writeFile(`${folder}/${name}`, new RgbaImage(4, 4).png());
 * }
 * const source = await openPictures(folder);
 * assertEquals(source.names, ["9.png", "10.png"]);
 * for await (const { image } of source.pictures()) assertEquals(image.width, 4);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function openPictures(
  place: string,
  options: OpenPicturesOptions = {},
): Promise<PictureSource> {
  options.signal?.throwIfAborted();
  const there = await Deno.stat(place).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`Cannot read pictures of ${place}: no such file or folder`);
  });
  return there.isDirectory
    ? await openPictureFolder(place, options)
    : await openPackedPictures(place, options.signal);
}
