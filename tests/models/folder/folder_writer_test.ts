/** A folder is written by one at a time, and what was killed in the middle is taken up or taken away. */

import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { fileURLToPath } from "node:url";
import { openCheckpoint, type SafetensorsEntry } from "../../../models/checkpoint/mod.ts";
import { type CreateFolderOptions, createModelFolder } from "../../../models/folder/folder_writer.ts";
import { MANIFEST, type ModelFolder, openModelFolder } from "../../../models/folder/model_folder.ts";
import { convertModel } from "../../../models/convert.ts";
import { goldenCheckpoints } from "../../fixtures/golden/golden.ts";
import { FACTS, inFolder } from "./small_folder.ts";

const OPTIONS: CreateFolderOptions = { weightFileBytes: 100_000, overwrite: true };

async function namesIn(path: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(path), (entry) => entry.name)).sort();
}

/** Paths of a small model's checkpoints. */
const CHECKPOINTS = {
  var: fileURLToPath(goldenCheckpoints("var-adaln").var),
  vae: fileURLToPath(goldenCheckpoints("var-adaln").vae),
};

/** Converts in a process that is killed in the middle. */
async function convertKilled(
  output: string,
  dtype: string,
  { at: [what, count], from = CHECKPOINTS }: {
    at: ["tensors" | "renames", number];
    from?: typeof CHECKPOINTS;
  },
): Promise<void> {
  const script = fileURLToPath(new URL("convert_killed.ts", import.meta.url));
  const args = ["run", "-A", "--no-check", script, from.var, from.vae, output, dtype, what, `${count}`];
  const { code, signal, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  assertEquals([code, signal], [137, "SIGKILL"], new TextDecoder().decode(stderr));
}

interface Converted {
  readonly folder: ModelFolder;
  /** Tensors whose bytes were asked for. */
  readonly asked: number;
}

async function convertWhole(
  output: string,
  dtype: "f32" | "q4",
  options: { name?: string; from?: typeof CHECKPOINTS } = {},
): Promise<Converted> {
  const { name = "killed", from = CHECKPOINTS } = options;
  await using writer = await createModelFolder(output, OPTIONS);
  let asked = 0;
  const counting: typeof writer = {
    own: (resource) => writer.own(resource),
    write: (file, bytes) => writer.write(file, bytes),
    writeTensors: (part, entries, options) => {
      const counted = [...entries].map((entry) => ({
        ...entry,
        bytes: () => {
          asked++;
          return entry.bytes();
        },
      }));
      return writer.writeTensors(part, counted, options);
    },
    finish: (facts) => writer.finish(facts),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  let last = 0;
  const folder = await convertModel(from, counting, {
    dtype,
    name,
    onProgress: (done, total) => {
      assert(done > last && done <= total);
      last = done === total ? NaN : done;
    },
  });
  assert(Number.isNaN(last), "progress ends with everything");
  for (const file of Object.keys(folder.manifest.files)) await folder.read(file);
  return { folder, asked };
}

Deno.test("createModelFolder: a conversion that is killed is taken up where it was, and comes to the same", () =>
  inFolder(async (path) => {
    const { folder: wanted, asked: all } = await convertWhole(`${path}/whole`, "f32");
    assert(Object.keys(wanted.manifest.files).length > 8);
    let before = all + 1;
    for (const tensors of [1, 30, 80]) {
      const place = `${path}/model`;
      await convertKilled(place, "f32", { at: ["tensors", tensors] });
      assertEquals(await namesIn(path), ["model.partial", "whole"]);
      const { folder, asked } = await convertWhole(place, "f32");
      assertEquals(folder.manifest, wanted.manifest);
      // Whole files are kept: of more tensors that were written, fewer are asked for again.
      assert(asked >= all - tensors && asked < before, `${tensors}: ${asked} of ${all}`);
      before = asked;
      assertEquals(await namesIn(path), ["model", "whole"]);
      assertEquals(await namesIn(place), [...Object.keys(folder.manifest.files), "model.json"].sort());
      await Deno.remove(place, { recursive: true });
    }
  }));

Deno.test("createModelFolder: what was killed is begun anew for another type, source, size of files, or after damage", () =>
  inFolder(async (path) => {
    const place = `${path}/model`;
    const { folder: wanted, asked: all } = await convertWhole(`${path}/whole`, "f32");
    const { folder: other } = await convertWhole(`${path}/other`, "q4");
    const asked = async (dtype: "f32" | "q4" = "f32"): Promise<number> => {
      const result = await convertWhole(place, dtype);
      assertEquals(result.folder.manifest, (dtype === "f32" ? wanted : other).manifest);
      await Deno.remove(place, { recursive: true });
      assertEquals(await namesIn(path), ["other", "whole"]);
      return result.asked;
    };
    const content = `${place}.partial/content`;
    await convertKilled(place, "f32", { at: ["tensors", 80] });
    const kept = await asked();
    assert(kept < all);

    await convertKilled(place, "f32", { at: ["tensors", 80] });
    const [first] = (await namesIn(content)).filter((name) => name.startsWith("transformer-00001"));
    await asked("q4");

    // A file that is shorter than was noted.
    await convertKilled(place, "f32", { at: ["tensors", 80] });
    await Deno.truncate(`${content}/${first}`, 1000);
    const again = await asked();
    assert(again > kept && again < all);

    // A note that was being written.
    await convertKilled(place, "f32", { at: ["tensors", 80] });
    await Deno.truncate(`${place}.partial/finished.json`, 100);
    assertEquals(await asked(), all);

    // A source that has changed: the same bytes of another time are not the same for sure.
    const from = { var: `${path}/copy.pth`, vae: CHECKPOINTS.vae };
    await Deno.copyFile(CHECKPOINTS.var, from.var);
    await convertKilled(place, "f32", { at: ["tensors", 80], from });
    await Deno.utime(from.var, new Date(1e12), new Date(1e12));
    assertEquals((await convertWhole(place, "f32", { from })).asked, all);
  }));

Deno.test("createModelFolder: a file that was left is kept only for the same tensors of the same origin", () =>
  inFolder(async (path) => {
    const entry = (name: string, value: number, shape: number[] = [4]): SafetensorsEntry => {
      return { name, dtype: "U8", shape, bytes: () => new Uint8Array(4).fill(value) };
    };
    // What a writer has beside its place is what it leaves when it is killed.
    await using left = await createModelFolder(`${path}/left`);
    await left.writeTensors("part", [entry("a", 1)], { origin: () => "o" });
    await left.writeTensors("other", [entry("a", 1)]);
    const take = async (part: string, tensor: SafetensorsEntry, origin?: string): Promise<number> => {
      const place = `${path}/place.partial`;
      await Deno.mkdir(`${place}/content`, { recursive: true });
      for (const name of ["lock", "finished.json", "content/part.safetensors", "content/other.safetensors"]) {
        await Deno.copyFile(`${path}/left.partial/${name}`, `${place}/${name}`);
      }
      await using writer = await createModelFolder(`${path}/place`);
      await writer.writeTensors(part, [tensor], origin === undefined ? {} : { origin: () => origin });
      const folder = await writer.finish(FACTS);
      using weights = await folder.weights(part);
      assertEquals(Object.keys(folder.manifest.files), [`${part}.safetensors`]);
      assertEquals(await namesIn(`${path}/place`), ["model.json", `${part}.safetensors`]);
      const [first] = await weights.read(tensor.name);
      await Deno.remove(`${path}/place`, { recursive: true });
      return first!;
    };
    assertEquals(await take("part", entry("a", 2), "o"), 1);
    assertEquals(await take("part", entry("a", 2), "p"), 2);
    assertEquals(await take("part", entry("a", 2)), 2);
    assertEquals(await take("part", entry("b", 2), "o"), 2);
    assertEquals(await take("part", entry("a", 2, [2, 2]), "o"), 2);
    assertEquals(await take("other", entry("a", 2), "o"), 2);
  }));

Deno.test("createModelFolder: a file that is being written again is not what was noted before", () =>
  inFolder(async (path) => {
    const copy = (from: string, to: string): void => {
      Deno.mkdirSync(`${to}.partial/content`, { recursive: true });
      for (const name of ["lock", "finished.json", "content/part.safetensors"]) {
        Deno.copyFileSync(`${from}.partial/${name}`, `${to}.partial/${name}`);
      }
    };
    const write = async (
      place: string,
      { value, origin, onBytes }: { value: number; origin: string; onBytes?: () => void },
    ): Promise<number> => {
      await using writer = await createModelFolder(place);
      const entry = {
        name: "a",
        dtype: "U8",
        shape: [4],
        bytes: () => new Uint8Array(4).fill(value),
      } as const;
      await writer.writeTensors("part", [entry], {
        origin: () => origin,
        ...(onBytes === undefined ? {} : { onBytes }),
      });
      copy(place, `${place}-left`);
      using weights = await (await writer.finish(FACTS)).weights("part");
      return (await weights.read("a"))[0]!;
    };
    assertEquals(await write(`${path}/first`, { value: 1, origin: "o" }), 1);
    // Killed when the bytes of another origin are all there, but not yet noted.
    await Deno.rename(`${path}/first-left.partial`, `${path}/second.partial`);
    const onBytes = (): void => copy(`${path}/second`, `${path}/third`);
    assertEquals(await write(`${path}/second`, { value: 2, origin: "p", onBytes }), 2);
    assertEquals(await write(`${path}/third`, { value: 3, origin: "o" }), 3);
  }));

Deno.test("createModelFolder: a writer closes what it owns, and stops between two tensors", () =>
  inFolder(async (path) => {
    let open = 0;
    const resource = (): Disposable => (open++, { [Symbol.dispose]: () => void open-- });
    {
      await using writer = await createModelFolder(`${path}/whole`);
      writer.own(resource());
      assertEquals(open, 1);
      await writer.finish(FACTS);
      assertEquals(open, 0);
    }
    const controller = new AbortController();
    const asked: string[] = [];
    const write = async (): Promise<void> => {
      await using writer = await createModelFolder(`${path}/half`, { signal: controller.signal });
      writer.own(resource());
      const entries = ["a", "b", "c"].map((name): SafetensorsEntry => ({
        name,
        dtype: "U8",
        shape: [1],
        bytes: () => {
          asked.push(name);
          if (name === "b") controller.abort(new Error("enough"));
          return new Uint8Array(1);
        },
      }));
      await writer.writeTensors("part", entries);
    };
    await assertRejects(write, Error, "enough");
    assertEquals([asked, open], [["a", "b"], 0]);
  }));

Deno.test("createModelFolder: a writer that is killed while it replaces a folder loses neither the old one nor the new one", () =>
  inFolder(async (path) => {
    const place = `${path}/model`;
    await convertWhole(place, "f32", { name: "old" });
    // After the first rename the old one is out of its place, after the second one the new one is in it.
    await convertKilled(place, "q4", { at: ["renames", 1] });
    assertEquals(await namesIn(path), ["model.partial"]);
    await assertRejects(() => createModelFolder(place), Deno.errors.AlreadyExists);
    assertEquals((await openModelFolder(place)).manifest.name, "old");
    const { folder, asked } = await convertWhole(place, "q4");
    assertEquals([folder.manifest.name, folder.manifest.dtype, asked], ["killed", "q4", 0]);
    assertEquals(await namesIn(path), ["model"]);

    await convertKilled(place, "f32", { at: ["renames", 2] });
    assertEquals((await openModelFolder(place)).manifest.dtype, "f32");
    assertEquals(await namesIn(path), ["model", "model.partial"]);
    // Whoever comes next takes away what is left.
    {
      await using _ = await createModelFolder(place, { overwrite: true });
    }
    assertEquals(await namesIn(path), ["model"]);
    assertEquals((await openModelFolder(place)).manifest.dtype, "f32");
  }));

Deno.test("createModelFolder: a place is written by one at a time", () =>
  inFolder(async (path) => {
    const place = `${path}/model`;
    {
      await using first = await createModelFolder(place);
      const error = await assertRejects(() => createModelFolder(place), Deno.errors.Busy);
      assertEquals(
        error.message,
        `Cannot write the model folder "${place}" as somebody else is writing it; wait for the end of that`,
      );
      await assertRejects(() => createModelFolder(`${place}/`), Deno.errors.Busy);
      await using other = await createModelFolder(`${path}/other`);
      await other.finish(FACTS);
      await first.finish(FACTS);
      await assertRejects(() => createModelFolder(place), Deno.errors.AlreadyExists);
    }
    assertEquals(await namesIn(path), ["model", "other"]);
    // Of several at once one comes through, and the others are told why.
    const results = await Promise.allSettled(Array.from({ length: 8 }, async () => {
      await using writer = await createModelFolder(`${path}/race`);
      await writer.write("graph.onnx", new Uint8Array(10));
      await writer.finish(FACTS);
    }));
    assertEquals(results.filter(({ status }) => status === "fulfilled").length, 1);
    for (const result of results) {
      if (result.status === "fulfilled") continue;
      const { reason } = result;
      assert(reason instanceof Deno.errors.Busy || reason instanceof Deno.errors.AlreadyExists, reason);
    }
    assertEquals(await namesIn(path), ["model", "other", "race"]);
    assertEquals(await namesIn(`${path}/race`), ["graph.onnx", "model.json"]);
  }));

Deno.test("createModelFolder: a folder of somebody else's that is only named like a partial one stays", () =>
  inFolder(async (path) => {
    await Deno.mkdir(`${path}/model.partial`);
    await Deno.writeTextFile(`${path}/model.partial/note.txt`, "mine");
    const error = await assertRejects(() => createModelFolder(`${path}/model`), Deno.errors.AlreadyExists);
    assertEquals(
      error.message,
      `Cannot write the model folder "${path}/model" as "${path}/model.partial" holds other things; choose another path`,
    );
    assertEquals(await namesIn(`${path}/model.partial`), ["note.txt"]);
  }));

Deno.test("createModelFolder: checksums that are found while writing are those of the files", () =>
  inFolder(async (path) => {
    await using writer = await createModelFolder(`${path}/model`);
    // Pieces of odd sizes around those that are written at once.
    const sizes = [1, 2 ** 22 - 1, 2 ** 22, 2 ** 22 + 1, 0, 9_999_999];
    const bytesOf = (i: number): Uint8Array => new Uint8Array(sizes[i]!).fill(i + 1);
    await writer.writeTensors(
      "part",
      sizes.map((size, i) => ({ name: `${i}`, dtype: "U8", shape: [size], bytes: () => bytesOf(i) })),
    );
    await writer.finish(FACTS);
    const folder = await openModelFolder(`${path}/model`);
    await folder.read("part.safetensors");
    using checkpoint = await openCheckpoint(`${path}/model/part.safetensors`);
    for (const i of sizes.keys()) assertEquals(await checkpoint.read(`${i}`), bytesOf(i));
  }));

Deno.test("createModelFolder: a disk that takes less than it is given gets the rest", () =>
  inFolder(async (path) => {
    const write = Deno.FsFile.prototype.write;
    Deno.FsFile.prototype.write = function (bytes) {
      return write.call(this, bytes.subarray(0, Math.max(1, bytes.length >> 1)));
    };
    const bytes = Uint8Array.from({ length: 5000 }, (_, i) => i * i);
    try {
      await using writer = await createModelFolder(`${path}/model`);
      await writer.writeTensors("part", [{ name: "a", dtype: "U8", shape: [5000], bytes: () => bytes }]);
      await writer.finish(FACTS);
    } finally {
      Deno.FsFile.prototype.write = write;
    }
    const folder = await openModelFolder(`${path}/model`);
    using weights = await folder.weights("part");
    assertEquals(await weights.read("a"), bytes);
  }));

Deno.test("createModelFolder: what the system refuses to write is told by its place, and nothing is left", () =>
  inFolder(async (path) => {
    const full = (): Promise<never> => {
      const error = new Error("No space left on device (os error 28)");
      return Promise.reject(Object.assign(error, { code: "ENOSPC" }));
    };
    const { writeFile, writeTextFile } = Deno;
    const { write, syncData } = Deno.FsFile.prototype;
    const entries = [{ name: "a", dtype: "U8", shape: [2], bytes: () => new Uint8Array(2) } as const];
    const cases: [broken: () => void, name: string][] = [
      [() => Deno.writeFile = full, "notes.txt"],
      [() => Deno.FsFile.prototype.write = full, "part.safetensors"],
      [() => Deno.FsFile.prototype.syncData = full, "part.safetensors"],
      [() => Deno.writeTextFile = full, "model.json"],
    ];
    for (const [fill, name] of cases) {
      const convert = async (): Promise<void> => {
        await using writer = await createModelFolder(`${path}/model`);
        if (name === MANIFEST) await writer.writeTensors("part", entries);
        fill();
        await writer.write("notes.txt", new Uint8Array(1));
        if (name !== MANIFEST) await writer.writeTensors("part", entries, { origin: () => "x" });
        await writer.finish(FACTS);
      };
      try {
        const { message, cause } = await assertRejects(convert, Error);
        assertEquals(message, `Cannot write ${path}/model/${name}: the disk is full`);
        assert(cause instanceof Error);
      } finally {
        Object.assign(Deno, { writeFile, writeTextFile });
        Object.assign(Deno.FsFile.prototype, { write, syncData });
      }
      assertEquals(await namesIn(path), []);
    }
  }));

Deno.test("createModelFolder: a tensor of another length than it says ends the writing, and nothing is left", () =>
  inFolder(async (path) => {
    const write = async (): Promise<void> => {
      await using writer = await createModelFolder(`${path}/model`);
      await writer.writeTensors("part", [
        { name: "a", dtype: "F32", shape: [2], bytes: () => new Uint8Array(7) },
      ], { origin: () => "x" });
    };
    await assertRejects(write, TypeError, "needs 8 bytes: current length is 7");
    assertEquals(await namesIn(path), []);
  }));

Deno.test("createModelFolder: conversions to different types have different weights", () =>
  inFolder(async (path) => {
    const f32 = await convertWhole(`${path}/a`, "f32");
    const q4 = await convertWhole(`${path}/b`, "q4");
    assertNotEquals(f32.folder.fingerprints, q4.folder.fingerprints);
  }));
