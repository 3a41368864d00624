/** How a picture came about: the surviving lane after each scale, on both devices, and the strip of it. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  beamSearch,
  costOf,
  generate,
  GeneratedImage,
  type LaneVerifier,
  loadModel,
  type Model,
  RgbaImage,
  type ScaleHook,
  type Stepwise,
  stepwise,
} from "../../../mod.ts";
import { testOnDevices } from "../../devices.ts";

/** A judge that knows nothing: the further down in the batch, the better. */
const last: LaneVerifier = { name: "last", scoreLanes: ({ lanes }) => [...lanes.keys()] };

function pixel({ data, width }: RgbaImage, x: number, y: number): number[] {
  return [...data.subarray(4 * (y * width + x), 4 * (y * width + x) + 3)];
}

/** A search after which the lane of a picture has been another one on the way. */
const search = beamSearch({ beams: 1, width: 2, scales: [1, 3], verifier: last });

/** Checks what was noted against previews of the same search. */
async function assertNotes(
  model: Model,
  { hooks, others, steps }: {
    readonly hooks: readonly ScaleHook[];
    /** Those of them that do not only watch. */
    readonly others: readonly ScaleHook[];
    readonly steps: Stepwise;
  },
): Promise<void> {
  const request = { labels: "blue cone", seed: 7 };
  const watched = await generate(model, { ...request, hooks });
  const previews = new Map<string, RgbaImage>();
  let plain: GeneratedImage | undefined;
  for await (const event of generate.stream(model, { ...request, hooks: others, previews: [0, 2, 4] })) {
    if (event.type === "image") plain = event.image;
    if (event.type !== "preview") continue;
    for (const { lane, image } of event.images) previews.set(`${event.scale} ${lane}`, image);
  }
  const [image] = watched.images as [GeneratedImage];
  assertEquals([image.tokens, image.data], [plain!.tokens, plain!.data]);
  const notes = image.decisionsOf(steps);
  assertEquals(notes.map(({ scale }) => scale), [0, 1, 2, 3, 4, 5]);
  assertEquals(notes.map(({ value }) => value.width), [...model.patchNumbers]);
  assertEquals(notes.map(({ value }) => value.height), [...model.patchNumbers]);
  assertEquals(notes.at(-1)!.value.picture, undefined);
  // Which lane it was on the way: copies have numbers of their own from the scale on after which they began.
  for (const scale of [0, 2, 4]) {
    let at = image.attempts[image.attempt]!;
    while (at.from !== undefined && at.from.scale > scale) at = image.attempts[at.from.attempt]!;
    assertEquals(notes[scale]!.value.picture!.data, previews.get(`${scale} ${at.lane}`)!.data, `${scale}`);
  }
  const { passes, decodes, judged } = watched.trace.cost;
  const planned = await costOf(model, { ...request, hooks });
  assertEquals([passes, decodes, judged], [planned.passes, planned.decodes, planned.judged]);
}

testOnDevices(
  "stepwise: it notes what a picture looked like after each scale, and changes nothing",
  async (device) => {
    await using model = await loadModel("demo", { device: device.kind });
    const steps = stepwise();
    await assertNotes(model, { hooks: [steps], others: [], steps });
  },
);

Deno.test("stepwise: of a search it notes the lane that led to the picture, in front of it or behind", async () => {
  await using model = await loadModel("demo", { device: "cpu" });
  const steps = stepwise();
  for (const hooks of [[steps, search], [search, steps]]) {
    await assertNotes(model, { hooks, others: [search], steps });
  }
});

Deno.test("stepwise: the strip shows each scale beside the next, and the picture itself at the end", async () => {
  await using model = await loadModel("demo", { device: "cpu" });
  const steps = stepwise();
  const { images: [image] } = await generate(model, { labels: "red torus", seed: 7, hooks: [steps] });
  const strip = steps.image(image!, { gap: 10, captions: false, title: "" });
  assertEquals([strip.width, strip.height], [10 + 6 * (3 * 64 + 10), 20 + 3 * 64]);
  const pictures = [...image!.decisionsOf(steps).slice(0, 5).map(({ value }) => value.picture!), image!];
  for (const [scale, picture] of pictures.entries()) {
    for (const [x, y] of [[0, 0], [40, 13], [63, 63]] as const) {
      const shown = pixel(strip, 10 + scale * (3 * 64 + 10) + 3 * x, 10 + 3 * y);
      assertEquals(shown, pixel(picture, x, y), `scale ${scale}, ${x}, ${y}`);
    }
  }
  // With captions and a title it is higher, and no wider.
  const whole = steps.image(image!, { gap: 10 });
  assertEquals(whole.width, strip.width);
  assert(whole.height > strip.height + 2 * 7);
});

Deno.test("stepwise: pictures of a model whose scales grow stand in one row, and large ones are smaller", () => {
  const gray = (width: number, height: number, shade: number): RgbaImage => {
    return new RgbaImage(
      width,
      height,
      new Uint8Array(4 * width * height).map((_, i) => i % 4 === 3 ? 255 : shade),
    );
  };
  const finished = gray(512, 256, 200);
  const small = gray(32, 16, 100);
  const image = new GeneratedImage(finished, finished.data, {
    ...{
      place: 0,
      index: 3,
      lane: 0,
      label: { id: 1, name: "class" },
      seed: 0,
      tokens: [],
      attempt: 0,
      attempts: [],
    },
    decisions: [
      { hook: "stepwise", scale: 0, value: { picture: small, width: 2, height: 1 } },
      { hook: "stepwise", scale: 1, value: { width: 32, height: 16 } },
    ],
  });
  const strip = stepwise().image(image, { gap: 8, captions: false, title: "" });
  assertEquals([strip.width, strip.height], [8 + 2 * (256 + 8), 128 + 16]);
  assertEquals([pixel(strip, 8, 8), pixel(strip, 263, 135)], [[100, 100, 100], [100, 100, 100]]);
  assertEquals([pixel(strip, 272, 8), pixel(strip, 527, 135)], [[200, 200, 200], [200, 200, 200]]);
});

Deno.test("stepwise: a picture that nobody watched is refused", async () => {
  await using model = await loadModel("demo", { device: "cpu" });
  const { images: [image] } = await generate(model, { labels: "red torus" });
  assertThrows(
    () => stepwise().image(image!),
    TypeError,
    'Cannot draw the scales of "red torus #0" as nobody watched them: stepwise() must be among the hooks',
  );
});
