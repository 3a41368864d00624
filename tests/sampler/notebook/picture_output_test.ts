import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { MAX_OUTPUT_BYTES } from "../../../sampler/notebook/output.ts";
import { pictureOutput, type Pixels, shrink } from "../../../sampler/notebook/picture_output.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";

/** A PNG file of a picture. */
function encode({ width, height, data }: Pixels): Uint8Array<ArrayBuffer> {
  return new RgbaImage(width, height, data).png();
}

/** Noise, which no file of a picture makes smaller. */
function noise(width: number, height: number): RgbaImage {
  const image = new RgbaImage(width, height);
  for (let at = 0; at < image.data.length; at += 2 ** 16) {
    crypto.getRandomValues(image.data.subarray(at, at + 2 ** 16));
  }
  for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255;
  return image;
}

/** Bytes of all formats together. */
function bytesOf(bundle: object): number {
  return Object.values(bundle).reduce((sum, text) => sum + new TextEncoder().encode(text).length, 0);
}

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "varscale-output-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("pictureOutput: a picture that fits is shown as it is, and no file is made", async () => {
  await inFolder(async (folder) => {
    const image = noise(40, 30);
    const bundle = pictureOutput(image, encode, `${folder}/files`);
    assertEquals(bundle, { "image/png": image.png().toBase64(), "text/plain": "40×30 image" });
    assertEquals(Array.from(Deno.readDirSync(folder)), []);
    await Promise.resolve();
  });
});

Deno.test("pictureOutput: one beyond 8 MiB is a file with a link, and a smaller picture", async () => {
  await inFolder(async (folder) => {
    // Three bytes a pixel, four in base64: more than 8 MiB.
    const image = noise(1800, 1200);
    assert(image.png().length * 4 / 3 > MAX_OUTPUT_BYTES);
    const bundle = pictureOutput(image, encode, folder);
    assert(bytesOf(bundle) <= MAX_OUTPUT_BYTES, `${bytesOf(bundle)} bytes`);
    const [name] = Array.from(Deno.readDirSync(folder), ({ name }) => name);
    assertStringIncludes(bundle["text/html"]!, `<a href="${folder}/${name}">`);
    assertStringIncludes(
      bundle["text/plain"],
      `1800×1200 image, too large for a notebook: ${folder}/${name}`,
    );
    const kept = RgbaImage.decode(await Deno.readFile(`${folder}/${name}`));
    assertEquals(kept.data, image.data);
    const small = RgbaImage.decode(Uint8Array.fromBase64(bundle["image/png"]));
    assertEquals([small.width, small.height], [600, 400]);
    assertStringIncludes(bundle["text/html"]!, `src="data:image/png;base64,${bundle["image/png"]}"`);
  });
});

Deno.test("pictureOutput: where no file can be written, the smaller picture is shown all the same", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "");
    const bundle = pictureOutput(noise(1800, 1200), encode, `${folder}/file/below`);
    assertStringIncludes(bundle["text/plain"], "could not be written to varscale_outputs: ");
    assertEquals(RgbaImage.decode(Uint8Array.fromBase64(bundle["image/png"])).width, 600);
    assert(!bundle["text/html"]!.includes("<a "));
  });
});

Deno.test("shrink: each pixel is the mean of a square, also at the edges", () => {
  const pixels = [[0, 255], [40, 255], [80, 255], [120, 255], [200, 255], [100, 0]];
  const data = new Uint8ClampedArray(pixels.flatMap(([gray, alpha]) => [gray!, gray!, gray!, alpha!]));
  // Three columns and two rows to two columns and one row: 2×2 pixels, and 1×2 at the edge.
  const small = shrink({ width: 3, height: 2, data }, 2);
  assertEquals([small.width, small.height], [2, 1]);
  const red = [small.data[0]!, small.data[4]!];
  assertAlmostEquals(red[0]!, (0 + 40 + 120 + 200) / 4, 0.5);
  // What is transparent counts for the alpha, and not for the colour.
  assertEquals([red[1], small.data[7]], [80, 128]);
});

Deno.test("shrink: a very long picture keeps a row", () => {
  const { width, height } = shrink(new RgbaImage(5000, 2), 100);
  assertEquals([width, height], [100, 1]);
});
