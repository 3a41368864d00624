/**
 * Schedules of VAR models: the model's own maps, guided as the paper has it; everything else is refused with
 * the reason.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { ScheduleRequest } from "../../../models/schedule.ts";
import { varSchedule, type VarScheduleModel } from "../../../models/var/schedule.ts";

const model: VarScheduleModel = {
  name: "VAR-d16",
  patchNumbers: [1, 2, 3, 4, 5, 6, 8, 10, 13, 16],
  pictureSide: 256,
};

Deno.test("varSchedule: without a request a schedule is as published", () => {
  const { scales, picture, settings } = varSchedule(model);
  assertEquals(picture, { width: 256, height: 256 });
  assertEquals(settings, {
    cfg: 1.5,
    guidance: "ramp",
    topK: 900,
    topP: 0.96,
    minP: 0,
    temperature: 1,
    published: false,
    maps: {},
    familyOptions: {},
  });
  for (const [k, scale] of scales.entries()) {
    const side = model.patchNumbers[k]!;
    // t = cfg · k / (K - 1), the published ramp.
    const guidanceWeight = 1.5 * (k / 9);
    assertEquals(scale, {
      width: side,
      height: side,
      picture,
      sampling: { topK: 900, topP: 0.96, minP: 0, temperature: 1, guidanceWeight },
    });
  }
  assertEquals(scales.length, 10);
});

Deno.test("varSchedule: what is asked for goes to every scale", () => {
  const request = { cfg: 4, guidance: "constant", topK: 0, topP: 0.5, minP: 0.1, temperature: 0 } as const;
  const { scales, settings } = varSchedule(model, request);
  const { cfg: _cfg, guidance: _guidance, ...sampling } = request;
  for (const scale of scales) assertEquals(scale.sampling, { ...sampling, guidanceWeight: 3 });
  assertEquals(settings, { ...request, published: false, maps: {}, familyOptions: {} });
});

Deno.test("varSchedule: a list of strengths gives each scale its own, at its place on the ramp", () => {
  const three = { ...model, patchNumbers: [1, 2, 3] };
  const weights = (request: ScheduleRequest): number[] => {
    return varSchedule(three, request).scales.map(({ sampling }) => sampling.guidanceWeight);
  };
  assertEquals(weights({ cfg: [5, 4, 3] }), [0, 2, 3]);
  assertEquals(weights({ cfg: [5, 4, 3], guidance: "constant" }), [4, 3, 2]);
  const { scales, settings } = varSchedule(three, { cfg: [5, 4, 3, 2], temperature: [0, 1, 0.5] });
  assertEquals(scales.map(({ sampling }) => sampling.temperature), [0, 1, 0.5]);
  assertEquals([settings.cfg, settings.temperature], [[5, 4, 3, 2], [0, 1, 0.5]]);
});

Deno.test("varSchedule: a model of one scale is not guided by a ramp", () => {
  const { scales } = varSchedule({ ...model, patchNumbers: [1] }, { cfg: 3 });
  assertEquals(scales.map(({ sampling }) => sampling.guidanceWeight), [0]);
});

Deno.test("varSchedule: its own maps and its own size may be named", () => {
  const { patchNumbers } = model;
  const usual = varSchedule(model);
  for (const size of [256, { width: 256, height: 256 }]) {
    assertEquals(varSchedule(model, { patchNumbers, size, published: false, familyOptions: {} }), usual);
  }
});

Deno.test("varSchedule: what a VAR model cannot do is refused with the reason", () => {
  const refused: [ScheduleRequest, typeof RangeError | typeof TypeError, string][] = [
    [
      { patchNumbers: [1, 2, 4] },
      RangeError,
      'as patchNumbers must be [1, 2, 3, 4, 5, 6, 8, 10, 13, 16] for the model "VAR-d16", which knows no others: current value is [1, 2, 4]',
    ],
    [{ patchNumbers: [...model.patchNumbers, 20] }, RangeError, "patchNumbers must be"],
    [{ size: 512 }, RangeError, "size must be 256×256"],
    [{ size: { width: 256, height: 128 } }, RangeError, "size must be 256×256"],
    [{ size: { width: 128, height: 256 } }, RangeError, "current value is { width: 128, height: 256 }"],
    [{ published: true }, TypeError, "published must be false for a VAR model"],
    [{ familyOptions: { maxpn: 16 } }, TypeError, "familyOptions must be empty for a VAR model"],
    [{ cfg: -1 }, RangeError, "cfg must be from 0"],
    [{ cfg: [4, 3] }, RangeError, "cfg must hold a number for each of 10 scales: current number is 2"],
    [{ temperature: "hot" as unknown as number }, TypeError, "temperature must be a number"],
    [{ patchNumbers: 4 as unknown as number[] }, TypeError, "patchNumbers must be a list"],
    [{ size: "big" as unknown as number }, TypeError, "size must be a number or a width and a height"],
    [{ familyOptions: null as unknown as Record<string, unknown> }, TypeError, "familyOptions must be empty"],
    [{ cgf: 3 } as ScheduleRequest, TypeError, '"cgf" is unknown'],
  ];
  for (const [request, type, message] of refused) {
    const error = assertThrows(() => varSchedule(model, request), type, message);
    assert(error.message.startsWith("Cannot generate as "), error.message);
  }
});
