/** Work that was interrupted, by whatever and wherever. */

import { assertEquals, assertRejects } from "@std/assert";
import { type JournalSubject, RowsJournal, type SaidRows } from "../../../evaluation/files/rows_journal.ts";
import { ModelFileError } from "../../../models/mod.ts";
import { filesIn, testInFolder } from "../../cli/run.ts";

const subject: JournalSubject = {
  network: { name: "own", fingerprint: "1" },
  pictures: "abc",
  outputs: ["features", "logits"],
};

/** What is said of pictures from `first` on. */
function said(first: number, count: number): SaidRows {
  const rows = (dimensions: number, sign: number) => ({
    values: Float32Array.from({ length: count * dimensions }, (_, i) => sign * (first * dimensions + i)),
    count,
    dimensions,
  });
  return { features: rows(3, 1), logits: rows(2, -1) };
}

async function readAll(journal: RowsJournal): Promise<SaidRows[]> {
  return await Array.fromAsync(journal.read());
}

testInFolder("RowsJournal: what was written is read, over any number of openings", async (folder) => {
  const path = `${folder}/rows.part`;
  for (const [first, count] of [[0, 2], [2, 300], [302, 1]] as const) {
    using journal = await RowsJournal.open(path, subject);
    assertEquals(journal.done, first);
    await journal.append(said(first, count));
    assertEquals(journal.done, first + count);
  }
  using journal = await RowsJournal.open(path, subject);
  assertEquals(await readAll(journal), [said(0, 256), said(256, 47)]);
  await journal.remove();
  assertEquals(filesIn(folder), []);
});

testInFolder(
  "RowsJournal: wherever it was cut, whole pictures count and the rest is written anew",
  async (folder) => {
    const path = `${folder}/rows.part`;
    {
      using journal = await RowsJournal.open(path, subject);
      await journal.append(said(0, 3));
    }
    const whole = await Deno.readFile(path);
    const record = 5 * 4;
    const start = whole.length - 3 * record;
    for (const length of [0, 5, 8, start - 1, start, start + 1, start + record, start + 2 * record + 19]) {
      await Deno.writeFile(path, whole.subarray(0, length));
      using journal = await RowsJournal.open(path, subject);
      const { done } = journal;
      assertEquals(done, Math.max(0, Math.floor((length - start) / record)), `${length}`);
      await journal.append(said(done, 3 - done));
      assertEquals(await readAll(journal), [said(0, 3)], `${length}`);
    }
    assertEquals(await Deno.readFile(path), whole);
  },
);

testInFolder("RowsJournal: one of something else is refused, and left as it is", async (folder) => {
  const path = `${folder}/rows.part`;
  const refused = async (other: Partial<JournalSubject>, message: string): Promise<void> => {
    await assertRejects(() => RowsJournal.open(path, { ...subject, ...other }), ModelFileError, message);
  };
  {
    using journal = await RowsJournal.open(path, subject);
    await journal.append(said(0, 1));
  }
  await refused({ network: { name: "own", fingerprint: "2" } }, "as another network made it");
  await refused({ pictures: "abd" }, "as it is of other pictures");
  await refused({ outputs: ["features"] }, "as other metrics are taken");
  await Deno.writeFile(path, new TextEncoder().encode("somebody's text, which is no journal"));
  await refused({}, "expected varscale-rows-journal, found another file");
  const bytes = new Uint8Array(10);
  new DataView(bytes.buffer).setBigUint64(0, 2n, true);
  bytes.set(new TextEncoder().encode("{}"), 8);
  await Deno.writeFile(path, bytes);
  await refused({}, "expected varscale-rows-journal, found another file");
  assertEquals(await Deno.readFile(path), bytes);
});

testInFolder("RowsJournal: one in which nothing was written leaves no file", async (folder) => {
  {
    using journal = await RowsJournal.open(`${folder}/rows.part`, subject);
    assertEquals(await readAll(journal), []);
  }
  assertEquals(filesIn(folder), []);
});

testInFolder("RowsJournal: two at a time are refused", async (folder) => {
  const path = `${folder}/rows.part`;
  using journal = await RowsJournal.open(path, subject);
  await journal.append(said(0, 1));
  await assertRejects(() => RowsJournal.open(path, subject), Error, `${path}: another process is at it`);
});

testInFolder("RowsJournal: what the system refuses is told with the file", async (folder) => {
  const path = `${folder}/rows.part`;
  using journal = await RowsJournal.open(path, subject);
  const { write } = Deno.FsFile.prototype;
  const full = Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
  Deno.FsFile.prototype.write = () => Promise.reject(full);
  try {
    await assertRejects(() => journal.append(said(0, 1)), Error, `Cannot write ${path}: the disk is full`);
  } finally {
    Deno.FsFile.prototype.write = write;
  }
});
