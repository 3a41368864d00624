import { assertEquals, assertRejects } from "@std/assert";
import {
  type PicturesRecord,
  readRecords,
  readStoredRows,
  RecordsFile,
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
      "must be 32 bytes long at least: current value is 12",
    );
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

Deno.test("readRecords: a line that is none of ours", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/records-1-of-1.jsonl`, "{}\nno\n");
    await assertRejects(() => readRecords(folder), Error, "Cannot read line 2 of records-1-of-1.jsonl");
  }));
