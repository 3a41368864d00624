/**
 * What a notebook is given to show: one output in several formats, never larger than a notebook bears. What
 * would be larger is kept in a file, and a link is shown. How pictures and plots look is left to them.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { systemReason } from "../../models/system_reason.ts";

/** Under this name notebooks look for what to show. */
export const jupyterDisplay: unique symbol = Symbol.for("Jupyter.display");

/** Bytes that one output has at most: a notebook holds all of them, and is read as a whole. */
export const MAX_OUTPUT_BYTES: number = 8 * 2 ** 20;

/** Folder for what is larger, beside the notebook: a kernel's working folder is the notebook's. */
export const OUTPUT_FOLDER = "varscale_outputs";

/** One output in several formats, by media type: what a Jupyter frontend chooses from. */
export interface MimeBundle {
  /** The picture as a PNG file in base64. */
  "image/png": string;
  /** What is shown where pictures cannot be. */
  "text/plain": string;
  /** Of a picture that is too large for a notebook: a link to its file, and what it looks like. */
  "text/html"?: string;
}

/** Whether formats are small enough together. */
export function fits(bundle: Readonly<Record<string, string | undefined>>): boolean {
  let bytes = 0;
  // Characters beyond ASCII take up to three bytes of UTF-8 for each unit.
  for (const text of Object.values(bundle)) bytes += 3 * (text?.length ?? 0);
  if (bytes <= MAX_OUTPUT_BYTES) return true;
  const encoder = new TextEncoder();
  bytes = Object.values(bundle).reduce((sum, text) => sum + encoder.encode(text ?? "").length, 0);
  return bytes <= MAX_OUTPUT_BYTES;
}

/** Where a file was kept, or why it was not. */
export type Kept = { readonly path: string } | { readonly reason: string };

/**
 * Keeps the bytes of an output in a file. Its name comes from the bytes, so that running a cell again adds
 * none.
 *
 * @param bytes The file.
 * @param extension Of its name.
 * @param folder Where to, from the working folder on.
 *
 * @example
 * ```ts
 * import { keepFile } from "./output.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * const kept = keepFile(new TextEncoder().encode("<svg/>"), "svg", folder);
 * assertEquals("path" in kept && await Deno.readTextFile(kept.path), "<svg/>");
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export function keepFile(bytes: Uint8Array, extension: string, folder: string = OUTPUT_FOLDER): Kept {
  const path = `${folder}/${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}.${extension}`;
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    // The folder and the file are not there yet, or they are what would be written.
    Deno.mkdirSync(folder, { recursive: true });
    try {
      Deno.writeFileSync(temporary, bytes, { createNew: true });
      Deno.renameSync(temporary, path);
    } catch (error) {
      try {
        Deno.removeSync(temporary);
      } catch {
        // It was never made.
      }
      throw error;
    }
    return { path };
  } catch (error) {
    return { reason: systemReason(error) };
  }
}

/** A sentence and, if there is a file, its name as a link, as HTML and as plain text. */
export function linkTo(kept: Kept, what: string): { readonly html: string; readonly plain: string } {
  const of = `${what}, too large for a notebook`;
  if ("reason" in kept) {
    const plain = `${of}; it could not be written to ${OUTPUT_FOLDER}: ${kept.reason}`;
    return { html: `<p>${escaped(plain)}</p>`, plain };
  }
  const path = escaped(kept.path);
  return { html: `<p>${escaped(of)}: <a href="${path}">${path}</a></p>`, plain: `${of}: ${kept.path}` };
}

/** A text inside HTML. */
export function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll(
    '"',
    "&quot;",
  );
}
