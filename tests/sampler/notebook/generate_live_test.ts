import { assertEquals, assertRejects } from "@std/assert";
import { generate } from "../../../sampler/generate.ts";
import { generateLive } from "../../../sampler/notebook/generate_live.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import { testOnModel, TINY_PATCH_NUMBERS } from "../models.ts";
import { inNotebook } from "./frontend.ts";

testOnModel("tiny", "generateLive: paints what generate paints, and shows each scale", async (model) => {
  const request = { labels: ["sea", "sky", "snow"], seed: 4, batch: 2 };
  const { images } = await generate(model, request);
  const shown = await inNotebook(async () => {
    const live = await generateLive(model, request);
    assertEquals(live.images.map(({ tokens }) => tokens), images.map(({ tokens }) => tokens));
    assertEquals(live.images.map(({ data }) => data), images.map(({ data }) => data));
    assertEquals(live.trace.batches.length, 2);
  });
  const sheets = shown.filter(({ data }) => data["image/png"] !== undefined);
  assertEquals(sheets.length, 2 * TINY_PATCH_NUMBERS.length);
  const widths = sheets.map(({ data }) =>
    RgbaImage.decode(Uint8Array.fromBase64(data["image/png"] as string)).width
  );
  // Two pictures stand beside each other in the first batch, and one is in the second.
  assertEquals(new Set(widths.slice(0, 4)).size, 1);
  assertEquals(widths[0]! > widths[4]!, true);
  assertEquals(shown.at(-1)!.data["text/plain"], "████████████████████ 3 of 3");
});

testOnModel("tiny", "generateLive: without previews a bar counts the scales", async (model) => {
  const shown = await inNotebook(async () => {
    await generateLive(model, { labels: "sea", previews: false });
  });
  assertEquals(shown.some(({ data }) => "image/png" in data), false);
  assertEquals(shown[0]!.data["text/plain"], "█████░░░░░░░░░░░░░░░ 1 of 4");
});

testOnModel("tiny", "generateLive: the signals of the request and of the options stop it", async (model) => {
  for (const where of ["request", "options"] as const) {
    const controller = new AbortController();
    const own = { signal: controller.signal };
    const [request, options] = where === "request" ? [own, {}] : [{}, own];
    const painting = generateLive(model, { labels: "sea", count: 200, batch: 1, ...request }, options);
    controller.abort(new Error(where));
    await assertRejects(() => painting, Error, where);
  }
  await assertRejects(
    () => generateLive(model, { labels: "sea" }, { second: 1 } as never),
    TypeError,
    "second",
  );
});
