import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type PicturesRecord,
  readRecords,
  readStoredRows,
  RecordsFile,
  requireSame,
  type RowRecord,
  saysMore,
  unitKey,
} from "../../../evaluation/sweep/records.ts";

const WHOLE = { part: 1, parts: 1 };

/** Pictures of a subject whose numbers lie at some place. */
function record(subject: number, at: number): PicturesRecord {
  return {
    ...{
      kind: "pictures",
      row: "demo.plain",
      seed: 1,
      subject,
      pictures: [{ right: true }, { right: false }],
    },
    ...{ flops: 1, seconds: 1, rows: { features: { at, dimensions: 2 } } },
  };
}

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const rows = (...values: number[]) => ({
  values: Float32Array.from(values),
  count: values.length / 2,
  dimensions: 2,
});

Deno.test("RecordsFile: goes on after half a line and numbers that no line tells of", () =>
  inFolder(async (folder) => {
    {
      using file = await RecordsFile.open(folder, WHOLE);
      assertEquals(await file.store(rows(1, 2, 3, 4)), { at: 0, dimensions: 2 });
      await file.append(record(0, 0));
      await file.store(rows(5, 6, 7, 8));
    }
    const path = `${folder}/records-1-of-1.jsonl`;
    await Deno.writeTextFile(path, `${await Deno.readTextFile(path)}{"kind":"pict`);
    {
      using file = await RecordsFile.open(folder, WHOLE);
      assertEquals(await file.store(rows(9, 10, 11, 12)), { at: 4, dimensions: 2 });
      await file.append(record(7, 4));
    }
    const { pictures } = await readRecords(folder);
    assertEquals([...pictures.values()].map(({ subject }) => subject), [0, 7]);
    const stored = await readStoredRows(folder, [...pictures.values()].reverse(), "features");
    assertEquals([stored!.count, [...stored!.values]], [4, [9, 10, 11, 12, 1, 2, 3, 4]]);
    assertEquals(await readStoredRows(folder, [...pictures.values()], "logits"), undefined);
    await Deno.truncate(`${folder}/records-1-of-1.f32`, 12);
    await assertRejects(
      () => RecordsFile.open(folder, WHOLE),
      Error,
      "records-1-of-1.f32 as it ends before what its records tell of: where it and records-1-of-1.jsonl are removed",
    );
    const read = () => readStoredRows(folder, [...pictures.values()], "features");
    await assertRejects(read, Error, "it ends before");
    await Deno.remove(`${folder}/records-1-of-1.f32`);
    await assertRejects(read, Error, "it ends before");
  }));

Deno.test("readRecords: parts join, doubles count once, and a row that somebody could run is not missing", () =>
  inFolder(async (folder) => {
    const model = {
      kind: "model",
      name: "demo",
      identity: { provider: "wasm" },
      facts: {},
      groups: [],
    } as const;
    for (const part of [1, 2]) {
      using file = await RecordsFile.open(folder, { part, parts: 2 });
      await file.append(model);
      await file.append({
        kind: "row",
        id: "a",
        planned: 3,
        ...(part === 1 ? {} : { missing: "no weights" }),
      });
      await file.append({
        kind: "row",
        id: "b",
        planned: 3,
        ...(part === 2 ? {} : { missing: "no weights" }),
      });
      await file.append(record(5, 0));
      await file.append(record(part, 0));
    }
    const { models, rows, pictures } = await readRecords(folder);
    assertEquals([models.size, [...rows.values()].map(({ missing }) => missing)], [1, [
      undefined,
      undefined,
    ]]);
    assertEquals(
      [...pictures.keys()],
      [5, 1, 2].map((subject) => unitKey({ row: "demo.plain", seed: 1, subject })),
    );
    using file = await RecordsFile.open(folder, WHOLE);
    await file.append({ ...model, identity: { provider: "native" } });
    await assertRejects(() => readRecords(folder), Error, 'model "demo" has another provider than before');
  }));

Deno.test("readRecords: a line that is none of ours, whatever it lacks", () =>
  inFolder(async (folder) => {
    const good = JSON.stringify(record(0, 0));
    const lines = [
      ...["no", "", "null", "3", "[]", "{}", '{"kind":"luck"}', good.slice(0, -9)],
      ...['{"kind":"row","id":"a"}', '{"kind":"model","name":"demo","identity":{}}'],
      ...[{ subject: -1 }, { seed: "1" }, { pictures: 2 }, { pictures: [null] }, { seconds: null }].map(
        (change) => {
          return JSON.stringify({ ...record(0, 0), ...change });
        },
      ),
      JSON.stringify({ ...record(0, 0), rows: { features: { at: 0 } } }),
    ];
    const file = `${folder}/records-1-of-1.jsonl`;
    for (const line of lines) {
      await Deno.writeTextFile(file, `${good}\n${line}\n`);
      const words =
        "Cannot read line 2 of records-1-of-1.jsonl as it is no record of a sweep: where it is taken out";
      await assertRejects(() => readRecords(folder), Error, words, line);
      await assertRejects(() => RecordsFile.open(folder, WHOLE), Error, words, line);
    }
    assertEquals(await Deno.readTextFile(file), `${good}\n${lines.at(-1)}\n`);
  }));

Deno.test("RecordsFile: what is cut off in the middle of a letter takes nothing else along", () =>
  inFolder(async (folder) => {
    const line = new TextEncoder().encode(`${JSON.stringify({ ...record(0, 0), row: "α" })}\n`);
    // The second half of the letter is lost, in the middle of the first line and at the end of the file.
    const place = line.indexOf(0xce);
    const bytes = Uint8Array.from([
      ...line.subarray(0, place + 1),
      ...line.subarray(place + 2),
      ...line,
      0xce,
    ]);
    await Deno.writeFile(`${folder}/records-1-of-1.jsonl`, bytes);
    await Deno.writeFile(`${folder}/records-1-of-1.f32`, new Uint8Array(16));
    {
      using _file = await RecordsFile.open(folder, WHOLE);
    }
    assertEquals(await Deno.readFile(`${folder}/records-1-of-1.jsonl`), bytes.slice(0, -1));
  }));

Deno.test("saysMore: what could be run is not missing, and a model knows better why than none", () => {
  const row = (planned: number, missing?: string): RowRecord => {
    return { kind: "row", id: "a", planned, ...(missing === undefined ? {} : { missing }) };
  };
  const [none, misfit, run] = [row(0, "no weights"), row(4, "no such scale"), row(4)];
  const before = [undefined, none, misfit, run];
  assertEquals(before.map((known) => saysMore(none, known)), [true, false, false, false]);
  assertEquals(before.map((known) => saysMore(misfit, known)), [true, true, false, false]);
  assertEquals(before.map((known) => saysMore(run, known)), [true, true, true, false]);
});

Deno.test("requireSame: prompts that have changed are other pictures; older records do not say", () => {
  const model = (subjects?: string) => ({
    ...{ name: "t2i", identity: {} },
    ...(subjects === undefined ? {} : { subjects }),
  });
  requireSame("F", model(), model("a"));
  requireSame("F", model("a"), model("a"));
  assertThrows(() => requireSame("F", model("a"), model("b")), Error, '"t2i" has other subjects than before');
});
