/** Archives that NumPy has written, and those that it refuses to be. */

import { assertEquals, assertRejects } from "@std/assert";
import { npyHeader } from "../../../evaluation/files/npy.ts";
import { type Npz, openNpz, writeNpz } from "../../../evaluation/files/npz.ts";
import { ModelFileError } from "../../../models/mod.ts";
import { fixture, testInFolder } from "../../cli/run.ts";

const open = (name: string): Promise<Npz> => openNpz(fixture(`evaluation/npz/${name}.npz`));

for (const kind of ["stored", "compressed"]) {
  Deno.test(`openNpz: types, shapes and orders of a ${kind} archive are NumPy's`, async () => {
    using npz = await open(kind);
    assertEquals(npz.names, [
      "bytes",
      "halves",
      "floats",
      "doubles",
      "words",
      "longs",
      "number",
      "columns",
      "none",
    ]);
    const values = async (name: string): Promise<ArrayLike<number>> => (await npz.read(name)).values;
    assertEquals(await values("bytes"), new Uint8Array([0, 1, 2, 3, 4, 5]));
    assertEquals(await values("halves"), new Float32Array([1.5, -2.25, 65504, 2 ** -24]));
    assertEquals(await values("floats"), new Float32Array([0.1, -0.2, 3e38, 1e-45]));
    assertEquals(await values("doubles"), new Float64Array([0.1, Math.PI, -1e300, 5e-324]));
    assertEquals(await values("words"), new Int32Array([-(2 ** 31), 2 ** 31 - 1]));
    assertEquals(await values("longs"), new Float64Array([-(2 ** 53) + 1, 2 ** 53 - 1]));
    assertEquals(await npz.read("number"), { type: "<f8", shape: [], values: new Float64Array([7.5]) });
    assertEquals(await values("columns"), Float64Array.from({ length: 24 }, (_, i) => i));
    assertEquals(await npz.describe("columns"), { type: "<f8", shape: [2, 3, 4] });
    assertEquals(await npz.read("none"), { type: "<f4", shape: [0, 3], values: new Float32Array(0) });
  });

  Deno.test(`openNpz: rows of a ${kind} archive come a few at a time`, async () => {
    using npz = await open(kind);
    const rows = async (name: string, count: number): Promise<number[][]> => {
      return await Array.fromAsync(npz.rows(name, count), (values) => [...values]);
    };
    assertEquals(await rows("bytes", 1), [[0, 1, 2], [3, 4, 5]]);
    assertEquals(await rows("bytes", 5), [[0, 1, 2, 3, 4, 5]]);
    assertEquals((await rows("halves", 3)).map(({ length }) => length), [3, 1]);
    assertEquals(await rows("none", 2), []);
    await assertRejects(() => rows("columns", 1), ModelFileError, "columns one after the other");
    await assertRejects(() => rows("number", 1), ModelFileError, "found one number");
    await assertRejects(() => rows("bytes", 0), RangeError, "count must be an integer >= 1");
  });
}

Deno.test("openNpz: formats 1.0 to 3.0 are read", async () => {
  using npz = await open("versions");
  for (const name of npz.names) {
    assertEquals([...(await npz.read(name)).values], [1, 2], name);
  }
});

Deno.test("openNpz: what is not numbers is refused by what it is, and the rest is read", async () => {
  using npz = await open("refused");
  const refused = async (name: string, message: string): Promise<void> => {
    const error = await assertRejects(() => npz.read(name), ModelFileError, message);
    assertEquals(error.tensor, name);
  };
  await refused("objects", "found Python objects, which are never loaded");
  await refused("texts", "found texts (<U2)");
  await refused("big", "found >f8");
  await refused("flags", "found |b1");
  await refused("records", "found records of several fields");
  await refused("huge", "expected integers up to 2^53, found 1152921504606846976");
  await refused("absent", "objects, texts, big");
  assertEquals([...(await npz.read("fine")).values], [1]);
});

testInFolder("openNpz: what is no archive, cut or changed is refused", async (folder) => {
  const path = `${folder}/broken.npz`;
  const whole = await Deno.readFile(fixture("evaluation/npz/compressed.npz"));
  const broken = async (bytes: Uint8Array, message: string): Promise<void> => {
    await Deno.writeFile(path, bytes);
    await assertRejects(
      async () => {
        using npz = await openNpz(path);
        for (const name of npz.names) await npz.read(name);
      },
      ModelFileError,
      message,
    );
  };
  await broken(new Uint8Array(0), "expected an archive of numpy.savez, found another file");
  await broken(
    new TextEncoder().encode("mu sigma"),
    "expected an archive of numpy.savez, found another file",
  );
  await broken(npyHeader({ type: "|u1", shape: [4] }), "found a single array, as numpy.save writes it");
  await broken(whole.subarray(0, whole.length - 60), "it may be cut off");
  const changed = whole.slice();
  changed[60]! ^= 0xff;
  await broken(changed, "bytes");
  await assertRejects(() => openNpz(`${folder}/absent.npz`), ModelFileError, "Cannot open the NumPy archive");
  await assertRejects(() => openNpz(folder), ModelFileError, "found a folder");
});

testInFolder("openNpz: a header may not claim more or less than the member has", async (folder) => {
  const path = `${folder}/claims.npz`;
  await writeNpz(path, { a: { shape: [8], values: new Uint8Array(8) } });
  const bytes = await Deno.readFile(path);
  const claimed = new TextEncoder().encode("'shape': (9,)");
  const at = bytes.toHex().indexOf(new TextEncoder().encode("'shape': (8,)").toHex()) / 2;
  bytes.set(claimed, at);
  await Deno.writeFile(path, bytes);
  using npz = await openNpz(path);
  // The checksum is wrong, too, but nothing is read of an array that cannot be as large as it says.
  await assertRejects(() => npz.read("a"), ModelFileError, "expected 9 bytes for |u1 [9], found 8");
});

testInFolder("openNpz: a signal ends reading", async (folder) => {
  const path = `${folder}/a.npz`;
  await writeNpz(path, { a: { shape: [8], values: new Uint8Array(8) } });
  const controller = new AbortController();
  using npz = await openNpz(path, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assertRejects(() => npz.read("a"), Error, "enough");
});
