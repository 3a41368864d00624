import { assertEquals, assertThrows } from "@std/assert";
import { resolveStages, usualStages } from "../../../sampler/likelihood/stages.ts";

const SIZES = { labels: 20, scales: 6, action: "classify pictures" };

Deno.test("usualStages: leave out what would drop nothing", () => {
  assertEquals(usualStages(11, 6).map(({ scales, keep }) => [scales, keep]), [[4, 10], [6, 3], [6, 1]]);
  assertEquals(usualStages(10, 6).map(({ scales, keep }) => [scales, keep]), [[6, 3], [6, 1]]);
  assertEquals(usualStages(3, 6), [{ scales: 6, keep: 1, samples: 3 }]);
});

Deno.test("resolveStages: completes what is left open", () => {
  assertEquals(resolveStages(undefined, SIZES), usualStages(20, 6));
  assertEquals(resolveStages([{ scales: 2, keep: 4 }, { scales: 6, samples: 2 }], SIZES), [
    { scales: 2, keep: 4, samples: 1 },
    { scales: 6, keep: 1, samples: 2 },
  ]);
});

Deno.test("resolveStages: says what is wrong with a stage", () => {
  const refuse = (stages: readonly object[], message: string): void => {
    assertThrows(() => resolveStages(stages as { scales: number }[], SIZES), Error, message);
  };
  refuse([], "the number of stages must be an integer >= 1: current value is 0");
  refuse([{ scales: 7 }], "stages[0].scales must be an integer from 1 to 6: current value is 7");
  refuse([{ scales: 2 }, { scales: 6 }], "stages[0].keep must be the number of labels that go on");
  refuse([{ scales: 6, keep: 2 }], "stages[0].keep must be an integer from 1 to 1: current value is 2");
  refuse(
    [{ scales: 2, keep: 21 }, { scales: 6 }],
    "stages[0].keep must be at most 20, the labels that are left",
  );
  refuse([{ scales: 6, samples: 0 }], "stages[0].samples must be an integer from 1 to 1024");
  refuse([{ scales: 6, labels: 3 }], "labels");
});
