/**
 * How a repository on the Hugging Face hub is named: `hf:owner/name`, with a checkpoint behind it where it
 * holds several that nothing else tells apart, and `@revision` where it is not the newest state.
 *
 * @module
 */

import { join, relative } from "node:path";
import { shown } from "../../kernels/arguments.ts";

/** A repository of models on the Hugging Face hub, at one of its revisions. */
export interface HubPlace {
  /** Owner and name, as in `FoundationVision/var`. */
  readonly repository: string;
  /** Branch, tag or commit; `"main"` is what most repositories call their newest state. */
  readonly revision: string;
  /** One of its checkpoints, with slashes where it lies in a folder; the repository as a whole without it. */
  readonly file?: string;
}

/**
 * Reads what names a repository. Texts that do not begin with `hf:` name something else, a path for example.
 *
 * @param text `hf:owner/name`, `hf:owner/name/file.pth`, or either with `@revision`.
 * @returns The repository, or `undefined` if the text names something else.
 * @throws {TypeError} If the text begins with `hf:` and does not go on as it must.
 *
 * @example
 * ```ts
 * import { parseHubPlace } from "./place.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseHubPlace("hf:FoundationVision/var"), {
 *   repository: "FoundationVision/var",
 *   revision: "main",
 * });
 * assertEquals(parseHubPlace("hf:FoundationVision/var@v1.0")?.revision, "v1.0");
 * assertEquals(parseHubPlace("hf:Zigeng/VAR_CoDe/drafter_8.pth")?.file, "drafter_8.pth");
 * assertEquals(parseHubPlace("models/var"), undefined);
 * ```
 */
export function parseHubPlace(text: string): HubPlace | undefined {
  if (!text.startsWith("hf:")) return undefined;
  const refuse = (reason: string): never => {
    throw new TypeError(
      `Cannot find a repository of the Hugging Face hub as ${reason}, like "hf:FoundationVision/var": current value is ${
        shown(text)
      }`,
    );
  };
  const [, name, revision] = /^hf:(?:\/\/)?([^@]*)(?:@(.*))?$/s.exec(text) as unknown as string[];
  const [, repository, file] = /^([^/]*\/[^/]*)\/(.+)$/s.exec(name!) ?? ["", name!];
  const parts = repository!.split("/");
  // The rules of the hub's own libraries; "--" separates owner and name in the cache.
  if (parts.length !== 2 || !parts.every((part) => /^\w([\w.-]*\w)?$/.test(part) && !/--|\.\./.test(part))) {
    refuse("its name must be an owner and a name");
  }
  if (file !== undefined && !(CHECKPOINT.test(file) && isRelativePath(file))) {
    refuse("what is behind its owner and name must be a checkpoint");
  }
  if (revision !== undefined && !isRelativePath(revision)) {
    refuse("the revision behind @ must be a branch, a tag or a commit");
  }
  return { repository: repository!, revision: revision ?? "main", ...(file !== undefined && { file }) };
}

/** Files that may be named behind a repository. */
const CHECKPOINT = /\.(pth|pt|bin|safetensors|index\.json)$/i;

/** The beginning of what the hub shows of a repository, with or without a revision. */
const HUB_PAGE =
  /^(?:https?:\/\/)?(?:www\.)?(?:huggingface\.co|hf\.co)\/([^/?#]+\/[^/?#]+)(?:\/(?:tree|blob)\/([^/?#]+))?/i;
/** What lies under `resolve` are files; `datasets/owner` and the like are no repositories of models. */
const NO_PAGE = /\/(?:[^/?#]+\/[^/?#]+\/resolve|datasets|spaces|docs|api|papers|blog)\//i;

/**
 * What a text that names nothing was most likely meant to be: a repository without `hf:`, the address of its
 * page, or a path of which nobody has replaced the `~`.
 *
 * @param text A path, absolute or not, or an address.
 * @returns What names it, or `undefined` if the text looks like none of these.
 *
 * @example
 * ```ts
 * import { suggestPlace } from "./place.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(suggestPlace("FoundationVision/var"), "hf:FoundationVision/var");
 * const page = "https://huggingface.co/FoundationVision/var/tree/v1";
 * assertEquals(suggestPlace(page), "hf:FoundationVision/var@v1");
 * assertEquals(suggestPlace("models/small/var"), undefined);
 * ```
 */
export function suggestPlace(text: string): string | undefined {
  const place = /^(https?|file):/i.test(text) ? text : fromHere(text).replaceAll("\\", "/");
  if (/^~(\/|$)/.test(place)) {
    const home = homeFolder();
    return home === undefined ? undefined : join(home, place.slice(1));
  }
  const page = HUB_PAGE.exec(place);
  if (page !== null && NO_PAGE.test(place)) return undefined;
  const [, repository, revision] = page ?? [];
  const name = page === null ? `hf:${place}` : `hf:${repository}${revision ? `@${revision}` : ""}`;
  try {
    return describePlace(parseHubPlace(name)!);
  } catch {
    return undefined;
  }
}

/** A path as it may have been written: from the current folder, if it lies in there and that may be told. */
function fromHere(path: string): string {
  // Whoever asks for the current folder without leave has a person prompted.
  if (Deno.permissions.querySync({ name: "read", path: "." }).state !== "granted") return path;
  const way = relative(Deno.cwd(), path);
  return way.startsWith("..") ? path : way;
}

/** The user's folder, if the environment may be asked for it. */
export function homeFolder(): string | undefined {
  const variable = Deno.build.os === "windows" ? "USERPROFILE" : "HOME";
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) || undefined : undefined;
}

/** The text that names a place. */
export function describePlace({ repository, revision, file }: HubPlace): string {
  return `hf:${repository}${file === undefined ? "" : `/${file}`}${
    revision === "main" ? "" : `@${revision}`
  }`;
}

/** Whether a revision names one state forever, as branches and tags do not. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** Whether a name with slashes stays within the folder that it is joined to, on every system. */
export function isRelativePath(name: string): boolean {
  // deno-lint-ignore no-control-regex
  return name.split("/").every((part) => /^[^\\:*?"<>|\x00-\x1f]+$/.test(part) && !/^\.+$/.test(part));
}
