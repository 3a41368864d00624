/** Checksums of files on the disk, of both kinds that the hub gives. */

import { assertEquals, assertRejects } from "@std/assert";
import { checksumOf, hashFor, isSha256 } from "../../../models/hub/checksum.ts";

Deno.test("checksumOf: a file has the checksum of the kind that is expected", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "hello\n");
    // As sha256sum and git hash-object give them.
    const sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    const gitName = "ce013625030ba8dba906f756967f9e9ca394464a";
    const steps: [number, number][] = [];
    const onBytes = (...step: [number, number]): void => void steps.push(step);
    assertEquals(await checksumOf(path, "0".repeat(64), { onBytes }), sha256);
    assertEquals(await checksumOf(path, "0".repeat(40)), gitName);
    assertEquals(await checksumOf(path, "odd"), undefined);
    assertEquals(steps, [[6, 6]]);
    await assertRejects(() => checksumOf(path, sha256, { signal: AbortSignal.abort() }), DOMException);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("hashFor: what is no checksum cannot be compared", () => {
  assertEquals([hashFor({ etag: "odd", bytes: 1 }), isSha256("odd"), isSha256("a".repeat(64))], [
    undefined,
    false,
    true,
  ]);
});
