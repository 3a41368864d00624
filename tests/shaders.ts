/**
 * What tests ask of the shaders as a whole: their files with what the headers say, the kernels made of them,
 * and every combination of `override` constants that a kernel may be compiled with.
 *
 * @module
 */

import { readdir } from "node:fs/promises";
import type { Kernel } from "../kernels/device/device.ts";

/** The project's folder. */
export const PROJECT: URL = new URL("../", import.meta.url);

/** A file of WGSL. */
export interface Shader {
  /** Where it is, from the project's folder on. */
  readonly path: string;
  /** Its text. */
  readonly text: string;
  /** The comment it opens with, as one line. */
  readonly header: string;
  /** The files that the header wants in front of it, in their order. */
  readonly expects: readonly string[];
}

/** A kernel by the name it is exported under. */
export interface NamedKernel {
  /** Module and name, `kernels/maps/pack.ts: packPixels`. */
  readonly path: string;
  /** The kernel. */
  readonly kernel: Kernel<never>;
}

/** Paths of the files with this ending below one of the project's folders. */
async function filesIn(folder: string, ending: string): Promise<string[]> {
  const names = await readdir(new URL(folder, PROJECT), { recursive: true });
  return names.filter((name) => name.endsWith(ending)).map((name) => folder + name).sort();
}

/** The shaders below one of the project's folders. */
export async function shadersIn(folder: "kernels/" | "bench/naive/"): Promise<Shader[]> {
  return await Promise.all((await filesIn(folder, ".wgsl")).map(async (path) => {
    const text = await Deno.readTextFile(new URL(path, PROJECT));
    const [opening] = text.split("\n\n", 1);
    const header = opening!.split("\n").map((line) => line.replace(/^\/\/ /, "")).join(" ");
    const expects = /Expects (.+?) in front of it\b/.exec(header)?.[1]?.match(/\w+\.wgsl/g) ?? [];
    return { path, text, header, expects };
  }));
}

/** The complete text of a shader: what its header wants in front of it, then the file itself. */
export function completeText(shader: Shader, kernelShaders: readonly Shader[]): string {
  const before = shader.expects.map((name) => {
    const file = kernelShaders.find(({ path }) => path.endsWith(`/${name}`));
    if (file === undefined) throw new Error(`${shader.path} expects ${name}, which is not there`);
    return file.text;
  });
  return before.join("") + shader.text;
}

/** Every kernel that a module below `kernels/` exports. */
export async function allKernels(): Promise<NamedKernel[]> {
  const kernels = new Map<unknown, NamedKernel>();
  // The door only hands on what the rooms hold.
  for (const path of (await filesIn("kernels/", ".ts")).filter((path) => path !== "kernels/mod.ts")) {
    const module = await import(new URL(path, PROJECT).href);
    for (const [name, value] of Object.entries(module)) {
      if (isKernel(value) && !kernels.has(value)) {
        kernels.set(value, { path: `${path}: ${name}`, kernel: value });
      }
    }
  }
  return [...kernels.values()];
}

function isKernel(value: unknown): value is Kernel<never> {
  return typeof value === "object" && value !== null && "wgsl" in value && "plan" in value;
}

/**
 * The `override` constants of a shader with every value they may have: both of a `bool`, and of a number
 * those that its kernel names.
 *
 * @throws {Error} If the kernel names another set of numeric constants than the shader has.
 */
export function overridesOf(
  kernel: Pick<Kernel<unknown>, "wgsl" | "overrides">,
): Record<string, readonly number[]> {
  const named = { ...kernel.overrides };
  const found: Record<string, readonly number[]> = {};
  for (const [, name, type] of kernel.wgsl.matchAll(/^ *override (\w+): (\w+)/gm)) {
    const values = type === "bool" ? [0, 1] : named[name!];
    if (values === undefined) throw new Error(`Its "overrides" lack the values of ${name}`);
    found[name!] = values;
    delete named[name!];
  }
  const [spare] = Object.keys(named);
  if (spare !== undefined) throw new Error(`Its "overrides" name ${spare}, which is no number of the shader`);
  return found;
}

/** Every combination of the values of some constants. */
export function combinations(values: Readonly<Record<string, readonly number[]>>): Record<string, number>[] {
  return Object.entries(values).reduce<Record<string, number>[]>(
    (sets, [name, each]) => sets.flatMap((set) => each.map((value) => ({ ...set, [name]: value }))),
    [{}],
  );
}
