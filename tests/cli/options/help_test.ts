/** Help texts of option tables, on a small table of its own. */

import { assert, assertStringIncludes } from "@std/assert";
import { describeOptions } from "../../../cli/options/help.ts";
import { choice, flag, integer, number, text, toggle } from "../../../cli/options/kinds.ts";
import { optionName, section } from "../../../cli/options/options.ts";

const TABLE = {
  ...section("First", {
    topK: { kind: integer("K", 0), help: "Draw from the K likeliest", default: 900 },
    cfg: { kind: number("X", 0, 10), help: "Guidance", aliases: ["guidance-scale"] },
    output: { kind: text("DIR"), short: "o", help: "Folder" },
  }),
  ...section("Second", {
    device: { kind: choice(["auto", "webgpu", "cpu"]), help: "Where", default: "auto" },
    grid: { kind: toggle, help: "Sheet", defaultText: "sometimes" },
    quiet: { kind: flag, short: "q", help: "Silence" },
  }),
};

Deno.test("describeOptions lists every option with its section, default and other names", () => {
  const help = describeOptions(TABLE, 96);
  for (const [name, { help: explanation }] of Object.entries(TABLE)) {
    assertStringIncludes(help, optionName(name).replace("--grid", "--[no-]grid"));
    assertStringIncludes(help, explanation);
  }
  assertStringIncludes(
    help,
    "First:\n      --top-k K               Draw from the K likeliest (default: 900)\n",
  );
  assertStringIncludes(help, "Guidance (also --guidance-scale)");
  assertStringIncludes(help, "\nSecond:\n      --device auto|webgpu|cpu\n");
  assertStringIncludes(help, "Sheet (default: sometimes)");
  assert(help.split("\n").every((line) => line.length <= 96));
});
