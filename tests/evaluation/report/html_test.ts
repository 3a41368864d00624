/**
 * Texts of anybody's in a page.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { escapeHtml, htmlParagraphs, withoutHiddenMarks } from "../../../evaluation/report/html.ts";

Deno.test("escapeHtml: nothing in a text is markup, and marks that no page may hold are replaced", () => {
  assertEquals(escapeHtml(`<a b="c" d='e'>&amp;`), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;amp;");
  assertEquals(escapeHtml("a\u0000b\u001bc\ud800d\u202ee\uffff"), "a\ufffdb\ufffdc\ufffdd\ufffde\ufffd");
  assertEquals(escapeHtml("α, N = 50\n"), "α, N = 50\n");
});

Deno.test("htmlParagraphs: empty lines part them, and there may be none", () => {
  assertEquals(htmlParagraphs("a\nb\n\n <c> \r\n\r\n\n"), "<p>a\nb</p>\n<p>&lt;c&gt;</p>");
  assertEquals(htmlParagraphs(" \n"), "");
});

Deno.test("withoutHiddenMarks: keeps lines and tabs, and marks that are shown", () => {
  assertEquals(withoutHiddenMarks("a\tb\n<α>\u200f\u2067\u0085\udc00"), "a\tb\n<α>\u200f\ufffd\ufffd\ufffd");
});
