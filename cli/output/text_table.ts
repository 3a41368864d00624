/**
 * Tables for a terminal: columns as wide as their widest cell, numbers as they come.
 *
 * @module
 */

import { printableLine } from "./printable.ts";
import { padColumns, textWidth } from "./text_width.ts";

/**
 * Lays out a table, with a line under its heads.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(textTable(["N", "share"], [["10", "18 %"]]), "N   share\n--  -----\n10  18 %\n");
 * ```
 */
export function textTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heads, ...rows].map((cells) => cells.map(printableLine));
  const widths = heads.map((_, column) => Math.max(...lines.map((cells) => textWidth(cells[column] ?? ""))));
  const [head, ...body] = lines.map((cells) => {
    return widths.map((width, column) => padColumns(cells[column] ?? "", width)).join("  ").trimEnd();
  });
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  return [head!, rule, ...body, ""].join("\n");
}
