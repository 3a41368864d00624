/**
 * The folder of a sweep: the plan that it belongs to, and files that are written whole or not at all.
 *
 * @module
 */

import { dirname } from "node:path";
import { shown } from "../../kernels/arguments.ts";
import { replaceFile } from "../files/whole_file.ts";
import type { SweepPlan } from "./plan.ts";
import { clearOthers, isUnpainted, type RecordsFile } from "./records.ts";

/**
 * Makes a folder that of a plan, or checks that it is. As long as nothing is painted for a plan, another one
 * may take its place: the first one could not be carried out.
 *
 * @param options Whether the folder may be made for it, and the records that are held open: whoever holds
 * some gives an unpainted folder another plan, if nobody else does.
 * @throws {Error} If it is that of another plan; the message says what differs.
 */
export async function takeUpPlan(
  folder: string,
  plan: SweepPlan,
  options: { readonly paint: boolean; readonly held?: RecordsFile },
): Promise<void> {
  const { paint, held } = options;
  const path = `${folder}/plan.json`;
  const written = `${JSON.stringify(plan, undefined, 2)}\n`;
  const text = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (text === undefined) {
    if (!paint) throw new Error(`Cannot make results of ${folder} as no sweep is there`);
    await Deno.mkdir(folder, { recursive: true });
    // Of two that begin at once one is first, and the other one is held against its plan.
    if (await writeFirst(path, written)) return;
    return await takeUpPlan(folder, plan, options);
  }
  const [before, now] = [parse(text, path), JSON.parse(JSON.stringify(plan))];
  const difference = differenceOf(paintedOf(before), paintedOf(now), "");
  if (difference === undefined) {
    if (JSON.stringify(before) !== JSON.stringify(now)) await writeWhole(path, written);
    return;
  }
  if (paint && await isUnpainted(folder, held?.name)) {
    if (held === undefined) return;
    await clearOthers(folder, held.name);
    await held.clear();
    await Deno.remove(`${folder}/examples`, { recursive: true }).catch(() => {});
    return await writeWhole(path, written);
  }
  throw new Error(
    `Cannot sweep in ${folder} as it is that of another plan: ${difference}; choose another folder`,
  );
}

/** What says nothing of pictures, and may become another while the pictures stay. */
const ABOUT_RESULTS = ["title", "description", "reference", "metrics", "published"];

/** What of a plan decides its pictures and what judges say of them. */
function paintedOf(plan: unknown): unknown {
  const kept = (value: object): Record<string, unknown> => {
    return Object.fromEntries(Object.entries(value).filter(([name]) => !ABOUT_RESULTS.includes(name)));
  };
  if (!isRecord(plan)) return plan;
  const { models, ...others } = kept(plan as object);
  return {
    ...others,
    models: Array.isArray(models) ? models.map((model) => isRecord(model) ? kept(model) : model) : models,
  };
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`Cannot read ${path}: it is no JSON`, { cause });
  }
}

/** Where two plans differ first, in words. */
function differenceOf(before: unknown, now: unknown, path: string): string | undefined {
  if (JSON.stringify(before) === JSON.stringify(now)) return undefined;
  const both = [before, now];
  const kind = both.every(Array.isArray) ? "list" : both.every(isRecord) ? "record" : "value";
  if (kind === "value") return `${path === "" ? "it" : path} was ${shown(before)} and is ${shown(now)}`;
  const keys = new Set(both.flatMap((value) => Object.keys(value as object)));
  for (const key of keys) {
    const at = kind === "list" ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`;
    const [a, b] = both.map((value) => (value as Record<string, unknown>)[key]);
    const difference = differenceOf(a, b, at);
    if (difference !== undefined) return difference;
  }
  // The same in another order is the same plan.
  return undefined;
}

function isRecord(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Writes a file whole, unless there is one: whether it did. */
async function writeFirst(path: string, content: string): Promise<boolean> {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await Deno.writeTextFile(temporary, content, { createNew: true });
    await Deno.link(temporary, path).catch((error) => {
      if (error instanceof Deno.errors.AlreadyExists) throw error;
      // Not every file system has links.
      return Deno.rename(temporary, path);
    });
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  } finally {
    await Deno.remove(temporary).catch(() => {});
  }
}

/** Writes a file whole or not at all. */
export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await Deno.mkdir(dirname(path), { recursive: true });
  await replaceFile(path, (temporary) => Deno.writeFile(temporary, bytes));
}
