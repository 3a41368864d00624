/**
 * Texts laid out for a terminal: broken into lines, and in columns.
 *
 * @module
 */

/** Breaks a text at spaces into lines of at most `width` characters. */
export function wrap(content: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of content.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** Two columns of texts. */
export function columns(rows: readonly (readonly [string, string])[], indent: string = ""): string {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `${indent}${left.padEnd(width)}  ${right}\n`).join("");
}
