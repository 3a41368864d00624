/**
 * Files and texts of the command line.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../../../cli/io.ts";
import {
  absolute,
  duration,
  formatJson,
  plural,
  readClassNames,
  size,
  slug,
  writeWhole,
} from "../../../cli/output/files.ts";
import { filesIn, testInFolder } from "../run.ts";

Deno.test("JSON keeps every value, lists of numbers on one line", () => {
  const value = {
    numbers: Array.from({ length: 200 }, (_, i) => i / 3),
    nested: [{ a: [], b: {}, c: null }, ["x".repeat(200), 'quote " and \n']],
    gone: undefined,
    seed: 2n ** 64n - 1n,
  };
  const text = formatJson(value);
  const { gone: _gone, ...rest } = value;
  assertEquals(JSON.parse(text), { ...rest, seed: "18446744073709551615" });
  assertEquals(text.split("\n").filter((line) => line.includes('"numbers"')).length, 1);
  assertEquals(formatJson({ a: 1, b: ["c"] }), '{ "a": 1, "b": ["c"] }');
});

Deno.test("Names, numbers and times as people write them", () => {
  assertEquals(slug("Red Torus!"), "red-torus");
  assertEquals(slug("tench, Tinca tinca"), "tench-tinca-tinca");
  assertEquals(slug("../../etc"), "etc");
  assertEquals(slug("…"), "image");
  assertEquals([size(812), size(1024), size(15.5 * 2 ** 20), size(2 ** 31 - 1)], [
    "812 bytes",
    "1.0 KiB",
    "15.5 MiB",
    "2.0 GiB",
  ]);
  assertEquals([duration(12.4), duration(999.6), duration(59_949), duration(59_951), duration(245_000)], [
    "12 ms",
    "1.0 s",
    "59.9 s",
    "1 min 00 s",
    "4 min 05 s",
  ]);
  assertEquals([duration(3_599_400), duration(3_599_600), duration(111_720_000)], [
    "59 min 59 s",
    "1 h 00 min",
    "31 h 02 min",
  ]);
  assertEquals([plural(1, "image"), plural(2, "image")], ["1 image", "2 images"]);
  assertEquals(absolute("https://example.org/model"), "https://example.org/model");
  assertEquals(absolute("models/a/../b"), `${Deno.cwd()}/models/b`);
});

testInFolder("A file is written whole or not at all", async (folder) => {
  await writeWhole(`${folder}/a`, "first");
  await writeWhole(`${folder}/a`, "second");
  assertEquals(await Deno.readTextFile(`${folder}/a`), "second");
  await Deno.mkdir(`${folder}/taken`);
  await assertRejects(() => writeWhole(`${folder}/taken`, "content"));
  assertEquals(filesIn(folder), ["a", "taken"]);
});

testInFolder("Class names are a JSON list of texts", async (folder) => {
  const file = `${folder}/names.json`;
  await Deno.writeTextFile(file, '["cat", "dog"]');
  assertEquals(await readClassNames(file), ["cat", "dog"]);
  await Deno.writeTextFile(file, '{"0": "cat"}');
  await assertRejects(() => readClassNames(file), UsageError, "must be a JSON list of texts");
  await Deno.writeTextFile(file, "[");
  await assertRejects(() => readClassNames(file), UsageError, `Cannot read ${file}`);
  await assertRejects(() => readClassNames(`${folder}/none`), UsageError, "no such file");
});
