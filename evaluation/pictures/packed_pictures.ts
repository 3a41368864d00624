/**
 * Pictures of a NumPy archive, as evaluators of generated pictures have them: bytes in `arr_0`, classes, if
 * they are there, in `arr_1`. Reading arrays is left to `files/`.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { RgbaImage } from "../../sampler/pictures/image.ts";
import { ModelFileError } from "../../models/model_file_error.ts";
import { openNpz } from "../files/npz.ts";
import type { NamedPicture, PictureSource } from "./picture_source.ts";

const PICTURES = "arr_0";
const LABELS = "arr_1";

/** Bytes that are read at a time. */
const CHUNK_BYTES = 1 << 24;

/**
 * Opens an archive of pictures.
 *
 * @throws {ModelFileError} If it is none, or its pictures are not bytes of red, green and blue.
 */
export async function openPackedPictures(
  place: string,
  signal: AbortSignal | undefined,
): Promise<PictureSource> {
  using npz = await openNpz(place, { signal });
  const { type, shape } = await npz.describe(PICTURES);
  const [count = 0, height = 0, width = 0, channels] = shape;
  if (type !== "|u1" || shape.length !== 4 || channels !== 3 || count * height * width === 0) {
    throw new ModelFileError("Cannot use the pictures", {
      file: npz.file,
      tensor: PICTURES,
      expected: "bytes |u1 [pictures, rows, columns, 3]",
      found: `${type} [${shape.join(", ")}]`,
    });
  }
  const labels = npz.names.includes(LABELS) ? [...(await npz.read(LABELS)).values] : undefined;
  const odd = labels?.find((label) => !isClass(label));
  if (labels !== undefined && (labels.length !== count || odd !== undefined)) {
    throw new ModelFileError("Cannot use the classes", {
      file: npz.file,
      tensor: LABELS,
      expected: `${count} numbers of classes, one for each picture`,
      found: labels.length === count ? `${odd} among them` : `${labels.length} numbers`,
    });
  }
  return {
    place,
    count,
    names: Array.from({ length: count }, (_, i) => `${PICTURES}[${i}]`),
    fingerprint: createHash("sha256").update(JSON.stringify([shape, npz.checksum(PICTURES)])).digest("hex"),
    ...(labels !== undefined && { labels }),
    notes: [],
    pictures: ({ from = 0, signal } = {}) => packedPictures(place, { width, height, from }, signal),
  };
}

async function* packedPictures(
  place: string,
  { width, height, from: first }: Readonly<Record<"width" | "height" | "from", number>>,
  signal: AbortSignal | undefined,
): AsyncGenerator<NamedPicture> {
  using npz = await openNpz(place, { signal });
  const size = width * height * 3;
  let index = 0;
  for await (const rows of npz.rows(PICTURES, Math.max(1, Math.floor(CHUNK_BYTES / size)))) {
    for (let at = 0; at < rows.length; at += size) {
      signal?.throwIfAborted();
      if (index++ < first) continue;
      const image = new RgbaImage(width, height);
      for (let from = at, to = 0; from < at + size; from += 3, to += 4) {
        image.data[to] = rows[from]!;
        image.data[to + 1] = rows[from + 1]!;
        image.data[to + 2] = rows[from + 2]!;
      }
      yield { name: `${PICTURES}[${index - 1}]`, image };
    }
  }
}

function isClass(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
