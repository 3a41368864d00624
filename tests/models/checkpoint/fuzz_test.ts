/**
 * Checkpoints that are damaged at random: a flipped bit or a cut gives the right tensors or is refused.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { byteLength, type Checkpoint, openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { expectedFiles, fixture } from "./fixtures.ts";

/** Numbers that look random and are the same in every run (the generator of Numerical Recipes). */
function* draws(count: number, below: number): Generator<number> {
  for (let i = 0, state = 1; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield Math.floor(state / 2 ** 32 * below);
  }
}

/** Opens a file and reads all of it; `undefined` if it was refused, as it may be. */
async function readAll(
  bytes: Uint8Array,
): Promise<{ checkpoint: Checkpoint; values: Record<string, string> } | undefined> {
  try {
    using checkpoint = await openCheckpoint(bytes);
    const values: Record<string, string> = {};
    for (const [name, info] of checkpoint.tensors) {
      const read = await checkpoint.read(name);
      assertEquals(read.length, byteLength(info));
      values[name] = read.toHex();
    }
    return { checkpoint, values };
  } catch (error) {
    assert(error instanceof ModelFileError, `${error instanceof Error ? error.stack : error}`);
    return undefined;
  }
}

function truth(file: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(expectedFiles[file]!.tensors).map(([name, { bytes }]) => [name, bytes]),
  );
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}

for (const file of ["views.pth", "deflated.pth", "zip64.pth", "beside_5.pth"]) {
  Deno.test(`${file} with one flipped bit gives the right tensors or is refused`, async () => {
    const bytes = await Deno.readFile(fixture(file));
    const expected = truth(file);
    let refused = 0;
    for (const bit of draws(300, 8 * bytes.length)) {
      const result = await readAll(flipped(bytes, bit));
      if (result === undefined) refused++;
      else assertEquals(result.values, expected, `bit ${bit}`);
    }
    assert(refused > 50 && refused < 300, `${refused} were refused`);
  });

  Deno.test(`${file} cut off anywhere is refused`, async () => {
    const bytes = await Deno.readFile(fixture(file));
    for (const length of draws(100, bytes.length)) {
      assertEquals(await readAll(bytes.subarray(0, length)), undefined, `${length} bytes`);
    }
  });
}

Deno.test("openCheckpoint: official.safetensors with one flipped bit gives one changed byte, or other names, or is refused", async () => {
  const file = "official.safetensors";
  const bytes = await Deno.readFile(fixture(file));
  const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const expected = Object.values(truth(file)).join("");
  for (const bit of draws(300, 8 * bytes.length)) {
    const result = await readAll(flipped(bytes, bit));
    // The format has no checksum, so data are read as they are.
    if (bit >= 8 * start) {
      const found = Object.keys(truth(file)).map((name) => result!.values[name]).join("");
      const distance = [...found].filter((digit, i) => digit !== expected[i]).length;
      assertEquals(distance, 1, `bit ${bit}`);
    } else if (result !== undefined) {
      assertEquals(Object.values(result.values).join("").length, expected.length, `bit ${bit}`);
    }
  }
});

for (const file of ["stream_views.pth", "stream_beside.pth"]) {
  Deno.test(`openCheckpoint: ${file} with one flipped bit gives other values of a whole, or is refused`, async () => {
    const bytes = await Deno.readFile(fixture(file));
    const expected = truth(file);
    // The storages begin behind the last pickle, a list of their keys.
    const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
    const start = text.indexOf("e.", text.lastIndexOf("]q\0(X")) + 2;
    let refused = 0;
    for (const bit of draws(1000, 8 * bytes.length)) {
      const result = await readAll(flipped(bytes, bit));
      if (result === undefined) refused++;
      // Without checksums a changed pickle may have other names, and a changed storage has other values.
      else if (bit >= 8 * start) {
        for (const [name, digits] of Object.entries(expected)) {
          assertEquals(result.values[name]!.length, digits.length, `bit ${bit}`);
        }
      }
    }
    assert(refused > 300 && refused < 900, `${refused} were refused`);
  });
}

for (
  const file of ["stream_views.pth", "stream_trainer_2.pth", "stream_trainer_4.pth", "stream_beside.pth"]
) {
  Deno.test(`openCheckpoint: ${file} cut off anywhere is refused`, async () => {
    const bytes = await Deno.readFile(fixture(file));
    for (const length of draws(100, bytes.length)) {
      assertEquals(await readAll(bytes.subarray(0, length)), undefined, `${length} bytes`);
    }
  });
}

Deno.test("openCheckpoint: official.safetensors cut off anywhere is refused", async () => {
  const bytes = await Deno.readFile(fixture("official.safetensors"));
  for (const length of draws(100, bytes.length)) {
    assertEquals(await readAll(bytes.subarray(0, length)), undefined, `${length} bytes`);
  }
});
