/**
 * Files of the Hugging Face hub, in the cache that its own libraries use.
 *
 * @module
 */

export { type HubFile, hubFile, hubFileNames, hubModelFolder } from "./file.ts";
export { HubError, type HubFailure } from "./hub_error.ts";
export { describePlace, type HubPlace, parseHubPlace, suggestPlace } from "./place.ts";
export type { DownloadProgress, HubOptions } from "./settings.ts";
