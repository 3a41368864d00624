/**
 * Texts of anybody's as HTML. What the page is made of is left to `report.ts`.
 *
 * @module
 */

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** A text that is only text, in elements and in quotes. */
export function escapeHtml(text: string): string {
  return withoutHiddenMarks(text).replace(/[&<>"']/g, (mark) => ENTITIES[mark] as string);
}

/** A text in which marks are replaced that no page may hold, or that turn the direction of what follows. */
export function withoutHiddenMarks(text: string): string {
  // deno-lint-ignore no-control-regex
  const hidden = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g;
  return text.toWellFormed().replace(hidden, "\ufffd");
}

/** Paragraphs of a text that has empty lines between them. */
export function htmlParagraphs(text: string): string {
  return text.split(/\r?\n\s*\r?\n/)
    .map((paragraph) => paragraph.trim())
    .filter((paragraph) => paragraph !== "")
    .map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`)
    .join("\n");
}
