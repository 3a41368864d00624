/**
 * Whole commands against each other, in turns whose order changes: the time on the clock, the CPU time of the
 * processes, which other work on the machine does not lengthen as much, and ratios to the first command.
 *
 *     deno run --allow-run=sh bench/in_turns.ts [--rounds=N] COMMAND…
 *
 * @module
 */

import { percentile } from "../kernels/profile/profile.ts";

/** Seconds of one run. */
interface Seconds {
  readonly clock: number;
  readonly cpu: number;
}

const [rounds, commands] = parse(Deno.args);
const runs = commands.map((): Seconds[] => []);
for (let round = 0; round < rounds; round++) {
  const order = commands.map((_, i) => (i + round) % commands.length);
  if (round % 2 === 1) order.reverse();
  for (const i of order) runs[i]!.push(await time(commands[i]!));
}
for (const [i, command] of commands.entries()) {
  const told = (["clock", "cpu"] as const).map((what) => {
    const seconds = runs[i]!.map((run) => run[what]);
    const ratios = seconds.map((value, round) => value / runs[0]![round]![what]);
    const least = Math.min(...seconds);
    return `${what} ${percentile(seconds, 0.5).toFixed(2)} s (least ${least.toFixed(2)}), × ${
      percentile(ratios, 0.5).toFixed(3)
    }`;
  });
  console.log(`${command}\n  ${told.join("; ")}; ${rounds} rounds`);
}

function parse(args: readonly string[]): [rounds: number, commands: readonly string[]] {
  const [first = "", ...others] = args;
  const [, given] = /^--rounds=(\d+)$/.exec(first) ?? [];
  const commands = given === undefined ? args : others;
  if (commands.length === 0) {
    throw new TypeError("Cannot measure in turns as there must be commands: there are none");
  }
  return [Number(given ?? 20), commands];
}

async function time(command: string): Promise<Seconds> {
  const begun = performance.now();
  // The shell tells what its children took, on the second line.
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", `(${command}) >/dev/null 2>&1 || exit; times`],
  }).output();
  const clock = (performance.now() - begun) / 1000;
  const [, children] = new TextDecoder().decode(stdout).split("\n");
  if (!children) throw new Error(`Cannot time a command that fails: ${command}`);
  const cpu = children.matchAll(/(\d+)m([\d.]+)s/g)
    .reduce((sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds), 0);
  return { clock, cpu };
}
