import { assertEquals, assertNotEquals } from "@std/assert";
import { fingerprintOf } from "../../../models/vision/fingerprint.ts";

Deno.test("fingerprintOf: a file has that of its content, shards count, and nothing is fetched", async () => {
  const folder = await Deno.makeTempDir();
  const at = (name: string): string => `${folder}/${name}`;
  await Deno.writeTextFile(at("a.safetensors"), "one");
  assertEquals(
    await fingerprintOf([at("a.safetensors")]),
    await fingerprintOf([new TextEncoder().encode("one")]),
  );
  const index = at("model.safetensors.index.json");
  await Deno.writeTextFile(index, JSON.stringify({ weight_map: { x: "a.safetensors", y: "b.safetensors" } }));
  await Deno.writeTextFile(at("b.safetensors"), "two");
  const before = await fingerprintOf([index]);
  await Deno.writeTextFile(at("b.safetensors"), "new");
  assertNotEquals(await fingerprintOf([index]), before);
  // There is no such server.
  assertEquals(await fingerprintOf([at("a.safetensors"), "https://nowhere.invalid/a.pth"]), undefined);
  await Deno.remove(folder, { recursive: true });
});
