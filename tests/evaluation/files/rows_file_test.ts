/** Rows that are kept, and those that are of something else. */

import { assertEquals, assertRejects } from "@std/assert";
import { readRows, requireNetwork, writeRows } from "../../../evaluation/files/rows_file.ts";
import { ModelFileError, writeSafetensors } from "../../../models/mod.ts";
import { filesIn, testInFolder } from "../../cli/run.ts";

const network = { name: "inception-fid", fingerprint: "6726825d" };
const features = { values: new Float32Array([1, 2, 3, 4, 5, 6]), count: 3, dimensions: 2 };
const logits = { values: new Float32Array([0, 1, 0]), count: 3, dimensions: 1 };

testInFolder(
  "readRows: what was written, with labels, of the same network and pictures only",
  async (folder) => {
    const path = `${folder}/rows.safetensors`;
    const kept = { network, pictures: "abc", rows: { features, logits }, labels: [7, 0, 999] };
    await writeRows(path, kept);
    assertEquals(await readRows(path, { network, pictures: "abc" }), kept);
    const refused = async (options: Parameters<typeof readRows>[1], message: string): Promise<void> => {
      await assertRejects(() => readRows(path, options), ModelFileError, message);
    };
    await refused(
      { network: { ...network, name: "clip" } },
      "expected clip 6726825d, found inception-fid 6726825d",
    );
    await refused({ network: { ...network, fingerprint: "0" } }, "as another network made them");
    await refused({ pictures: "abd" }, "as they are of other pictures");
  },
);

testInFolder("readRows: another file, and numbers that are not finite, are refused", async (folder) => {
  const path = `${folder}/rows.safetensors`;
  await writeSafetensors(path, []);
  await assertRejects(() => readRows(path), ModelFileError, "expected rows that were kept by varscale");
  const values = new Float32Array([1, Infinity, 3, 4, 5, 6]);
  await writeRows(path, { network, pictures: "abc", rows: { features: { ...features, values } } });
  await assertRejects(
    () => readRows(path),
    ModelFileError,
    "expected finite numbers, found Infinity in features",
  );
});

testInFolder("writeRows: rows of two numbers of pictures are not written", async (folder) => {
  const two = { ...logits, values: new Float32Array(2), count: 2 };
  const path = `${folder}/rows.safetensors`;
  await assertRejects(
    () => writeRows(path, { network, pictures: "abc", rows: { features, logits: two } }),
    TypeError,
    "current numbers are [3, 2]",
  );
  await assertRejects(
    () => writeRows(path, { network, pictures: "abc", rows: { features }, labels: [1] }),
    TypeError,
    "current numbers are [3, 1]",
  );
  assertEquals(filesIn(folder), []);
});

Deno.test("requireNetwork: one network is the same as itself only", () => {
  requireNetwork("a.npz", network, { ...network }, "Cannot compare");
});
