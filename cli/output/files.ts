/**
 * The files that commands read and write: whole or not at all, in names and numbers that people can read.
 *
 * @module
 */

import { resolve } from "node:path";
import { RgbaImage } from "../../mod.ts";
import { UsageError } from "../io.ts";

/** Has a file written under a temporary name and then gives it its own, so that no half file is ever seen. */
export async function replaceFile(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await write(temporary);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/** Writes a file whole or not at all. */
export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await replaceFile(path, (temporary) => Deno.writeFile(temporary, bytes));
}

/**
 * Reads a JSON file.
 *
 * @throws {UsageError} If there is no such file, or it is no JSON.
 */
export async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const reason = error instanceof Deno.errors.NotFound ? "no such file" : (error as Error).message;
    throw new UsageError(`Cannot read ${path}: ${reason}`);
  }
}

/**
 * Reads the names of classes: a JSON list of texts.
 *
 * @throws {UsageError} If the file holds anything else.
 */
export async function readClassNames(path: string): Promise<readonly string[]> {
  const names = await readJson(path);
  if (!Array.isArray(names) || names.some((name) => typeof name !== "string")) {
    throw new UsageError(`Cannot use ${path} for class names: it must be a JSON list of texts`);
  }
  return names;
}

/**
 * Reads a picture: a PNG file.
 *
 * @throws {UsageError} If there is no such file, or it is none.
 */
export async function readPicture(path: string): Promise<RgbaImage> {
  try {
    return RgbaImage.decode(await Deno.readFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const reason = error instanceof Deno.errors.NotFound ? "no such file" : (error as Error).message;
    throw new UsageError(`Cannot read ${path}: ${reason}`);
  }
}

/** Whether something is at a path. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Refuses to replace files in a folder.
 *
 * @throws {UsageError} If one is there.
 */
export async function refuseExisting(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (!await exists(`${folder}/${name}`)) continue;
    throw new UsageError(
      `Cannot write ${folder}/${name}: it exists; choose another --output, or --overwrite`,
    );
  }
}

/** Whether a text is the address of something on a web server, or a `file:` address. */
export function isUrl(place: string): boolean {
  return /^(https?|file):\/\//i.test(place);
}

/** A path that means the same from everywhere; addresses do already. */
export function absolute(place: string): string {
  return isUrl(place) ? place : resolve(place);
}

/** SHA-256 in hexadecimal. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** A name as part of a file name: `Red Torus!` becomes `red-torus`. */
export function slug(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 40) || "image";
}

/**
 * JSON for people and programs: lists of numbers and whatever is short stay on one line. Seeds beyond 2^53
 * become texts.
 */
export function formatJson(value: unknown, indent: string = ""): string {
  if (typeof value === "bigint") return `"${value}"`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const deeper = `${indent}  `;
  const numbers = Array.isArray(value) && value.every((item) => typeof item === "number");
  const parts = Array.isArray(value) ? value.map((item) => formatJson(item, deeper)) : Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .map(([key, item]) => `${JSON.stringify(key)}: ${formatJson(item, deeper)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const line = parts.join(", ");
  if (parts.length === 0 || numbers || (indent.length + line.length <= 100 && !line.includes("\n"))) {
    const pad = Array.isArray(value) || parts.length === 0 ? "" : " ";
    return `${open}${pad}${line}${pad}${close}`;
  }
  return `${open}\n${parts.map((part) => deeper + part).join(",\n")}\n${indent}${close}`;
}

/** A time span: `340 ms`, `12.3 s`, `4 min 05 s`, `31 h 02 min`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** A number of bytes: `812 bytes`, `15.4 MiB`. */
export function size(bytes: number): string {
  const units = ["KiB", "MiB", "GiB", "TiB"];
  if (bytes < 1024) return `${bytes} bytes`;
  let value = bytes / 1024;
  while (value >= 1023.95 && units.length > 1) {
    value /= 1024;
    units.shift();
  }
  return `${value.toFixed(1)} ${units[0]}`;
}

/** A number with its noun: `1 image`, `3 images`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Two columns of texts. */
export function columns(rows: readonly (readonly [string, string])[], indent: string = ""): string {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `${indent}${left.padEnd(width)}  ${right}\n`).join("");
}
