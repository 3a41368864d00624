/** `varscale gallery`: what it refuses; what it writes is in `tests/evaluation/gallery/gallery_test.ts`. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { filesIn, run, testInFolder } from "../run.ts";

testInFolder("varscale gallery: methods that are none, and places that are no folder", async (folder) => {
  const { code, err } = await run(["gallery", "--only", "var-scaling,magic", "-o", `${folder}/pages`]);
  assertEquals(code, 2);
  assertStringIncludes(err, "Option --only must be of spatial-guidance, ");
  assertStringIncludes(err, 'current value is "magic"');
  await Deno.writeTextFile(`${folder}/file`, "");
  assertStringIncludes((await run(["gallery", "-o", `${folder}/file`])).err, "it is a file and no folder");
  assertStringIncludes((await run(["gallery", "beam"])).err, "beam");
  assertEquals(filesIn(folder), ["file"]);
});
