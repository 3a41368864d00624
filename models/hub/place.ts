/**
 * How a repository on the Hugging Face hub is named: `hf:owner/name`, with `@revision` behind it where it is
 * not the newest state.
 *
 * @module
 */

import { shown } from "../../kernels/arguments.ts";

/** A repository of models on the Hugging Face hub, at one of its revisions. */
export interface HubPlace {
  /** Owner and name, as in `FoundationVision/var`. */
  readonly repository: string;
  /** Branch, tag or commit; `"main"` is what most repositories call their newest state. */
  readonly revision: string;
}

/**
 * Reads what names a repository. Texts that do not begin with `hf:` name something else, a path for example.
 *
 * @param text `hf:owner/name` or `hf:owner/name@revision`.
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
  const [, repository, revision] = /^hf:(?:\/\/)?([^@]*)(?:@(.*))?$/s.exec(text) as unknown as string[];
  const parts = repository!.split("/");
  if (parts.length > 2 && parts.every((part) => part !== "")) {
    refuse("its name must be an owner and a name, without a file behind them");
  }
  // The rules of the hub's own libraries; "--" separates owner and name in the cache.
  if (parts.length !== 2 || !parts.every((part) => /^\w([\w.-]*\w)?$/.test(part) && !/--|\.\./.test(part))) {
    refuse("its name must be an owner and a name");
  }
  if (revision !== undefined && !isRelativePath(revision)) {
    refuse("the revision behind @ must be a branch, a tag or a commit");
  }
  return { repository: repository!, revision: revision ?? "main" };
}

/** The text that names a place. */
export function describePlace({ repository, revision }: HubPlace): string {
  return `hf:${repository}${revision === "main" ? "" : `@${revision}`}`;
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
