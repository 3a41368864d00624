import { assert, assertEquals, assertThrows } from "@std/assert";
import { openRecords } from "../../bench/method_records.ts";
import type { MethodRun } from "../../bench/method_runs.ts";
import { METHOD_NAMES, methodChoices } from "../../bench/method_settings.ts";
import { openSubject } from "../../bench/method_subjects.ts";
import { compareMethods, parseMethodsReportOptions, spread } from "../../bench/methods_report.ts";
import { costOf } from "../../mod.ts";

Deno.test("parseMethodsReportOptions: everything by default, and what is said", () => {
  const { models, budgets, methods, labels, on, clock } = parseMethodsReportOptions([]);
  assertEquals([models, budgets, methods], [["demo", "demo-t2i"], [2, 4, 8], METHOD_NAMES]);
  assertEquals([labels, on, clock], [undefined, "native", 0]);
  const said = parseMethodsReportOptions(["--methods=plain,beam search", "--budgets=3", "--labels=20"]);
  assertEquals([said.methods, said.budgets, said.labels], [["plain", "beam search"], [3], 20]);
});

Deno.test("parseMethodsReportOptions: words that it does not know", () => {
  const refused = (argument: string, error: typeof TypeError | typeof RangeError): void => {
    const name = argument.split("=")[0]!;
    assertThrows(() => parseMethodsReportOptions([argument]), error, `Cannot report as ${name} must be`);
  };
  for (const argument of ["--models=dall-e", "--methods=luck", "--on=tpu"]) refused(argument, TypeError);
  for (const argument of ["--budgets=1", "--labels=0", "--seed=-1", "--clock=-1"]) {
    refused(argument, RangeError);
  }
});

Deno.test("spread: all of a list, or some with even gaps", () => {
  assertEquals(spread([1, 2, 3]), [1, 2, 3]);
  assertEquals(spread([1, 2, 3], 9), [1, 2, 3]);
  assertEquals(spread([...Array(200).keys()], 4), [0, 50, 100, 150]);
});

Deno.test("compareMethods: the same first pictures for all, at the cost that was planned, going on after a stop", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using subject = await openSubject("demo-t2i", "wasm");
    const { choices, misfits } = await methodChoices(subject, [2]);
    const names = [...choices, ...misfits].map(({ method }) => method);
    assertEquals(names.toSorted(), METHOD_NAMES.toSorted());
    // Of a search that looks at unfinished pictures not even the least costs as little as two pictures.
    assert(misfits.every(({ ratio }) => ratio > 2));
    const runs = choices.filter(({ method }) =>
      ["plain", "Best-of-N", "TTS-VAR by evidence"].includes(method)
    )
      .map((choice): MethodRun => ({ ...choice, model: "demo-t2i", seed: 5 }));
    const prompts = spread(subject.prompts, 2);
    const verdicts = `${folder}/verdicts.jsonl`;
    const options = { prompts, verdicts, progress: () => {} };
    const records = await compareMethods(subject, runs, options);
    const [plain, best, search] = runs.map(({ method }) => records.filter((it) => it.method === method));
    for (const [i, { verdicts }] of plain!.entries()) {
      // The first of two is the plain picture, so the better one is at least as good.
      for (const [k, { reward }] of verdicts.entries()) assert(best![i]!.verdicts[k]!.reward >= reward);
    }
    const { flops } = await costOf(subject.model, { labels: prompts[0]!.label, hooks: runs[1]!.hooks });
    assertEquals(best![0]!.flops, flops);
    assert(search![0]!.flops <= flops!);

    const lines = (await Deno.readTextFile(verdicts)).split("\n");
    await Deno.writeTextFile(verdicts, lines.slice(0, 3).join("\n") + "\n" + lines[3]!.slice(0, 40));
    const again = await compareMethods(subject, runs, options);
    const painted = (all: typeof records) => all.map(({ seconds: _, ...rest }) => rest);
    assertEquals(painted(again), painted(records));
    assertEquals((await openRecords(verdicts)).size, 6);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
