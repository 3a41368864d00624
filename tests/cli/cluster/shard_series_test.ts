/** Command lines of runs that others carry out, and names that follow from them. */

import { assert, assertEquals, assertMatch, assertNotEquals, assertThrows } from "@std/assert";
import { jobName, seriesName, seriesOptions } from "../../../cli/cluster/shard_series.ts";
import { UsageError } from "../../../cli/io.ts";
import { testInFolder } from "../run.ts";

Deno.test("seriesOptions: what a run would refuse, and what no worker could use, is refused", () => {
  assertEquals(seriesOptions(["--model", "demo", "-o", "out"]).options.output, "out");
  for (
    const [args, why] of [
      [["--model", "demo"], "--output is needed"],
      [["-o", "out", "run"], 'Unexpected argument "run"'],
      [["-o", "out", "--shard", "1/2"], "--shard must be left out behind --"],
      [["-o", "out", "--npz"], "--npz must be left out behind --"],
      [["-o", "out", "--prompts", "-"], "Prompts must be in a file"],
      [["-o", "out", "--sed", "1"], "Unknown option --sed; did you mean --seed?"],
      [["-o", "out", "--classes", "1", "--prompts", "p.txt"], "exclude each other"],
      [["-o", "out", "--model", "demo", "--var-ckpt", "a.pth"], "exclude each other"],
      [["-o", "out", "--keep", "2"], "--keep must be left out"],
    ] as const
  ) assertThrows(() => seriesOptions(args), UsageError, why);
});

testInFolder("seriesName: follows from what is made, in whatever order it is said", async (folder) => {
  const name = (...args: string[]) => seriesName({ args: ["-o", "out", ...args], folder });
  const plain = await name("--seed", "5", "-n", "2");
  assertMatch(plain, /^[0-9a-f]{16}$/);
  assertEquals(await name("--count=2", "--seed=5", "--quiet"), plain);
  for (const other of [["--seed", "6", "-n", "2"], ["--seed", "5", "-n", "3"], ["--seed", "5"]]) {
    assertNotEquals(await name(...other), plain);
  }
  assertNotEquals(await seriesName({ args: ["-o", "out"], folder: "/elsewhere" }), await name());
  const large = await name("--seed", "18446744073709551615");
  assertNotEquals(await name("--seed", "18446744073709551614"), large);
  const prompts = `${folder}/prompts.txt`;
  await Deno.writeTextFile(prompts, "a fox\n");
  const fox = await name("--prompts", prompts);
  await Deno.writeTextFile(prompts, "a fox\nthe sea\n");
  assertNotEquals(await name("--prompts", prompts), fox);
  assert(!jobName(plain, { part: 3, parts: 16 }).includes(":"));
  assertEquals(jobName(plain, { part: 3, parts: 16 }), `${plain}-3-of-16`);
});
