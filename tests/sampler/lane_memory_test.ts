import { assertEquals, assertRejects } from "@std/assert";
import { readWords } from "../../kernels/device/device.ts";
import { generate } from "../../sampler/generate.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import { LaneMemory } from "../../sampler/lane_memory.ts";
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
  const hook = (rows: (lanes: number) => readonly unknown[]): ScaleHook => ({
    name: "wrong",
    lanes: 2,
    gather(step) {
      step.remember("mine", rows(step.lanes.length));
      return undefined;
    },
  });
  for (const count of [0, 1, 3, 4]) {
    await assertRejects(
      () => generate(model, { labels: "sea", hooks: [hook(() => Array(count).fill(0))] }),
      RangeError,
      "Cannot remember as what is kept must be a row for each of 2 lanes",
    );
  }
});
