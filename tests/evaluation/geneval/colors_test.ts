import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClipColors, cropTo, GENEVAL_COLORS, loadColors } from "../../../evaluation/geneval/colors.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { Clip } from "../../../models/vision/clip.ts";
import { decodeImage } from "../../../sampler/pictures/decode.ts";
import recorded from "../../fixtures/evaluation/geneval/colors.json" with { type: "json" };
import { CLIP_TOKENIZER, publishedFile } from "../../models/vision/published_networks.ts";

const PICTURE = new URL("../../fixtures/evaluation/geneval/colors.png", import.meta.url);

Deno.test("ClipColors: sees the colours that CLIP in PyTorch sees in what Pillow cuts out", async () => {
  using device = new CpuDevice();
  const files = { weights: await publishedFile("clip_hf"), tokenizer: CLIP_TOKENIZER };
  await using clip = await Clip.open(device, files);
  await using colors = new ClipColors(device, clip);
  const picture = await decodeImage(await Deno.readFile(PICTURE));
  const objects = recorded.map(({ label, box }) => ({
    label,
    score: 1,
    box: box as [number, number, number, number],
  }));
  assertEquals(await colors.colorsOf(picture, objects), recorded.map(({ color }) => color));
  // Cosines differ by 1e-5 between the two at the most, so none of these is near a tie.
  assert(recorded.every(({ margin }) => margin > 1e-3));
  assert(new Set(recorded.map(({ color }) => color)).size > 2);
  assertEquals(await colors.colorsOf(picture, []), []);
});

Deno.test("loadColors: loads a folder with a CLIP, and nothing else", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/model.safetensors`, await publishedFile("clip_hf"));
    await Deno.copyFile(CLIP_TOKENIZER, `${folder}/tokenizer.json`);
    await using colors = await loadColors(`clip:${folder}`);
    assertEquals([colors.name, colors.fingerprint.length], ["clip", 64]);
    assertEquals(colors.colors, GENEVAL_COLORS);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  await assertRejects(() => loadColors("siglip"), TypeError, 'must be "clip" or "clip:" and a place');
  await assertRejects(() => loadColors("clip", { colour: 1 } as never), TypeError, "colour");
});

Deno.test("cropTo: halves go to the even edge, and nothing lies outside of the picture", () => {
  const data = Array.from({ length: 4 * 4 * 3 }, (_, i) => Math.floor(i / 4));
  const picture = { width: 4, height: 3, data };
  const first = (box: readonly [number, number, number, number]) => {
    const { width, height, data } = cropTo(picture, box);
    return [width, height, data[0]];
  };
  assertEquals(first([0.5, 1.5, 2, 1]), [2, 0 + 1, 8]);
  assertEquals(first([1.5, 0, 1, 3]), [1, 3, 2]);
  assertEquals(first([-5, -5, 100, 100]), [4, 3, 0]);
  assertEquals(first([3.9, 2.9, 0, 0]), [1, 1, 11]);
});
