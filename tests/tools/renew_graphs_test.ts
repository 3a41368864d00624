import { assert, assertEquals } from "@std/assert";
import { BUNDLED_MODELS } from "../../models/load.ts";
import { renewGraphs } from "../../tools/renew_graphs.ts";

for (const [name, demo] of Object.entries(BUNDLED_MODELS)) {
  Deno.test(`renewGraphs: the graphs of ${name} are those that are built today, and others become them`, async () => {
    const path = await Deno.makeTempDir();
    for await (const { name } of Deno.readDir(demo)) {
      await Deno.copyFile(new URL(name, demo), `${path}/${name}`);
    }
    const manifest = await Deno.readTextFile(`${path}/model.json`);
    assertEquals(await renewGraphs(path), []);
    assertEquals(await Deno.readTextFile(`${path}/model.json`), manifest);
    const { files: { "transformer.onnx": entry, ...others }, ...facts } = JSON.parse(manifest);
    await Deno.writeTextFile(
      `${path}/model.json`,
      JSON.stringify({
        ...facts,
        files: { ...others, "transformer.onnx": { bytes: 3, sha256: "0".repeat(64) } },
      }),
    );
    await Deno.writeFile(`${path}/transformer.onnx`, new Uint8Array(3));
    assertEquals(await renewGraphs(path), ["transformer.onnx"]);
    assertEquals(JSON.parse(await Deno.readTextFile(`${path}/model.json`)).files["transformer.onnx"], entry);
    const graph = await Deno.readFile(`${path}/transformer.onnx`);
    assert(graph.length === entry.bytes);
    await Deno.remove(path, { recursive: true });
  });
}
