/**
 * The progress of long commands, on a clock of the test's own.
 */

import { assert, assertEquals } from "@std/assert";
import { Progress } from "../../../cli/output/progress.ts";

/** A progress and what it has written; a batch takes `milliseconds`. */
function begin(
  options: { terminal: boolean; total: number; done?: number; quiet?: boolean; noun?: string },
) {
  const { terminal, quiet = false, ...counts } = options;
  const lines: string[] = [];
  let time = 0;
  const signal = new AbortController().signal;
  const io = { out: () => {}, err: (text: string) => lines.push(text), terminal, signal };
  const progress = new Progress(io, { ...counts, quiet, now: () => time });
  const batch = (images: number, milliseconds: number): void => {
    time += milliseconds;
    for (let i = 0; i < images; i++) progress.image();
    progress.batch();
  };
  return { progress, lines, batch };
}

Deno.test("Progress: without a terminal there is a line at once, and then one now and then", () => {
  const { lines, batch } = begin({ terminal: false, total: 50_000, done: 400 });
  batch(8, 4000);
  assertEquals(lines, ["varscale: 408 of 50000 images, 4.0 s, 2.0 images/s, 6 h 53 min left\n"]);
  for (let i = 0; i < 6000; i++) batch(8, 250);
  // 25 minutes, with a line every 10 seconds.
  assertEquals(lines.length, 1 + 150);
  assertEquals(lines.at(-1), "varscale: 48408 of 50000 images, 25 min 04 s, 32.0 images/s, 49.8 s left\n");
  assert(lines.every((line) => !line.includes("\x1b")));
});

Deno.test("Progress: a slow run tells the time per image, and failures count", () => {
  const { progress, lines, batch } = begin({ terminal: false, total: 4 });
  batch(1, 90_000);
  progress.failure();
  batch(0, 90_000);
  assertEquals(lines, [
    "varscale: 1 of 4 images, 1 min 30 s, 1 min 30 s per image, 4 min 30 s left\n",
    "varscale: 1 of 4 images, 1 failed, 3 min 00 s, 1 min 30 s per image, 3 min 00 s left\n",
  ]);
  assertEquals(progress.done, 1);
});

Deno.test("Progress: on a terminal one line is drawn again, and taken away", () => {
  const { progress, lines, batch } = begin({ terminal: true, total: 10 });
  progress.draw("batch 1/5");
  batch(2, 1000);
  progress.draw("");
  progress.clear();
  progress.clear();
  assertEquals(lines, [
    "\r\x1b[2Kbatch 1/5  images 0/10  0 ms",
    "\r\x1b[2Kimages 2/10  1.0 s  2.0 images/s  4.0 s left",
    "\r\x1b[2K",
  ]);
});

Deno.test("Progress: the line of a terminal is cut to 79 columns, between characters", () => {
  const { progress, lines } = begin({ terminal: true, total: 10 });
  progress.draw(`a${"円錐".repeat(30)}`);
  assertEquals(lines, [`\r\x1b[2Ka${"円錐".repeat(19)}円`]);
});

Deno.test("Progress: who wants quiet has it", () => {
  for (const terminal of [true, false]) {
    const { progress, lines, batch } = begin({ terminal, total: 10, quiet: true });
    batch(2, 1000);
    progress.draw("x");
    progress.clear();
    assertEquals(lines, []);
  }
});

Deno.test("Progress: what is counted may be something else than images", () => {
  const { lines, batch } = begin({ terminal: false, total: 9, noun: "prompt" });
  batch(3, 1000);
  batch(3, 90_000);
  assertEquals(lines[0], "varscale: 3 of 9 prompts, 1.0 s, 3.0 prompts/s, 2.0 s left\n");
  assertEquals(lines[1]!.includes(" per prompt, "), true);
});
