/** What is shown while bytes move, by a clock that the test turns. */

import { assertEquals } from "@std/assert";
import { ByteProgress } from "../../../cli/output/byte_progress.ts";
import { Transfer } from "../../../cli/output/hub_model.ts";

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

Deno.test("A terminal sees one line again and again, which goes in the end", () => {
  const lines = shown(true, 10);
  assertEquals(lines, [
    "\r\x1b[2Kconverting 3.0 MiB of 200.0 MiB, 10.0 MiB/s, 19.7 s left",
    "\r\x1b[2Kconverting 6.0 MiB of 200.0 MiB, 10.0 MiB/s, 19.4 s left",
    "\r\x1b[2Kconverting 9.0 MiB of 200.0 MiB, 10.0 MiB/s, 19.1 s left",
    "\r\x1b[2K",
  ]);
});

Deno.test("A log gets a line every ten seconds, and none for what is quick", () => {
  assertEquals(shown(false, 99), []);
  assertEquals(shown(false, 200), [
    "varscale: converting 102.0 MiB of 200.0 MiB, 10.0 MiB/s, 9.8 s left\n",
  ]);
});

Deno.test("Nothing shown, nothing to take away", () => assertEquals(shown(true, 1), []));

Deno.test("Of several downloads each has its own pace and the line says which it is", () => {
  const lines: string[] = [];
  let time = 0;
  const io = {
    out: () => {},
    err: (text: string) => void lines.push(text),
    terminal: true,
    signal: new AbortController().signal,
  };
  const transfer = new Transfer(io, { now: () => time });
  for (const [file, rate] of [["a.pth", 10], ["b.pth", 20]] as const) {
    for (let turn = 0; turn < 5; turn++) {
      transfer.report({ file, bytes: turn * rate * MIB / 10, total: 200 * MIB });
      time += 100;
    }
  }
  transfer[Symbol.dispose]();
  const clear = "\r\x1b[2K";
  assertEquals(lines, [
    `${clear}downloading a.pth 3.0 MiB of 200.0 MiB, 10.0 MiB/s, 19.7 s left`,
    clear,
    `${clear}downloading b.pth 6.0 MiB of 200.0 MiB, 20.0 MiB/s, 9.7 s left`,
    clear,
  ]);
});
