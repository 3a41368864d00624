import { assertEquals } from "@std/assert";
import type { Device } from "../../../kernels/device/device.ts";
import type { Generation } from "../../../models/model.ts";
import type { Schedule } from "../../../models/schedule.ts";
import { CostCounter } from "../../../sampler/cost.ts";
import { generate } from "../../../sampler/generate.ts";
import { CurrentPictures } from "../../../sampler/pictures/current.ts";
import { readPictures } from "../../../sampler/pictures/paint.ts";
import { testOnDevices } from "../../devices.ts";
import { testOnModel } from "../models.ts";

/** A generation of three lanes, whose pictures are as gray as their numbers say. */
function grays(device: Device, decoded: number[]): Generation {
  return {
    images: 3,
    shrinks: [1, 2, 4],
    decode: ({ shrink = 1 } = {}) => {
      decoded.push(shrink);
      const side = 8 / shrink;
      const values = Float32Array.from({ length: 3 * 3 * side * side }, (_, i) => {
        return Math.floor(i / (3 * side * side)) / 2 - 0.5;
      });
      const array = device.upload(values);
      return Promise.resolve({
        array,
        width: side,
        height: side,
        [Symbol.dispose]: () => array[Symbol.dispose](),
      });
    },
  } as unknown as Generation;
}

const SCHEDULE = { scales: [{ picture: { width: 8, height: 12 } }, { picture: { width: 8, height: 12 } }] };

testOnDevices(
  "CurrentPictures: decodes once for each size, and again after the next scale",
  async (device) => {
    const live = device.counters.liveArrays;
    const decoded: number[] = [];
    const cost = new CostCounter(device);
    {
      const schedule = SCHEDULE as unknown as Schedule;
      using pictures = new CurrentPictures({ device, generation: grays(device, decoded), schedule, cost });
      pictures.advance();
      assertEquals([undefined, 1, 2, 3, 4, 8, 9].map((edge) => pictures.shrinkTo(edge)), [
        1,
        4,
        4,
        2,
        2,
        1,
        1,
      ]);
      await pictures.of();
      await pictures.of(2);
      assertEquals((await pictures.read()).map(({ data }) => data[0]), [63, 127, 191]);
      assertEquals(decoded, [1, 2]);
      pictures.gather([2, 0], 3);
      const small = await pictures.of(2);
      assertEquals((await readPictures(small, 2)).map(({ data }) => data[0]), [191, 63]);
      assertEquals([small.width, decoded.length], [4, 2]);
      pictures.advance();
      using taken = await pictures.take();
      assertEquals([taken.width, taken.height], [8, 8]);
      assertEquals(decoded, [1, 2, 1]);
      assertEquals(cost.cost.decodes, 9);
    }
    assertEquals(device.counters.liveArrays, live);
  },
);

testOnModel(
  "tiny",
  "CurrentPictures: previews, judges and the finished pictures share decodes",
  async (model) => {
    const looks = {
      name: "looks",
      scales: [1, -1],
      async gather(step: { preview(): Promise<unknown>; pictures(): Promise<unknown> }) {
        await step.preview();
        await step.pictures();
        return undefined;
      },
    };
    let decodes = 0;
    for await (const event of generate.stream(model, { labels: "sea", previews: [1, 2], hooks: [looks] })) {
      if (event.type === "done") decodes = event.trace.cost.decodes;
    }
    assertEquals(decodes, 3);
  },
);
