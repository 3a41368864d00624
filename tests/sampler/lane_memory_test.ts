import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type DeviceArray, readWords } from "../../kernels/device/device.ts";
import { generate } from "../../sampler/generate.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import { gatherLanes, LaneMemory } from "../../sampler/lane_memory.ts";
import { testOnDevices } from "../devices.ts";
import { testOnModel } from "./models.ts";

testOnDevices("LaneMemory: arrays and lists follow the lanes", async (device) => {
  const live = device.counters.liveArrays;
  {
    using memory = new LaneMemory(device);
    using array = device.upload(new Uint32Array([1, 2, 3, 4, 5, 6]));
    memory.remember("words", array);
    memory.remember("texts", ["a", "b", "c"]);
    device.write(array, new Uint32Array(6)); // it keeps a copy
    memory.gather([2, 0, 2, 2], 3);
    const recall = memory.recall("words") as typeof array;
    assertEquals([...await readWords(recall)], [5, 6, 1, 2, 5, 6, 5, 6]);
    assertEquals(memory.recall("texts"), ["c", "a", "c", "c"]);
    memory.gather([0, 1, 2, 3], 4);
    assertEquals([...await readWords(memory.recall("words") as typeof array)], [5, 6, 1, 2, 5, 6, 5, 6]);
    assertEquals(memory.recall("nothing"), undefined);
    // What takes a name frees what had it.
    memory.remember("words", ["instead", "of", "the", "array"]);
    assertEquals(device.counters.liveArrays, live + 1);
    memory.remember("texts", array);
  }
  assertEquals(device.counters.liveArrays, live);
});

testOnDevices(
  "LaneMemory: what is kept may be kept again, and what cannot be kept changes nothing",
  async (device) => {
    const live = device.counters.liveArrays;
    {
      using memory = new LaneMemory(device);
      const words = (): DeviceArray => memory.recall("words") as DeviceArray;
      using array = device.upload(new Uint32Array([1, 2]));
      memory.remember("words", array);
      memory.remember("words", words());
      assertEquals([...await readWords(words())], [1, 2]);
      array[Symbol.dispose]();
      assertThrows(() => memory.remember("words", array), TypeError, "disposed");
      assertEquals([...await readWords(words())], [1, 2]);
      memory.remember("scores", new Float64Array([0.5, NaN]));
      memory.gather([1, 0], 2);
      assertEquals(memory.recall("scores"), [NaN, 0.5]);
      assertThrows(() => gatherLanes(array, [0], 2), TypeError, "disposed");
    }
    assertEquals(device.counters.liveArrays, live);
  },
);

testOnModel(
  "tiny",
  "LaneMemory: what a step remembers follows lanes, and each hook has names of its own",
  async (model) => {
    const keeps = (name: string): ScaleHook => ({
      name: "same name",
      lanes: 3,
      gather(step) {
        const kept = step.recall("mine");
        if (step.scale === 0) assertEquals(kept, undefined);
        if (step.scale > 0) {
          assertEquals(kept, step.lanes.map(({ image, lane }) => `${name} of ${image}, ${lane}`));
        }
        step.remember("mine", step.lanes.map(({ image, lane }) => `${name} of ${image}, ${lane}`));
        // The second image's lanes change places, the first loses one; no lane is copied.
        return name === "a" && step.scale === 1 ? [2, 0, 5, 4, 3] : undefined;
      },
    });
    await generate(model, { labels: ["sea", "sky"], hooks: [keeps("a"), keeps("b")] });
  },
);

testOnModel("tiny", "LaneMemory: a step remembers a row for each lane", async (model) => {
  const hook = (rows: (lanes: number) => ArrayLike<unknown>): ScaleHook => ({
    name: "wrong",
    lanes: 2,
    gather(step) {
      step.remember("mine", rows(step.lanes.length));
      return undefined;
    },
  });
  for (const count of [0, 1, 3, 4]) {
    for (const rows of [Array(count).fill(0), new Float64Array(count)]) {
      await assertRejects(
        () => generate(model, { labels: "sea", hooks: [hook(() => rows)] }),
        RangeError,
        "Cannot remember as what is kept must be a row for each of 2 lanes",
      );
    }
  }
});
