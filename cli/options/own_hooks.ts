/**
 * Hooks of a reader's own on the command line: a module that exports one, with options behind its path. They
 * are loaded here, told from others by what their file holds, and named in whatever goes wrong in them; how
 * they act is the library's matter.
 *
 * @module
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
  DeviceLostError,
  OutOfMemoryError,
  type ScaleHook,
  type ScaleStep,
  systemReason,
} from "../../mod.ts";
import { UsageError } from "../io.ts";
import { sha256 } from "../output/sha256.ts";
import type { Kind } from "./kinds.ts";
import { isUrl } from "./place.ts";

/** Where a hook is, and what it is told. */
export interface HookPlace {
  /** Its module, as it was given. */
  readonly path: string;
  /** Options for the function that makes it; none for a hook that is exported as it is. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** What a record says of a hook of one's own. */
export interface OwnHookRecord extends HookPlace {
  /** The same path, from wherever it is repeated. */
  readonly file: string;
  /** SHA-256 of the file; what it imports is not in it. */
  readonly sha256: string;
}

/** A hook of one's own, loaded. */
export interface OwnHook {
  readonly hook: ScaleHook;
  readonly record: OwnHookRecord;
}

/** What a module exports a hook as. */
type Exported = ScaleHook | ((options: Readonly<Record<string, unknown>>) => ScaleHook | Promise<ScaleHook>);

/** One hook; several options make several. */
export const hookPlaces: Kind<readonly HookPlace[]> = {
  placeholder: "FILE[?NAME=VALUE&…]",
  parse: (value) => {
    const [path = "", ...rest] = value.split("?");
    if (path === "" || isUrl(path)) {
      throw new RangeError(
        'must be a module on this machine, with its options if it has any, like "./mine.ts" or "./mine.ts?strength=2"',
      );
    }
    const given = [...new URLSearchParams(rest.join("?"))];
    const names = new Set(given.map(([name]) => name));
    if (names.size < given.length || names.has("")) {
      throw new RangeError(
        'must have each option once, by its name, like "./mine.ts?strength=2&scales=[1,2]"',
      );
    }
    return [{ path, options: Object.fromEntries(given.map(([name, text]) => [name, valueOf(text)])) }];
  },
};

/** A value as JSON has it, and any other text as it is. */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A hook's name in names of files and variants: that of its file. */
export function hookFileName({ path }: HookPlace): string {
  return /([^/\\]*?)(\.[^./\\]*)?$/.exec(path)![1]!;
}

/**
 * Loads hooks.
 *
 * @throws {UsageError} If a file is not there, no module, or exports no hook.
 */
export async function openHooks(places: readonly HookPlace[]): Promise<readonly OwnHook[]> {
  const opened: OwnHook[] = [];
  for (const place of places) opened.push(await openHook(place));
  return opened;
}

async function openHook(place: HookPlace & { readonly file?: string }): Promise<OwnHook> {
  const { path, options, file = resolve(path) } = place;
  const fail = (why: string, cause?: unknown): never => {
    throw new UsageError(`Option --hook ${path}: ${why}`, { cause });
  };
  const bytes = await Deno.readFile(file).catch((error) => {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return fail(`it must be a module that is there: ${systemReason(error)}`, error);
  });
  const module = await import(pathToFileURL(file).href).catch((error) => {
    return fail(`it cannot be loaded: ${messageOf(error)}`, error);
  }) as Readonly<Record<string, unknown>>;
  const exported = (module.default ?? module.hook) as Exported | undefined;
  if (exported === undefined || exported === null) {
    const names = Object.keys(module);
    fail(
      `it must export a hook, as its default or by the name "hook": it exports ${
        names.length === 0 ? "nothing" : names.join(", ")
      }`,
    );
  }
  if (typeof exported !== "function" && Object.keys(options).length > 0) {
    fail("it takes no options, as what it exports is a hook, and no function that makes one");
  }
  let hook = exported as ScaleHook;
  if (typeof exported === "function") {
    try {
      hook = await exported(options);
    } catch (error) {
      fail(messageOf(error), error);
    }
  }
  if (typeof hook !== "object" || hook === null || typeof hook.name !== "string") {
    fail("what it exports must be a hook, an object with a name, or a function that makes one");
  }
  return { hook: named(hook, path), record: { path, options, file, sha256: await sha256(bytes) } };
}

/** The same hook, which says where it comes from when it fails. */
function named(hook: ScaleHook, path: string): ScaleHook {
  const { name, scales, lanes, shadows, coupled, settings } = hook;
  const failed = (part: string, error: unknown): Error => {
    const message = `The hook ${JSON.stringify(name)} of ${path} failed in ${part}: ${messageOf(error)}`;
    if (error instanceof RangeError) return new RangeError(message, { cause: error });
    if (error instanceof TypeError) return new TypeError(message, { cause: error });
    return new Error(message, { cause: error });
  };
  const acting = <Result>(
    part: string,
    act: ((step: ScaleStep) => Result | Promise<Result>) | undefined,
  ): ((step: ScaleStep) => Promise<Result>) | undefined => {
    // What is no function, the library refuses by name.
    if (typeof act !== "function") return act;
    return async (step) => {
      try {
        return await act.call(hook, step);
      } catch (error) {
        // These are not the hook's doing.
        const { signal } = step.request;
        const ended = signal?.aborted && signal.reason === error;
        if (ended || error instanceof DeviceLostError || error instanceof OutOfMemoryError) throw error;
        throw failed(`${part} on scale ${step.scale}`, error);
      }
    };
  };
  const { combine, guide, choose, gather, plan } = hook;
  const parts: Partial<ScaleHook> = {
    scales: typeof scales === "function" ? scales.bind(hook) : scales,
    lanes,
    shadows,
    coupled,
    settings,
    combine: acting("combine", combine),
    guide: acting("guide", guide),
    choose: acting("choose", choose),
    gather: acting("gather", gather),
    plan: plan === undefined ? undefined : (schedule, model) => {
      try {
        return plan.call(hook, schedule, model);
      } catch (error) {
        throw failed("plan", error);
      }
    },
  } as Partial<ScaleHook>;
  const given = Object.entries(parts).filter(([, value]) => value !== undefined);
  return { name, ...Object.fromEntries(given) };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
