/** What the load of a server reads, and what it says of it; that a server holds it, it says itself. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  describe,
  type LoadResult,
  metricIn,
  parseLoadOptions,
  processorSeconds,
} from "../../bench/serve_load.ts";

Deno.test("parseLoadOptions: two minutes of 64 clients unless it says otherwise", () => {
  const program = "--program=serve.ts";
  assertEquals(parseLoadOptions([program]), {
    program: "serve.ts",
    ...{ clients: 64, seconds: 120, batch: 16, queue: 256, model: "demo", place: "wasm" },
    ...{ threads: undefined, json: false },
  });
  assertEquals(parseLoadOptions([program, "--threads=2", "--place=native"]).threads, 2);
  assertThrows(() => parseLoadOptions([program, "--clients=0"]), RangeError, "--clients");
  assertThrows(() => parseLoadOptions([program, "--place=cloud"]), TypeError, "--place");
  assertThrows(() => parseLoadOptions([]), TypeError, "--program");
});

Deno.test("metricIn: a number by its whole name", () => {
  const text = "# HELP images Images.\nimages_total 3\nimages_total_more 4\nmemory 1.5e+3\n";
  assertEquals([metricIn(text, "images_total"), metricIn(text, "memory")], [3, 1500]);
  assertEquals(metricIn(text, "other"), NaN);
});

Deno.test({
  name: "processorSeconds: grows by what this process does",
  ignore: Deno.build.os !== "linux",
  fn: () => {
    const before = processorSeconds(Deno.pid);
    let sum = 0;
    // Until the clock of the processor, which ticks a hundred times a second, has gone on.
    while (processorSeconds(Deno.pid) === before) sum += Math.sqrt(sum + 1);
    assert(sum > 0);
    assert(processorSeconds(Deno.pid) - before < 10);
  },
});

Deno.test("describe: rates, costs and their ratios", () => {
  const result = (batch: number, images: number, processor: number): LoadResult => ({
    ...{ batch, images, processor, seconds: 10, together: batch, broken: 0, answers: { 200: images } },
    memory: Array.from({ length: 12 }, () => 2 ** 30),
  });
  const text = describe([result(1, 20, 10), result(16, 50, 10)]);
  assertStringIncludes(text, "batch 1: 20 images in 10 s, 2.00 a second, 500 ms of the processor an image");
  assertStringIncludes(text, "memory 1024.0 MiB to 1024.0 MiB, 0.0 MiB a minute");
  assertStringIncludes(text, "batches: 2.50 times the images a second, 2.50 times the images for a second");
});
