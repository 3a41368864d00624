import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { escaped, fits, keepFile, linkTo, MAX_OUTPUT_BYTES } from "../../../sampler/notebook/output.ts";

Deno.test("fits: formats count together, in bytes of UTF-8", () => {
  assertEquals(MAX_OUTPUT_BYTES, 8_388_608);
  assert(fits({ "text/plain": "x".repeat(MAX_OUTPUT_BYTES) }));
  assert(!fits({ "text/plain": "x".repeat(MAX_OUTPUT_BYTES), "text/html": "x" }));
  assert(fits({ "text/plain": "é".repeat(MAX_OUTPUT_BYTES / 2) }));
  assert(!fits({ "text/plain": "é".repeat(MAX_OUTPUT_BYTES / 2), "text/html": "x" }));
  assert(fits({ "text/html": undefined }));
});

Deno.test("keepFile: the same bytes are one file, and nothing half-written stays", async () => {
  const folder = await Deno.makeTempDir({ prefix: "varscale-output-" });
  try {
    const bytes = new TextEncoder().encode("<svg/>");
    // The SHA-256 of these bytes, by sha256sum.
    const path = `${folder}/in/it/${SUM}.svg`;
    assertEquals(keepFile(bytes, "svg", `${folder}/in/it`), { path });
    assertEquals(keepFile(bytes, "svg", `${folder}/in/it`), { path });
    assertEquals(await Deno.readTextFile(path), "<svg/>");
    assertEquals(Array.from(Deno.readDirSync(`${folder}/in/it`)).length, 1);
    // A folder that cannot be made, and a place that is taken by another one.
    const refused = keepFile(bytes, "svg", path);
    assertEquals("reason" in refused && refused.reason, "it exists already");
    await Deno.mkdir(`${folder}/taken/${SUM}.svg`, { recursive: true });
    assert("reason" in keepFile(bytes, "svg", `${folder}/taken`));
    assertEquals(Array.from(Deno.readDirSync(`${folder}/taken`)).length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** The beginning of `printf '<svg/>' | sha256sum`. */
const SUM = "d4dc56669143034f";

Deno.test("linkTo: names the file, or why there is none", () => {
  const { html, plain } = linkTo({ path: "varscale_outputs/a&b.png" }, "9000×9000 image");
  assertEquals(plain, "9000×9000 image, too large for a notebook: varscale_outputs/a&b.png");
  assertStringIncludes(html, '<a href="varscale_outputs/a&amp;b.png">varscale_outputs/a&amp;b.png</a>');
  const failed = linkTo({ reason: "the disk is <full>" }, "9000×9000 image");
  assertStringIncludes(failed.plain, "could not be written to varscale_outputs: the disk is <full>");
  assertStringIncludes(failed.html, "the disk is &lt;full&gt;");
});

Deno.test("escaped: nothing of a text is markup", () => {
  assertEquals(escaped('<a href="x">&'), "&lt;a href=&quot;x&quot;&gt;&amp;");
});
