/**
 * The list of the commands, and that each is there when it is asked for.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { COMMANDS } from "../../cli/commands.ts";

Deno.test("COMMANDS load what they name, in a file of that name", async () => {
  const files = Array.from(
    Deno.readDirSync(new URL("../../cli/commands/", import.meta.url)),
    ({ name }) => name,
  );
  assertEquals(COMMANDS.map(({ name }) => `${name.replaceAll("-", "_")}.ts`).sort(), files.sort());
  for (const listed of COMMANDS) {
    const command = await listed.load();
    assertStringIncludes(command.help(listed), `${listed.summary}.\n\nUsage: varscale ${listed.name} `);
  }
});
