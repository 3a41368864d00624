/** What is shown while bytes move, by a clock that the test turns. */

import { assertEquals } from "@std/assert";
import { ByteProgress } from "../../../cli/output/byte_progress.ts";

const MIB = 2 ** 20;

/** Everything that is written while bytes are done, a mebibyte of 200 every 100 ms. */
function shown(terminal: boolean, upTo: number): string[] {
  const lines: string[] = [];
  let time = 5000;
  const io = {
    out: () => {},
    err: (text: string) => void lines.push(text),
    terminal,
    signal: new AbortController().signal,
  };
  const progress = new ByteProgress(io, { what: "converting", now: () => time });
  for (let done = 1; done <= upTo; done++) {
    time += 100;
    progress.show(done * MIB, 200 * MIB);
  }
  progress[Symbol.dispose]();
  return lines;
}

Deno.test("ByteProgress: a terminal sees one line again and again, which goes in the end", () => {
  const lines = shown(true, 10);
  assertEquals(lines, [
    "\r\x1b[2Kconverting 3.0 MiB of 200.0 MiB, 10.0 MiB/s, 19.7 s left",
    "\r\x1b[2Kconverting 6.0 MiB of 200.0 MiB, 10.0 MiB/s, 19.4 s left",
    "\r\x1b[2Kconverting 9.0 MiB of 200.0 MiB, 10.0 MiB/s, 19.1 s left",
    "\r\x1b[2K",
  ]);
});

Deno.test("ByteProgress: a log gets a line every ten seconds, and none for what is quick", () => {
  assertEquals(shown(false, 99), []);
  assertEquals(shown(false, 200), [
    "varscale: converting 102.0 MiB of 200.0 MiB, 10.0 MiB/s, 9.8 s left\n",
  ]);
});

Deno.test("ByteProgress: nothing shown, nothing to take away", () => assertEquals(shown(true, 1), []));
