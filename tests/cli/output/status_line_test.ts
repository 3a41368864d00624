/**
 * The line that is drawn again and again.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { StatusLine } from "../../../cli/output/status_line.ts";

Deno.test("StatusLine erases before it draws, cuts what does not fit, and is taken away once", () => {
  const written: string[] = [];
  const line = new StatusLine({
    out: () => {},
    err: (text) => void written.push(text),
    terminal: true,
    signal: new AbortController().signal,
  });
  line.clear();
  line.draw("1 of 2");
  line.draw("x".repeat(100));
  line.clear();
  line.clear();
  const erase = "\r\x1b[2K";
  assertEquals(written, [`${erase}1 of 2`, `${erase}${"x".repeat(79)}`, erase]);
});
