/**
 * JSON that people read and programs parse: records, reports, and what `--json` prints.
 *
 * @module
 */

/**
 * JSON for people and programs: lists of numbers and whatever is short stay on one line. Seeds beyond 2^53
 * become texts.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const value = { seed: 2n ** 53n, scales: [1, 2] };
 * assertEquals(formatJson(value), '{ "seed": "9007199254740992", "scales": [1, 2] }');
 * ```
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
