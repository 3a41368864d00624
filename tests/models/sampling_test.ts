import { assertEquals, assertThrows } from "@std/assert";
import { requireOnePerScale, resolveSampling } from "../../models/sampling.ts";
import type { SamplingDefaults, ScheduleRequest } from "../../models/schedule.ts";

const DEFAULTS: SamplingDefaults = {
  cfg: 1.5,
  guidance: "ramp",
  topK: 900,
  topP: 0.96,
  minP: 0,
  temperature: 1,
};

Deno.test("resolveSampling: settings are the request's, else the model's", () => {
  assertEquals(resolveSampling({}, DEFAULTS), DEFAULTS);
  const other: SamplingDefaults = {
    cfg: 0,
    guidance: "constant",
    topK: 0,
    topP: 0,
    minP: 0.5,
    temperature: 0,
  };
  assertEquals(resolveSampling({ ...other, size: 512, patchNumbers: [1] }, DEFAULTS), other);
});

Deno.test("resolveSampling: settings out of range or of another type are refused, and names that are unknown", () => {
  const refused = (request: unknown, type: typeof TypeError | typeof RangeError, message: string): void => {
    assertThrows(() => resolveSampling(request as ScheduleRequest, DEFAULTS), type, message);
  };
  refused({ cfg: -1 }, RangeError, "Cannot generate as cfg must be from 0 to 1000000: current value is -1");
  refused({ cfg: NaN }, RangeError, "cfg must be");
  refused({ cfg: "2" }, TypeError, 'Cannot generate as cfg must be a number: current value is "2"');
  refused(
    { topK: 1.5 },
    RangeError,
    "Cannot generate as topK must be an integer from 0 to 2147483647: current value is 1.5",
  );
  refused({ topK: -1 }, RangeError, "topK must be an integer");
  refused({ topK: 2 ** 31 }, RangeError, "topK must be an integer");
  refused({ topP: 1.01 }, RangeError, "topP must be from 0 to 1");
  refused({ minP: 2 }, RangeError, "minP must be from 0 to 1");
  refused({ temperature: 1e-7 }, RangeError, "temperature must be 0 or at least 1e-6");
  refused({ temperature: -1 }, RangeError, "temperature must be from 0");
  refused({ guidance: "none" }, TypeError, 'guidance must be one of "ramp", "constant"');
  refused({ cfg: [4, -1] }, RangeError, "cfg[1] must be from 0 to 1000000: current value is -1");
  refused({ cfg: [4, "3"] }, TypeError, 'cfg[1] must be a number: current value is "3"');
  refused({ temperature: [1, 1e-7] }, RangeError, "temperature[1] must be 0 or at least 1e-6");
  // deno-lint-ignore no-sparse-arrays
  refused({ cfg: [4, , 3] }, TypeError, "cfg[1] must be a number");
  refused({ topk: 3 }, TypeError, 'the option "topk" is unknown');
});

Deno.test("resolveSampling: strengths may be lists, of which it keeps copies", () => {
  const cfg = [4, 3.5, 3];
  const resolved = resolveSampling({ cfg, temperature: [1, 0] }, DEFAULTS);
  assertEquals(resolved, { ...DEFAULTS, cfg: [4, 3.5, 3], temperature: [1, 0] });
  cfg[0] = 9;
  assertEquals(resolved.cfg, [4, 3.5, 3]);
});

Deno.test("requireOnePerScale: a list has a number for each scale, or more", () => {
  for (const cfg of [4, [1, 2, 3], [1, 2, 3, 4]]) requireOnePerScale({ cfg, temperature: 1 }, 3);
  const refused = (settings: Parameters<typeof requireOnePerScale>[0], message: string): void => {
    assertThrows(() => requireOnePerScale(settings, 3), RangeError, message);
  };
  refused(
    { cfg: [1, 2], temperature: 1 },
    "Cannot generate as cfg must hold a number for each of 3 scales: current number is 2",
  );
  refused(
    { cfg: 1, temperature: [] },
    "temperature must hold a number for each of 3 scales: current number is 0",
  );
});
