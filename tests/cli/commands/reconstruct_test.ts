/**
 * `varscale reconstruct` on the CPU with the bundled model.
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { loadModel, reconstruct, RgbaImage } from "../../../mod.ts";
import { testRandom } from "../../devices.ts";
import { filesIn, run, succeed, testInFolder } from "../run.ts";

function noise(size: number): RgbaImage {
  const random = testRandom(size);
  const image = new RgbaImage(size, size);
  for (let i = 0; i < image.data.length; i++) if (i % 4 !== 3) image.data[i] = random() * 256;
  return image;
}

testInFolder(
  "varscale reconstruct: pictures are reconstructed, with stages, numbers and tokens",
  async (folder) => {
    const pictures = [noise(64), noise(100)];
    const files = [`${folder}/Small one.png`, `${folder}/large.png`];
    for (const [i, file] of files.entries()) await Deno.writeFile(file, pictures[i]!.png());
    const output = `${folder}/out`;
    const { out } = await succeed("reconstruct", ...files, "--progressive", "--device", "cpu", "-o", output);
    assertMatch(out, /^2 pictures in .*: demo, on CPU/);
    assertMatch(out, /000_small-one\.png +\d+\.\d\d dB\n/);
    const names = ["000_small-one", "001_large"];
    assertEquals(
      filesIn(output),
      [
        ...names.flatMap((
          name,
        ) => [`${name}.png`, ...[0, 1, 2, 3, 4].map((scale) => `${name}_scale-${scale}.png`)]),
        "grid.png",
        "reconstruct.json",
      ].sort(),
    );

    await using model = await loadModel("demo", { device: "cpu" });
    const { images } = await reconstruct(model, pictures, { progressive: true });
    const report = JSON.parse(await Deno.readTextFile(`${output}/reconstruct.json`));
    assertEquals(report.model.fingerprints, model.fingerprints);
    for (const [i, image] of images.entries()) {
      const decode = async (file: string): Promise<Uint8ClampedArray> => {
        return RgbaImage.decode(await Deno.readFile(`${output}/${file}`)).data;
      };
      assertEquals(await decode(`${names[i]}.png`), image.data);
      assertEquals(await decode(`${names[i]}_scale-2.png`), image.stages[2]!.data);
      const { source, file, mse, psnr, tokens } = report.images[i];
      assertEquals([source, file, mse, psnr], [files[i], `${names[i]}.png`, image.mse, image.psnr]);
      assertEquals(tokens, image.tokens.map((map) => [...map]));
    }

    const refused = await run(["reconstruct", files[0]!, "-o", output]);
    assertEquals(refused.code, 2);
    assertStringIncludes(refused.err, "it exists; choose another --output, or --overwrite");
    const { out: json, err } = await succeed(
      ...["reconstruct", files[0]!, "--device", "cpu", "-q", "--json", "--overwrite", "-o", output],
    );
    // What is left of the two pictures in all their stages.
    assertStringIncludes(
      err,
      "has 11 pictures beside these that are of another run: 000_small-one_scale-0.png",
    );
    assertEquals(JSON.parse(json).images.map(({ psnr }: { psnr: number }) => psnr), [images[0]!.psnr]);
    const exact = await run([
      ...["reconstruct", files[1]!, "--fit", "exact", "--device", "cpu", "-o", `${folder}/exact`],
    ]);
    assertStringIncludes(exact.err, "it must have 64×64 pixels: it has 100×100");
    assertEquals([exact.code, filesIn(folder).includes("exact")], [2, false]);
  },
);
