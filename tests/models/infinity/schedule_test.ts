/** The published table of token maps, and what a request makes of it. */

import { assertEquals, assertThrows } from "@std/assert";
import {
  ASPECT_KEYS,
  coordinateMap,
  infinitySchedule,
  type InfinityScheduleModel,
  insertionLayers,
  PIXELS,
  usualMaps,
} from "../../../models/infinity/schedule.ts";
import { isGuided, type ScheduleRequest } from "../../../models/schedule.ts";

const MODEL: InfinityScheduleModel = { name: "Infinity-2B", scales: 13, levels: 15, depth: 32, pixels: 16 };

/**
 * The table of the released code: height and width of the pictures of 1M, and tokens of 0.06M, 0.25M and 1M.
 * All of it was counted there.
 */
const PUBLISHED: readonly [key: string, picture: string, tokens: readonly [number, number, number]][] = [
  ["1", "1024×1024", [521, 2521, 10521]],
  ["1.25", "1120×896", [614, 2814, 10774]],
  ["0.8", "896×1120", [614, 2814, 10774]],
  ["1.333", "1152×864", [665, 2657, 10973]],
  ["0.75", "864×1152", [665, 2657, 10973]],
  ["1.5", "1248×832", [533, 2759, 10997]],
  ["0.666", "832×1248", [533, 2759, 10997]],
  ["1.75", "1344×768", [472, 2628, 11252]],
  ["0.571", "768×1344", [472, 2628, 11252]],
  ["2", "1440×720", [451, 2681, 11269]],
  ["0.5", "720×1440", [451, 2681, 11269]],
  ["2.5", "1600×640", [555, 2555, 10805]],
  ["0.4", "640×1600", [555, 2555, 10805]],
  ["3", "1776×592", [509, 2588, 11123]],
  ["0.333", "592×1776", [509, 2588, 11123]],
];

function ask(request: ScheduleRequest, model: Partial<InfinityScheduleModel> = {}) {
  return infinitySchedule({ ...MODEL, ...model }, request);
}

function pictureOf(request: ScheduleRequest, model: Partial<InfinityScheduleModel> = {}): string {
  const { picture: { width, height } } = ask(request, model);
  return `${height}×${width}`;
}

Deno.test("infinitySchedule: all ratios have the published pictures and numbers of tokens", () => {
  assertEquals(ASPECT_KEYS, PUBLISHED.map(([key]) => key));
  for (const [aspect, picture, tokens] of PUBLISHED) {
    assertEquals(pictureOf({ familyOptions: { pn: "1M", aspect } }), picture);
    for (const [i, pn] of ["0.06M", "0.25M", "1M"].entries()) {
      const { scales } = ask({ familyOptions: { pn, aspect } });
      assertEquals(scales.length, PIXELS[pn]);
      assertEquals(scales.reduce((sum, { width, height }) => sum + width * height, 0), tokens[i]);
      // Each map is at least as large as the one before, and the first is one token.
      assertEquals([scales[0]!.width, scales[0]!.height], [1, 1]);
      for (const [k, { width, height }] of scales.slice(1).entries()) {
        const before = scales[k]!;
        assertEquals([width >= before.width, height >= before.height], [true, true]);
      }
    }
    assertEquals(ask({ familyOptions: { pn: "0.60M", aspect } }).scales.length, 12);
    const { width, height } = coordinateMap({ aspect });
    assertEquals(`${16 * height}×${16 * width}`, picture);
  }
});

Deno.test("infinitySchedule: a landscape is its portrait turned, and its key is cut after three digits", () => {
  for (const [i, [aspect]] of PUBLISHED.entries()) {
    if (i % 2 === 0) continue;
    const landscape = PUBLISHED[i + 1]![0];
    assertEquals(Number(landscape), Math.floor(1000 / Number(aspect)) / 1000);
    const [high, wide] = [aspect, landscape].map((key) => ask({ familyOptions: { aspect: key } }).scales);
    assertEquals(
      wide!.map(({ width, height }) => [height, width]),
      high!.map(({ width, height }) => {
        return [width, height];
      }),
    );
  }
  const fourth = (aspect: string): string => {
    const { width, height } = ask({ familyOptions: { aspect } }).scales[3]!;
    return `${height}×${width}`;
  };
  assertEquals(["1", "1.25", "1.333", "1.5"].map(fourth), ["6×6", "5×4", "8×6", "6×4"]);
});

Deno.test("infinitySchedule: what nobody has asked for is the model's own, guided and drawn as the release does", () => {
  const { scales, picture, settings, pixelRule, notes } = ask({}, { scales: 7 });
  assertEquals(scales.map(({ width }) => width), [1, 2, 4, 6, 8, 12, 16]);
  assertEquals(scales.map(({ width, height }) => ({ width, height })), usualMaps(7));
  assertEquals(picture, { width: 256, height: 256 });
  assertEquals(notes, undefined);
  assertEquals(pixelRule, "round");
  assertEquals(settings, {
    ...{ cfg: 4, guidance: "constant", topK: 900, topP: 0.97, minP: 0, temperature: 1 },
    published: false,
    maps: {},
    familyOptions: {},
  });
  for (const { sampling, picture } of scales) {
    assertEquals(sampling, { topK: 900, topP: 0.97, minP: 0, temperature: 1, guidanceWeight: 3 });
    // Scales add up to one picture.
    assertEquals(picture, { width: 256, height: 256 });
  }
});

Deno.test("infinitySchedule: values are cut to levels where the released code's pictures are asked for", () => {
  const published = ask({ published: true });
  assertEquals([published.pixelRule, published.settings.published], ["truncate", true]);
  const { pixelRule: _a, settings: _b, ...others } = published;
  const { pixelRule: _c, settings: _d, ...wanted } = ask({});
  assertEquals(others, wanted);
});

Deno.test("infinitySchedule: a size becomes the nearest one in the table, which is said", () => {
  const sizes: readonly [ScheduleRequest["size"], string][] = [
    [256, "256×256"],
    [512, "512×512"],
    [1024, "1024×1024"],
    [{ width: 832, height: 1248 }, "1248×832"],
    [{ width: 736, height: 368 }, "368×736"],
    [16, "16×16"],
  ];
  for (const [size, picture] of sizes) {
    assertEquals(pictureOf({ size }), picture);
    const { notes, settings } = ask({ size });
    assertEquals([notes, settings.maps], [undefined, { size }]);
  }
  const near: readonly [ScheduleRequest, string, Partial<InfinityScheduleModel>][] = [
    [{ size: 250 }, "256×256", {}],
    [{ size: 4000 }, "1024×1024", {}],
    [{ size: 1 }, "16×16", {}],
    [{ size: { width: 1920, height: 1080 } }, "768×1344", {}],
    [{ size: { width: 1280, height: 1024 } }, "896×1120", {}],
    [{ size: { width: 100, height: 65536 } }, "1776×592", {}],
    // The ratio, then the number of pixels.
    [{ size: 300, familyOptions: { aspect: "2" } }, "480×240", {}],
    [{ size: { width: 640, height: 480 }, familyOptions: { pn: "1M" } }, "864×1152", {}],
    // Eight pixels a position in patches of two are sixteen a token.
    [{ size: 1000 }, "512×512", { levels: 10, scales: 10 }],
    [{ size: 1000 }, "64×64", { levels: 5, scales: 5, pixels: 8 }],
  ];
  for (const [request, picture, model] of near) {
    assertEquals(pictureOf(request, model), picture);
    const { notes, settings } = ask(request, model);
    assertEquals(notes?.length, 1);
    assertEquals(notes![0]!.includes("is not in the published table"), true);
    const { width, height } = ask(request, model).picture;
    assertEquals(notes![0]!.includes(`${width}×${height}`), true);
    // What is kept leads to the same maps again.
    const again = ask({ ...settings.maps, familyOptions: settings.familyOptions }, model);
    assertEquals([again.picture, again.settings.familyOptions], [
      ask(request, model).picture,
      settings.familyOptions,
    ]);
  }
});

Deno.test("infinitySchedule: of all keys the nearest is taken, and of two the first of the table", () => {
  const keyOf = (ratio: number): unknown => {
    const size = { width: 10000, height: Math.round(10000 * ratio) };
    return ask({ size }).settings.familyOptions.aspect ?? "1";
  };
  for (let ratio = 0.1; ratio < 4; ratio += 0.01) {
    const exact = Math.round(10000 * ratio) / 10000;
    const distances = ASPECT_KEYS.map((key) => Math.abs(Number(key) - exact));
    const wanted = ASPECT_KEYS[distances.indexOf(Math.min(...distances))];
    assertEquals(keyOf(ratio), wanted, `${ratio}`);
  }
  // Halfway between 1 and 1.25.
  assertEquals(keyOf(1.125), "1");
  assertEquals(keyOf(2.25), "2");
});

Deno.test("infinitySchedule: a ratio may be a number, or be written in another way", () => {
  for (const aspect of [2, "2", "2.0", "2.000"]) {
    assertEquals(ask({ familyOptions: { aspect } }).settings.familyOptions, { aspect: "2" });
  }
  for (const aspect of [1, "1", "1.0", "1.000"]) {
    assertEquals(ask({ familyOptions: { aspect } }).settings.familyOptions, {});
  }
  const kept = { pn: "0.06M", negativePrompt: "", positivePrompt: true, cfgInsertionLayer: "0,-5" };
  assertEquals(ask({ familyOptions: kept }).settings.familyOptions, kept);
});

Deno.test("infinitySchedule: lists give each scale its strength and temperature", () => {
  const cfg = [1, 2, 3, 4, 5, 6, 7];
  const temperature = [0.5, 1, 1, 1, 1, 1, 0];
  const { scales, settings } = ask({ cfg, temperature }, { scales: 7 });
  assertEquals(scales.map(({ sampling }) => sampling.guidanceWeight), [0, 1, 2, 3, 4, 5, 6]);
  assertEquals(scales.map(({ sampling }) => sampling.temperature), temperature);
  assertEquals([settings.cfg, settings.temperature], [cfg, temperature]);
  // What is beyond the last scale is not used, and a ramp is a ramp here, too.
  assertEquals(ask({ cfg: [...cfg, 9] }, { scales: 7 }).scales.length, 7);
  const ramp = ask({ cfg: 3, guidance: "ramp" }, { scales: 7 }).scales;
  assertEquals(
    ramp.map(({ sampling }) => sampling.guidanceWeight),
    [0, 1, 2, 3, 4, 5, 6].map((k) => 3 * (k / 6)),
  );
});

Deno.test("insertionLayers: guidance acts on logits, after blocks, or both", () => {
  const cases: readonly [string | undefined, boolean, readonly number[]][] = [
    [undefined, true, []],
    ["0", true, []],
    ["-5", false, [5]],
    ["0,-2", true, [2]],
    ["-3,-1,-3,0", true, [1, 3]],
    ["-1,-32", false, [1, 32]],
  ];
  for (const [cfgInsertionLayer, logits, blocks] of cases) {
    const options = cfgInsertionLayer === undefined ? {} : { cfgInsertionLayer };
    assertEquals(insertionLayers(options), { logits, blocks });
    const schedule = ask({ familyOptions: options });
    assertEquals(isGuided({ ...schedule, imageBytes: 0 }), logits);
    // What is kept says how strong guidance is, wherever it acts.
    assertEquals(schedule.settings.cfg, 4);
  }
});

Deno.test("infinitySchedule: what cannot be is refused with what can", () => {
  const ratios = ASPECT_KEYS.join(", ");
  const refused: readonly [ScheduleRequest, typeof Error, string, Partial<InfinityScheduleModel>?][] = [
    [{ familyOptions: { aspect: "1.6" } }, RangeError, `aspect must be ${ratios}: current value is "1.6"`],
    [{ familyOptions: { aspect: 0.6666 } }, RangeError, `aspect must be ${ratios}: current value is 0.6666`],
    [{ familyOptions: { aspect: "" } }, RangeError, `aspect must be ${ratios}: current value is ""`],
    [{ familyOptions: { aspect: NaN } }, RangeError, "current value is NaN"],
    [{ familyOptions: { aspect: [1] } }, TypeError, "aspect must be a ratio of height by width"],
    [{ familyOptions: { aspect: null } }, TypeError, "aspect must be a ratio of height by width"],
    [{ familyOptions: { pn: "2M" } }, TypeError, 'pn must be one of "0.06M", "0.25M", "0.60M", "1M"'],
    [{ familyOptions: { pn: 1 } }, TypeError, "pn must be one of"],
    [{ familyOptions: { pn: "toString" } }, TypeError, "pn must be one of"],
    [
      { familyOptions: { pn: "0.25M" } },
      RangeError,
      'pn must ask for at most 7 scales, which the model "Infinity-2B" has: "0.25M" has 10',
      { levels: 7, scales: 7 },
    ],
    [{ familyOptions: { steps: 4 } }, TypeError, 'the option "steps" is unknown'],
    [{ familyOptions: { negativePrompt: 1 } }, TypeError, "negativePrompt must be a text"],
    [{ familyOptions: { positivePrompt: "yes" } }, TypeError, "positivePrompt must be"],
    [{ familyOptions: { cfgInsertionLayer: -5 } }, TypeError, "cfgInsertionLayer must be 0"],
    [{ familyOptions: { cfgInsertionLayer: "" } }, TypeError, "cfgInsertionLayer must be 0"],
    [{ familyOptions: { cfgInsertionLayer: "0, -5" } }, TypeError, "cfgInsertionLayer must be 0"],
    [{ familyOptions: { cfgInsertionLayer: "1" } }, RangeError, "from -32 to 0: current value is 1"],
    [{ familyOptions: { cfgInsertionLayer: "0,-33" } }, RangeError, "from -32 to 0: current value is -33"],
    [{ patchNumbers: [1, 2] }, RangeError, "goes by the published table: use size, or pn and aspect"],
    [{ cfg: [4, 4, 3] }, RangeError, "cfg"],
    [{ temperature: [1, 1] }, RangeError, "temperature"],
    [{ published: 1 as unknown as boolean }, TypeError, "published must be"],
    [{ size: 0 }, RangeError, "the width must be an integer"],
    [{ size: { width: 10, height: 65537 } }, RangeError, "the height must be an integer"],
    [{ size: { width: 10.5, height: 10 } }, RangeError, "the width must be an integer"],
    [{ size: 256 }, RangeError, "neither decoder nor encoder; use pn and aspect", { pixels: 0 }],
  ];
  for (const [request, error, message, model] of refused) {
    const found = assertThrows(() => ask(request, model), error, message);
    assertEquals((found as Error).message.startsWith("Cannot generate "), true, (found as Error).message);
  }
});

Deno.test("infinitySchedule: a model without pictures has maps, and pictures of no size", () => {
  const { picture, scales } = ask({ familyOptions: { pn: "0.06M", aspect: "3" } }, { pixels: 0 });
  assertEquals([picture, scales.length], [{ width: 0, height: 0 }, 7]);
});
