/**
 * Writes `kernels/pairs/pairs_module.ts`: the binary form of `pairs_text.ts`.
 *
 * ```sh
 * deno run --allow-write=kernels tools/pairs/write_module.ts
 * ```
 *
 * @module
 */

import { assemble } from "./assemble.ts";
import { pairsText } from "./pairs_text.ts";

/** Pages of 64 KiB: the arrays of `kernels/pairs/pairs.ts`. */
const PAGES = 13;
const COLUMNS = 100;

/** What the file holds. */
export function moduleSource(): string {
  const text = btoa(String.fromCharCode(...assemble(pairsText(PAGES))));
  const lines = text.match(new RegExp(`.{1,${COLUMNS}}`, "g"))!.map((line) => `  "${line}",`);
  return `/**
 * The loops of \`pairs.ts\` in WebAssembly: \`tools/pairs/pairs_text.ts\`, made binary by \`write_module.ts\`
 * beside it.
 *
 * @module
 */

/** Pages of its memory, 64 KiB each. */
export const PAIRS_PAGES = ${PAGES};

/** The module in base64. */
export const PAIRS_MODULE: string = [
${lines.join("\n")}
].join("");
`;
}

if (import.meta.main) {
  await Deno.writeTextFile(new URL("../../kernels/pairs/pairs_module.ts", import.meta.url), moduleSource());
}
