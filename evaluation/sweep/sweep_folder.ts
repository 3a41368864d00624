/**
 * The folder of a sweep: the plan that it belongs to, and files that are written whole or not at all.
 *
 * @module
 */

import { dirname } from "node:path";
import { shown } from "../../kernels/arguments.ts";
import { replaceFile } from "../files/whole_file.ts";
import type { SweepPlan } from "./plan.ts";

/**
 * Makes a folder that of a plan, or checks that it is.
 *
 * @param paint Whether the folder may be made for it.
 * @throws {Error} If it is that of another plan; the message says what differs.
 */
export async function takeUpPlan(folder: string, plan: SweepPlan, paint: boolean): Promise<void> {
  const path = `${folder}/plan.json`;
  const text = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (text === undefined) {
    if (!paint) throw new Error(`Cannot make results of ${folder} as no sweep is there`);
    await Deno.mkdir(folder, { recursive: true });
    await writeWhole(path, `${JSON.stringify(plan, undefined, 2)}\n`);
    return;
  }
  const [before, now] = [parse(text, path), JSON.parse(JSON.stringify(plan))];
  const difference = differenceOf(paintedOf(before), paintedOf(now), "");
  if (difference === undefined) {
    if (JSON.stringify(before) === JSON.stringify(now)) return;
    return await writeWhole(path, `${JSON.stringify(plan, undefined, 2)}\n`);
  }
  // A plan of which nothing could be painted, as something was wrong with it, is in nobody's way.
  if (paint && !await hasRecords(folder)) {
    return await writeWhole(path, `${JSON.stringify(plan, undefined, 2)}\n`);
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

/** Whether some part has written down anything. */
async function hasRecords(folder: string): Promise<boolean> {
  for await (const { name } of Deno.readDir(folder)) {
    if (/^records-.*\.jsonl$/.test(name) && (await Deno.stat(`${folder}/${name}`)).size > 0) return true;
  }
  return false;
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

/** Writes a file whole or not at all. */
export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await Deno.mkdir(dirname(path), { recursive: true });
  await replaceFile(path, (temporary) => Deno.writeFile(temporary, bytes));
}
