/** What is shown of downloads, by a clock that the test turns. */

import { assertEquals } from "@std/assert";
import { Transfer } from "../../../cli/output/transfer.ts";

const MIB = 2 ** 20;

Deno.test("Transfer: of several downloads each has its own pace and the line says which it is", () => {
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

Deno.test("Transfer: a file that is checked is not said to be downloaded", () => {
  const lines: string[] = [];
  let time = 0;
  const io = {
    out: () => {},
    err: (text: string) => void lines.push(text),
    terminal: true,
    signal: new AbortController().signal,
  };
  const transfer = new Transfer(io, { now: () => time });
  transfer.report({ file: "a.pth", bytes: 0, total: 2 * MIB, checking: true });
  time = 1000;
  transfer.report({ file: "a.pth", bytes: MIB, total: 2 * MIB, checking: true });
  transfer.report({ file: "a.pth", bytes: 0, total: 2 * MIB });
  transfer[Symbol.dispose]();
  assertEquals(lines[0], "\r\x1b[2Kchecking a.pth 1.0 MiB of 2.0 MiB, 1.0 MiB/s, 1.0 s left");
});
