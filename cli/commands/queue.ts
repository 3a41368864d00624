/**
 * `varscale queue`: the parts of a run put into a queue on Redis or Valkey, for workers on any number of
 * machines, and a look at how far they are.
 *
 * @module
 */

import { queueAddress } from "../cluster/queue_address.ts";
import { seriesOptions, type ShardSeries } from "../cluster/shard_series.ts";
import { command } from "../command.ts";
import { type Io, say, UsageError } from "../io.ts";
import { integer } from "../options/kinds.ts";
import { type Arguments, optionName, refuseOperands, section } from "../options/options.ts";
import { JSON_OPTION } from "../options/output_options.ts";
import { QUEUE_OPTIONS } from "../options/queue_options.ts";
import { requireWord } from "../options/required_word.ts";
import { formatJson } from "../output/format_json.ts";
import { printableLine } from "../output/printable.ts";
import { plural } from "../output/words.ts";
import type { ShardQueue } from "../cluster/shard_queue.ts";

/** What can be done with a queue. */
const ACTIONS = ["add", "status", "drain"] as const;

/** Parts that a status names at most, of those that have failed. */
const NAMED = 20;

/** Options of `add` alone. */
const ADD_OPTIONS = section("Add", {
  shards: {
    kind: integer("N", 1, 100_000),
    help: "Parts that a run is added in; several times as many as workers keep them all busy to the end",
    default: 64,
  },
  attempts: {
    kind: integer("N", 1, 1000),
    help: "Times that a part is tried before it is listed as failed",
    default: 3,
  },
});

const OPTIONS = {
  ...QUEUE_OPTIONS,
  ...ADD_OPTIONS,
  ...section("Output", { json: JSON_OPTION }),
};

/** The command. */
export const queue = command({
  usage: [
    "add|status|drain [--queue URL] [OPTIONS]",
    "add [--queue URL] [--shards N] -- OPTIONS OF VARSCALE RUN",
  ],
  words: ACTIONS,
  description: [
    "add puts the parts of a run into a queue, of which varscale worker takes them; behind -- stands what would stand behind varscale run. " +
    "Jobs have names that follow from the run, so that adding it again adds nothing twice; parts that have failed are tried again.",
    "status tells how far the parts are, and which were given up and why. drain takes out whatever nobody is at: what waits, what is done and what has failed.",
    "Paths of a run mean something in the folder in which it is added, which workers must have, too.",
  ],
  options: OPTIONS,
  examples: [
    "add --queue redis://queue:6379 --shards 200 -- --model var-d16 -o /data/out",
    "add -- --model demo -o s3://pictures/demo -n 500",
    "status --queue redis://queue:6379",
    "drain --name old",
  ],
  run,
});

async function run(args: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { options, given } = args;
  const [word, ...rest] = args.operands;
  const action = requireWord(word, ACTIONS, "What to do with the queue");
  const idle = Object.keys(ADD_OPTIONS).find((name) => given.has(name as keyof typeof OPTIONS));
  if (action !== "add" && idle !== undefined) {
    throw new UsageError(`Option ${optionName(idle)} goes with add: ${action} has no use for it`);
  }
  const series = action === "add" ? { args: rest, folder: Deno.cwd() } : undefined;
  if (series === undefined) refuseOperands(rest, 0);
  else if (rest.length === 0) {
    throw new UsageError("Options of varscale run are needed behind --: queue add … -- --model demo -o out");
  } else seriesOptions(rest);
  const address = queueAddress(options.queue);
  const { ShardQueue } = await import("../cluster/shard_queue.ts");
  await using opened = await ShardQueue.open(address, options.name, io.signal);
  for (const warning of opened.warnings) say(io, `warning: ${warning}`);
  if (series !== undefined) await add(opened, series, args, io);
  else if (action === "drain") await drain(opened, args, io);
  else await status(opened, args, io);
}

async function add(
  opened: ShardQueue,
  series: ShardSeries,
  { options: { shards: parts, attempts, json } }: Arguments<typeof OPTIONS>,
  io: Io,
): Promise<void> {
  const { added, again, there } = await opened.add(series, { parts, attempts });
  if (json) return io.out(`${formatJson({ added, again, there })}\n`);
  const facts = [
    `${plural(added, "shard")} added`,
    ...(again === 0 ? [] : [`${again} of them had failed`]),
    ...(there === 0 ? [] : [`${there} there already`]),
  ];
  io.out(`${facts.join(", ")}\n`);
}

async function drain(
  opened: ShardQueue,
  { options: { json } }: Arguments<typeof OPTIONS>,
  io: Io,
): Promise<void> {
  const removed = await opened.drain();
  const { atWork } = await opened.counts();
  if (json) return io.out(`${formatJson({ removed, atWork })}\n`);
  const left = atWork === 0 ? "" : `; ${atWork} at work will be finished`;
  io.out(`${plural(removed, "shard")} taken out${left}\n`);
}

async function status(
  opened: ShardQueue,
  { options: { json } }: Arguments<typeof OPTIONS>,
  io: Io,
): Promise<void> {
  const { describeCounts } = await import("../cluster/shard_queue.ts");
  const [counts, workers, failures] = await Promise.all([
    opened.counts(),
    opened.workers(),
    opened.failures(json ? undefined : NAMED),
  ]);
  if (json) return io.out(`${formatJson({ ...counts, workers, failures })}\n`);
  io.out(`${describeCounts(counts)}; ${plural(workers, "worker")}\n`);
  for (const { shard, output, reason } of failures) {
    io.out(`  ${printableLine(`${shard} of ${output}: ${reason}`)}\n`);
  }
  const more = counts.failed - failures.length;
  if (more > 0) io.out(`  and ${more} more; --json has them all\n`);
}
