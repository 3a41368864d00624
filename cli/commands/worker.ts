/**
 * `varscale worker`: takes parts of runs from a queue and makes them, one after the other.
 *
 * @module
 */

import { queueAddress } from "../cluster/queue_address.ts";
import type { ShardQueue } from "../cluster/shard_queue.ts";
import { ShardWorker } from "../cluster/shard_worker.ts";
import { command } from "../command.ts";
import { type Io, say } from "../io.ts";
import { flag, integer, number, text } from "../options/kinds.ts";
import { DEVICE_OPTIONS } from "../options/model_options.ts";
import { type Arguments, optionName, refuseOperands, section } from "../options/options.ts";
import { quietOption } from "../options/output_options.ts";
import { absolute } from "../options/place.ts";
import { QUEUE_OPTIONS } from "../options/queue_options.ts";
import { requireFolder } from "../output/whole_file.ts";

/** Milliseconds between two looks at whether all is done. */
const LOOK = 1000;
/** What the help says of options of the device. */
const RUNS = "what the run says";

/** Options of `varscale run` that are a matter of the machine. */
const MACHINE_OPTIONS = section("Device", {
  device: { kind: DEVICE_OPTIONS.device.kind, help: "Where to run", defaultText: RUNS },
  threads: { kind: DEVICE_OPTIONS.threads.kind, help: "Threads on the CPU", defaultText: RUNS },
  cpuProvider: {
    kind: DEVICE_OPTIONS.cpuProvider.kind,
    help: "Who computes on the CPU",
    defaultText: RUNS,
  },
});

const OPTIONS = {
  ...QUEUE_OPTIONS,
  ...section("Worker", {
    lease: {
      kind: number("S", 1, 3600),
      help:
        "Seconds after which what this worker has taken belongs to others if it is silent; as long on all of them",
      default: 15,
    },
    takeovers: {
      kind: integer("N", 0, 1000),
      help: "Times that a part may lose its worker that way before it is listed as failed",
      default: 10,
    },
    grace: {
      kind: number("S", 0, 86400),
      help: "Seconds for the part at work after Ctrl-C or SIGTERM; then it is given back to the queue",
      default: 30,
    },
    untilDone: {
      kind: flag,
      help: "End when nothing waits any more and nobody is at work, with code 1 if parts have failed",
    },
    from: {
      kind: text("DIR"),
      help: "Folder in which paths of runs mean something on this machine",
      defaultText: "the one in which the run was added",
    },
    quiet: quietOption("errors and warnings"),
  }),
  ...MACHINE_OPTIONS,
};

/** The command. */
export const worker = command({
  usage: ["[--queue URL] [OPTIONS]"],
  description: [
    "Takes the parts of runs that varscale queue add has put into a queue, and makes them as varscale run --shard does. Start as many as there are devices, on any number of machines; " +
    "each computes in a process of its own, which keeps the model from one part to the next.",
    "A worker that is killed loses nothing: what it has made stays, and another one makes the rest. Ctrl-C or SIGTERM ends it when its part is made, or after --grace; a second one ends it at once.",
    "Output goes to where the run says, in a folder that all of them share, or to s3://bucket/prefix.",
  ],
  options: OPTIONS,
  examples: [
    "--queue redis://queue:6379",
    "--device webgpu --quiet",
    "--until-done --cpu-provider native --threads 4",
  ],
  run,
});

async function run({ options, given, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<number> {
  refuseOperands(operands, 0);
  const { lease, takeovers, grace, untilDone, quiet = false } = options;
  const address = queueAddress(options.queue);
  const from = options.from === undefined ? undefined : absolute(options.from);
  if (from !== undefined) await requireFolder(from, "--from");
  const tell = (sentence: string): void => {
    if (!quiet) say(io, sentence);
  };
  const { ShardQueue } = await import("../cluster/shard_queue.ts");
  await using queue = await ShardQueue.open(address, options.name, io.signal);
  for (const warning of queue.warnings) say(io, `warning: ${warning}`);
  const device = Object.keys(MACHINE_OPTIONS).filter((name) => given.has(name as keyof typeof OPTIONS))
    .map((name) => `${optionName(name)}=${Reflect.get(options, name)}`);
  await using maker = new ShardWorker({ device, from, tell });
  if (!quiet) io.out(`worker of "${options.name}" at ${address.shown}\n`);
  const taking = await queue.take((taken) => maker.make(taken), {
    ...{ lease, takeovers },
    onTrouble: (sentence) => say(io, sentence),
  });
  const failed = await untilEnded(queue, untilDone, io.signal);
  if (io.signal.aborted) tell("ending when the shard at work is made");
  const timer = setTimeout(() => maker.giveBack(), 1000 * grace);
  await taking.close();
  clearTimeout(timer);
  return failed > 0 ? 1 : 0;
}

/** Waits until the worker is ended or, if that is wanted, all is done; the result is what has failed. */
async function untilEnded(
  queue: ShardQueue,
  done: boolean | undefined,
  signal: AbortSignal,
): Promise<number> {
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  if (signal.aborted) resolve();
  while (!signal.aborted) {
    if (done) {
      // A server that is away answers when it is back; nobody who is ended waits for that.
      const counts = await Promise.race([queue.counts(), ended]);
      if (counts === undefined) break;
      const { waiting, atWork, later, failed } = counts;
      if (waiting + atWork + later === 0) return failed;
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = new Promise<void>((resolve) => timer = setTimeout(resolve, LOOK));
    await Promise.race(done ? [ended, look] : [ended]);
    clearTimeout(timer);
  }
  return 0;
}
