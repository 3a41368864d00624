/** Why the system refused, in words. */

import { assertEquals } from "@std/assert";
import { systemReason } from "../../models/system_reason.ts";

Deno.test("systemReason: the system's errors without numbers and names of calls", async () => {
  const file = await Deno.makeTempFile();
  const reasonOf = async (work: () => Promise<unknown>): Promise<string> => {
    return systemReason(await work().then(() => undefined, (error) => error));
  };
  try {
    assertEquals(await reasonOf(() => Deno.readFile(`${file}x`)), "no such file");
    assertEquals(
      await reasonOf(() => Deno.readFile(`${file}/x`)),
      "a part of its path is a file and no folder",
    );
    assertEquals(await reasonOf(() => Deno.readFile(".")), "it is a folder");
    assertEquals(await reasonOf(() => Deno.mkdir(file)), "it exists already");
    assertEquals(await reasonOf(() => Deno.readFile("a".repeat(300))), "its name is too long");
    assertEquals(await reasonOf(() => Deno.readFile("a\0b")), "its name holds a NUL character");
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("systemReason: unknown codes in the system's words, other errors in their own", () => {
  const coded = (message: string, code: string): Error => Object.assign(new Error(message), { code });
  assertEquals(
    systemReason(coded("Function not implemented (os error 38): copy", "ENOSYS")),
    "function not implemented",
  );
  assertEquals(systemReason(coded("strange", "ESTRANGE")), "strange");
  assertEquals(systemReason(new TypeError("no PNG (at all)")), "no PNG (at all)");
  assertEquals(systemReason("text"), "text");
});
