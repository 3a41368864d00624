import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { flexVarSchedule } from "../../../models/flexvar/schedule.ts";
import { isGuided, type ScheduleRequest } from "../../../models/schedule.ts";

const MODEL = { name: "FlexVAR-d16", pixelsPerToken: 16 };
const TEN = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16];

function maps(request: ScheduleRequest): string[] {
  return flexVarSchedule(MODEL, request).scales.map(({ width, height }) => `${width}×${height}`);
}

function sides(request: ScheduleRequest): number[] {
  return flexVarSchedule(MODEL, request).scales.map(({ width, height }) => {
    assertEquals(width, height);
    return width;
  });
}

Deno.test("flexVarSchedule: the usual schedule is the one that the models are evaluated with", () => {
  const { scales, picture, settings } = flexVarSchedule(MODEL);
  assertEquals(scales.map(({ width }) => width), TEN);
  assertEquals(scales.map(({ height }) => height), TEN);
  assertEquals(picture, { width: 256, height: 256 });
  assertEquals(scales.map((scale) => scale.picture.width), TEN.map((side) => 16 * side));
  assertEquals(settings, {
    cfg: 2.5,
    guidance: "ramp",
    topK: 900,
    topP: 0.95,
    minP: 0,
    temperature: 1,
    published: false,
    maps: {},
    familyOptions: {},
  });
  for (const [k, { sampling }] of scales.entries()) {
    assertEquals(sampling, {
      topK: 900,
      topP: 0.95,
      minP: 0,
      temperature: 1,
      guidanceWeight: 2.5 * (k / 9),
    });
  }
});

/**
 * Published lists: which scales are greedy, the last weight of guidance at cfg 2.5, and the number of tokens.
 */
const TABLE: readonly [list: number[], tokens: number, greedy: number[], last: number][] = [
  [[1, 2, 4, 6, 10, 16], 413, [], 2.5],
  [[1, 2, 3, 5, 8, 11, 16], 480, [11], 2.5],
  [[1, 2, 3, 4, 6, 10, 13, 16], 591, [], 2.5],
  [[1, 2, 3, 5, 7, 10, 13, 16], 613, [7], 2.5],
  [[1, 2, 3, 4, 5, 7, 10, 13, 16], 629, [7], 2.5],
  [TEN, 680, [], 2.5],
  [[1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 16], 767, [7, 9, 11], 2.78],
  [[1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16], 900, [7, 12, 14], 3.06],
  [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16], 981, [7, 9, 12, 14], 3.33],
  [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16], 1102, [7, 9, 11, 12, 14], 3.61],
  [[...TEN, 24], 1256, [24], 2.5],
  [[...TEN, 23, 32], 2233, [23, 32], 2.5],
  [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 23, 32], 2534, [7, 9, 12, 14, 23, 32], 2.5],
];

Deno.test("published schedules have the published rules, and ours sample all scales and never exceed cfg", () => {
  for (const [patchNumbers, tokens, greedy, last] of TABLE) {
    const { scales } = flexVarSchedule(MODEL, { patchNumbers, published: true });
    assertEquals(scales.reduce((sum, { width, height }) => sum + width * height, 0), tokens);
    assertEquals(scales.filter(({ sampling }) => sampling.topK === 1).map(({ width }) => width), greedy);
    for (const { width, sampling } of scales) {
      if (!greedy.includes(width)) assertEquals(sampling.topK, 900);
    }
    assertEquals(scales[0]!.sampling.guidanceWeight, 0);
    assertAlmostEquals(scales.at(-1)!.sampling.guidanceWeight, last, 0.005);

    const own = flexVarSchedule(MODEL, { patchNumbers }).scales;
    assertEquals(new Set(own.map(({ sampling }) => sampling.topK)), new Set([900]));
    assertEquals(own.at(-1)!.sampling.guidanceWeight, 2.5);
    assertEquals(Math.max(...own.map(({ sampling }) => sampling.guidanceWeight)), 2.5);
    // Both ramps are the same where neither reaches cfg.
    for (const [k, { sampling }] of own.entries()) {
      const theirs = scales[k]!;
      const expected = theirs.width > 16 ? 2.5 : Math.min(2.5, theirs.sampling.guidanceWeight);
      assertEquals(sampling.guidanceWeight, expected, `scale ${k} of ${patchNumbers}`);
    }
  }
});

Deno.test("flexVarSchedule: a number of steps means the published list of that size", () => {
  for (const [list] of TABLE) {
    // Of eight steps there are two lists, and the paper's comes first.
    if (`${list}` === "1,2,3,5,7,10,13,16") continue;
    const request = { size: 16 * list.at(-1)!, familyOptions: { steps: list.length } };
    assertEquals(sides(request), list);
    assertEquals(flexVarSchedule(MODEL, request).settings.familyOptions, { steps: list.length });
  }
  assertEquals(sides({ familyOptions: { steps: 6 } }), [1, 2, 4, 6, 10, 16]);
  const wide = { size: { width: 512, height: 256 }, familyOptions: { steps: 6 } };
  assertEquals(maps(wide), ["1×1", "4×2", "8×4", "12×6", "20×10", "32×16"]);
  const greedy = flexVarSchedule(MODEL, { published: true, familyOptions: { steps: 13, maxpn: 12 } });
  assertEquals(greedy.settings.familyOptions, { steps: 13, maxpn: 12 });
  assertEquals(greedy.scales.filter(({ sampling }) => sampling.topK === 1).map(({ width }) => width), [
    ...[7, 9, 12, 14, 16],
  ]);
  const refused: readonly [ScheduleRequest, typeof Error, string][] = [
    [
      { familyOptions: { steps: 5 } },
      RangeError,
      "steps must be 6, 7, 8, 9, 10, 11, 12, 13, 14 for token maps up to 16×16",
    ],
    [
      { size: 512, familyOptions: { steps: 10 } },
      RangeError,
      "steps must be 12, 15 for token maps up to 32×32: current value is 10",
    ],
    [
      { size: 128, familyOptions: { steps: 6 } },
      RangeError,
      "no list is published for token maps up to 8×8; use patchNumbers",
    ],
    [
      { patchNumbers: TEN, familyOptions: { steps: 10 } },
      TypeError,
      "steps and patchNumbers exclude each other",
    ],
    [{ familyOptions: { steps: 6.5 } }, RangeError, "steps must be an integer >= 1: current value is 6.5"],
  ];
  for (const [request, error, message] of refused) {
    assertThrows(() => flexVarSchedule(MODEL, request), error, message);
  }
});

Deno.test("flexVarSchedule: a longer schedule does not change the guidance of its beginning", () => {
  const weights = (patchNumbers: number[]): number[] => {
    return flexVarSchedule(MODEL, { patchNumbers }).scales.map(({ sampling }) => sampling.guidanceWeight);
  };
  assertEquals(weights([...TEN, 23, 32]).slice(0, 10), weights(TEN));
  assertEquals(weights([...TEN, 23, 32]).slice(10), [2.5, 2.5]);
});

Deno.test("flexVarSchedule: the released code's rules: guidance that goes on growing, and maxpn", () => {
  const patchNumbers = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16];
  const growing = flexVarSchedule(MODEL, { patchNumbers, cfg: 3, published: true }).scales;
  assertEquals(growing.map(({ sampling }) => sampling.guidanceWeight), growing.map((_, k) => 3 * (k / 9)));

  const larger = { patchNumbers: [...TEN, 23, 24, 25, 32], published: true };
  const raised = flexVarSchedule(MODEL, { ...larger, familyOptions: { maxpn: 24 } });
  assertEquals(raised.settings.familyOptions, { maxpn: 24 });
  assertEquals(raised.scales.slice(10).map(({ sampling }) => sampling.topK), [900, 900, 1, 1]);
  assertEquals(raised.scales.slice(10).map(({ sampling }) => sampling.guidanceWeight), [
    2.5 * (10 / 9),
    2.5 * (11 / 9),
    2.5,
    2.5,
  ]);
  const lowered = flexVarSchedule(MODEL, { published: true, familyOptions: { maxpn: 3 } }).scales;
  assertEquals(lowered.map(({ sampling }) => sampling.topK), [900, 900, 900, 1, 1, 1, 1, 1, 1, 1]);
  assertEquals(lowered.slice(2, 4).map(({ sampling }) => sampling.guidanceWeight), [2.5 * (2 / 9), 2.5]);
});

Deno.test("flexVarSchedule: guidance may be constant on all scales", () => {
  for (const published of [false, true]) {
    const { scales, settings } = flexVarSchedule(MODEL, {
      size: 512,
      cfg: 4,
      guidance: "constant",
      published,
    });
    assertEquals(settings.guidance, "constant");
    assertEquals(new Set(scales.map(({ sampling }) => sampling.guidanceWeight)), new Set([3]));
  }
});

Deno.test("flexVarSchedule: settings of drawing come from the request", () => {
  const { scales, settings } = flexVarSchedule(MODEL, {
    topK: 5,
    topP: 0.5,
    minP: 0.1,
    temperature: 2,
    cfg: 0,
  });
  assertEquals(scales[9]!.sampling, { topK: 5, topP: 0.5, minP: 0.1, temperature: 2, guidanceWeight: 0 });
  assertEquals([settings.topK, settings.topP, settings.minP, settings.temperature], [5, 0.5, 0.1, 2]);
  assertEquals(isGuided({ scales, settings, picture: { width: 0, height: 0 }, imageBytes: 0 }), false);
  const published = flexVarSchedule(MODEL, { patchNumbers: [1, 7], topK: 0, published: true }).scales;
  assertEquals(published.map(({ sampling }) => sampling.topK), [0, 1]);
});

Deno.test("flexVarSchedule: a list of strengths gives each scale its own, by either rules", () => {
  const cfg = [9, 2, 4, 6];
  for (const published of [false, true]) {
    const request = { patchNumbers: [1, 2, 3, 4], cfg, temperature: [1, 1, 0, 0.5], published };
    const { scales, settings } = flexVarSchedule(MODEL, request);
    // t = cfg · k / (K - 1), each with its own cfg.
    assertEquals(scales.map(({ sampling }) => sampling.guidanceWeight), cfg.map((own, k) => own * (k / 3)));
    assertEquals(scales.map(({ sampling }) => sampling.temperature), [1, 1, 0, 0.5]);
    assertEquals([settings.cfg, settings.temperature], [cfg, [1, 1, 0, 0.5]]);
  }
  assertThrows(
    () => flexVarSchedule(MODEL, { cfg, size: 256 }),
    RangeError,
    "Cannot generate as cfg must hold a number for each of 10 scales: current number is 4",
  );
});

Deno.test("flexVarSchedule: a square's size makes its list", () => {
  assertEquals(sides({ size: 256 }), TEN);
  assertEquals(sides({ size: 16 }), [1]);
  assertEquals(flexVarSchedule(MODEL, { size: 16 }).scales[0]!.sampling.guidanceWeight, 0);
  assertEquals(sides({ size: 32 }), [1, 2]);
  assertEquals(sides({ size: 112 }), [1, 2, 3, 4, 5, 6, 7]);
  assertEquals(sides({ size: 160 }), [1, 2, 3, 4, 5, 6, 8, 10]);
  assertEquals(sides({ size: { width: 240, height: 240 } }), [1, 2, 3, 4, 5, 6, 8, 10, 13, 15]);
  assertEquals(sides({ size: 272 }), [...TEN, 17]);
  assertEquals(sides({ size: 384 }), [...TEN, 24]);
  assertEquals(sides({ size: 400 }), [...TEN, 20, 25]);
  assertEquals(sides({ size: 512 }), [...TEN, 23, 32]);
  assertEquals(sides({ size: 1024 }), [...TEN, 23, 32, 45, 64]);
  // As many steps of 1.5 as there are.
  assertEquals(sides({ size: 16 * 36 }), [...TEN, 24, 36]);
  assertEquals(sides({ size: 16 * 54 }), [...TEN, 24, 36, 54]);
  assertEquals(sides({ size: 16 * 81 }), [...TEN, 24, 36, 54, 81]);
  for (let side = 1; side <= 200; side++) {
    const list = sides({ size: 16 * side });
    assertEquals(list.at(-1), side);
    assertEquals(list[0], 1);
    for (const [k, value] of list.slice(1).entries()) {
      if (!(value > list[k]!)) throw new Error(`${list} does not increase`);
      if (list[k]! >= 16 && value > 1.5 * list[k]! + 1) throw new Error(`${list} has a large step`);
    }
  }
});

Deno.test("flexVarSchedule: a size that is no square stretches the maps by the paper's formula", () => {
  assertEquals(maps({ size: { width: 256, height: 512 } }), [
    "1×1",
    "2×4",
    "3×6",
    "4×8",
    "5×10",
    "6×12",
    "8×16",
    "10×20",
    "13×26",
    "16×32",
  ]);
  // Maps that come out alike are left out, and none has no tokens.
  assertEquals(maps({ size: { width: 128, height: 32 } }), ["1×1", "2×1", "3×1", "4×1", "5×1", "6×1", "8×2"]);
  assertEquals(maps({ size: { width: 16, height: 64 } }), ["1×1", "1×2", "1×3", "1×4"]);
  const { picture, scales } = flexVarSchedule(MODEL, { size: { width: 384, height: 256 } });
  assertEquals(picture, { width: 384, height: 256 });
  assertEquals(scales[8], {
    width: 19,
    height: 13,
    picture: { width: 304, height: 208 },
    sampling: { topK: 900, topP: 0.95, minP: 0, temperature: 1, guidanceWeight: 2.5 * (8 / 9) },
  });
  // A picture of less than 16 tokens may begin with other maps than the ten's: 16 → 3, so 1 2 … come out
  // alike.
  assertEquals(maps({ size: { width: 48, height: 32 } }), ["1×1", "2×1", "3×2"]);
});

Deno.test("flexVarSchedule: a list and a size together stretch the list", () => {
  const list = [1, 3, 8, 12];
  assertEquals(sides({ patchNumbers: list, size: 192 }), list);
  assertEquals(maps({ patchNumbers: list, size: { width: 384, height: 192 } }), [
    "1×1",
    "6×3",
    "16×8",
    "24×12",
  ]);
  assertEquals(sides({ patchNumbers: TEN, size: 64 }), [1, 2, 3, 4]);
  assertEquals(flexVarSchedule(MODEL, { patchNumbers: list, size: 192 }).settings.maps, {
    patchNumbers: list,
    size: 192,
  });
});

Deno.test("flexVarSchedule: what a schedule was made from makes it again", () => {
  const requests: ScheduleRequest[] = [
    {},
    { size: 512, published: true, familyOptions: { maxpn: 32 } },
    { patchNumbers: [1, 4, 9], cfg: 1, guidance: "constant" },
    { size: { width: 320, height: 160 }, patchNumbers: [1, 2, 5], temperature: 0 },
  ];
  for (const request of requests) {
    const schedule = flexVarSchedule(MODEL, request);
    const { maps, ...settings } = schedule.settings;
    assertEquals(flexVarSchedule(MODEL, { ...settings, ...maps }), schedule);
  }
});

Deno.test("flexVarSchedule: the schedule does not share arrays with the request", () => {
  const patchNumbers = [1, 2];
  const size = { width: 32, height: 32 };
  const { settings } = flexVarSchedule(MODEL, { patchNumbers, size });
  patchNumbers.push(3);
  size.width = 48;
  assertEquals(settings.maps, { patchNumbers: [1, 2], size: { width: 32, height: 32 } });
});

Deno.test("flexVarSchedule: impossible schedules are refused with the reason", () => {
  const refused = (
    request: unknown,
    type: typeof TypeError | typeof RangeError,
    message: string,
    model = MODEL,
  ): void => {
    assertThrows(() => flexVarSchedule(model, request as ScheduleRequest), type, message);
  };
  refused({ patchNumbers: [] }, RangeError, "patchNumbers must begin with 1");
  refused({ patchNumbers: [2, 3] }, RangeError, "patchNumbers must begin with 1, the class's own token");
  refused(
    { patchNumbers: [1, 3, 3] },
    RangeError,
    "patchNumbers must increase: current value is [1, 3, 3]",
  );
  refused({ patchNumbers: [1, 3, 2] }, RangeError, "patchNumbers must increase");
  refused({ patchNumbers: [1, 2.5] }, RangeError, "a patch number must be an integer >= 1");
  refused({ patchNumbers: [1, "2"] }, TypeError, "a patch number must be a number");
  refused({ patchNumbers: "1_2" }, TypeError, "patchNumbers must be a list of numbers");
  refused({ size: 250 }, RangeError, "the width must be a multiple of 16: current value is 250");
  refused({ size: { width: 256, height: 100 } }, RangeError, "the height must be a multiple of 16");
  refused({ size: { width: 256 } }, TypeError, "the height must be a number");
  refused({ size: 0 }, RangeError, "the width must be an integer >= 1");
  refused({ size: "256" }, TypeError, "size must be a number or a width and a height");
  refused({ size: null }, TypeError, "size must be a number or a width and a height");
  refused({ size: 256 }, RangeError, "neither decoder nor encoder", { name: "bare", pixelsPerToken: 0 });
  refused({ patchNumbers: [1], size: 256 }, RangeError, "more than one map for token maps up to 16×16");
  refused(
    { size: { width: 512, height: 256 }, published: true },
    RangeError,
    "the released code paints squares only",
  );
  refused({ familyOptions: { maxpn: 24 } }, RangeError, "published must be true");
  refused({ published: true, familyOptions: { maxpn: 0 } }, RangeError, "maxpn must be an integer >= 1");
  refused({ published: true, familyOptions: { maxpn: "8" } }, TypeError, "maxpn must be a number");
  refused({ published: true, familyOptions: { maxPn: 8 } }, TypeError, 'option "maxPn" is unknown');
  refused({ published: 1 }, TypeError, "published must be a boolean");
  refused({ cfg: -1 }, RangeError, "cfg must be from 0");
  refused({ guidance: "linear" }, TypeError, "guidance must be one of");
});

Deno.test("flexVarSchedule: a model without pictures still has lists", () => {
  const { picture, scales } = flexVarSchedule({ name: "bare", pixelsPerToken: 0 }, { patchNumbers: [1, 2] });
  assertEquals(picture, { width: 0, height: 0 });
  assertEquals(scales.length, 2);
});
