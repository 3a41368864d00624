/**
 * `varscale manifest`: a run as an array job of Slurm or an Indexed Job of Kubernetes, for clusters that have
 * a queue of their own.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { kubernetesJob } from "../cluster/kubernetes_job.ts";
import { seriesOptions } from "../cluster/shard_series.ts";
import { slurmScript } from "../cluster/slurm_script.ts";
import { command } from "../command.ts";
import { type Io, UsageError } from "../io.ts";
import { bytes, integer, type Kind, text } from "../options/kinds.ts";
import { type Arguments, optionName, section } from "../options/options.ts";
import { requireWord } from "../options/required_word.ts";
import { isBucket } from "../series/open_place.ts";

/** Who can be told of a run. */
const CLUSTERS = ["slurm", "kubernetes"] as const;
type Cluster = typeof CLUSTERS[number];

/** What a text must be like, as it stands where nothing can be quoted. */
function matching(placeholder: string, pattern: RegExp, wanted: string): Kind<string> {
  return {
    placeholder,
    parse: (value) => {
      if (!pattern.test(value)) throw new RangeError(`must be ${wanted}`);
      return value;
    },
  };
}

/** Names of things in Kubernetes. */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const LABEL_WANTED =
  "at most 63 small letters, digits and dashes, beginning and ending with none of the dashes";
const label = matching("NAME", LABEL, LABEL_WANTED);
const slurmWord = matching(
  "NAME",
  /^[A-Za-z0-9][\w.,@+-]{0,127}$/,
  "letters, digits, and of other characters only . , @ + - and _",
);

/** What both are told. */
const BOTH_OPTIONS = section("Job", {
  shards: {
    kind: integer("N", 1, 100_000),
    help: "Parts in which the run is made, a job each",
    default: 16,
  },
  parallel: {
    kind: integer("N", 1, 100_000),
    help: "Parts that are made at the same time, at most",
    defaultText: "all of them",
  },
  jobName: { kind: label, help: "Name of the job", default: "varscale" },
  program: {
    kind: text("WORDS"),
    help: "What calls varscale there, as words with spaces between them",
    defaultText: "deno run -A with this program's own place",
  },
  cpus: { kind: integer("N", 1, 1024), help: "Cores of each part", defaultText: "the cluster's" },
  gpus: { kind: integer("N", 1, 64), help: "GPUs of each part", defaultText: "none" },
  nodeMemory: {
    kind: bytes,
    help: "Memory of each part on its machine, which is not what --memory of the run says of the model",
    defaultText: "the cluster's",
  },
});

const SLURM_OPTIONS = section("Slurm", {
  partition: { kind: slurmWord, help: "Partition", defaultText: "the cluster's" },
  account: { kind: slurmWord, help: "Account", defaultText: "the user's" },
  time: {
    kind: matching(
      "TIME",
      /^(\d{1,4}-)?\d{1,5}(:\d{2}){0,2}$/,
      'a time as Slurm has it, like "90", "4:00:00" or "1-12:00:00"',
    ),
    help: "Time that a part may take",
    defaultText: "the partition's",
  },
});

const KUBERNETES_OPTIONS = section("Kubernetes", {
  image: {
    kind: matching("IMAGE", /^[\w][\w./:@+-]{0,511}$/, "the name of an image"),
    help: "Image of the container",
    defaultText: `denoland/deno:${Deno.version.deno}`,
  },
  namespace: { kind: label, help: "Namespace", defaultText: "that of kubectl" },
  claim: {
    kind: label,
    help: "Claim of the volume for models and output; without one, output goes to s3://bucket/prefix",
  },
  mount: {
    kind: matching("PATH", /^\/[^\s:]*$/, "an absolute path without spaces and colons"),
    help: "Where it is mounted, which is the folder in which paths mean something",
    defaultText: "/data",
  },
  secret: {
    kind: label,
    help: "Secret whose keys become variables of the environment, for credentials such as AWS_ACCESS_KEY_ID",
  },
  retries: {
    kind: integer("N", 0, 1000),
    help: "Times that a part is started again",
    defaultText: "3",
  },
});

const OPTIONS = { ...BOTH_OPTIONS, ...SLURM_OPTIONS, ...KUBERNETES_OPTIONS };
type Options = Arguments<typeof OPTIONS>["options"];

/** The command. */
export const manifest = command({
  usage: ["slurm|kubernetes [OPTIONS] -- OPTIONS OF VARSCALE RUN"],
  words: CLUSTERS,
  description: [
    "Prints what sbatch or kubectl apply takes: a script with an array job, or the manifest of an Indexed Job. Each of its jobs makes one part of the run, by SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX; " +
    "behind -- stands what would stand behind varscale run.",
    "A part that is ended and started again makes what is missing. Credentials are in no manifest: name a --secret, or set variables where sbatch is called.",
  ],
  options: OPTIONS,
  examples: [
    "slurm --shards 32 --gpus 1 --time 4:00:00 -- --model var-d16 -o out > run.sh",
    "slurm --shards 8 --parallel 2 -- --model demo-t2i --prompts prompts.txt -o out | sbatch",
    "kubernetes --program 'deno run -A https://example.org/varscale/cli/main.ts' --claim data -- -o out > job.yaml",
    "kubernetes --image varscale:1 --program varscale --secret store -- -o s3://pictures/demo",
  ],
  run: (args, io) => Promise.resolve(run(args, io)),
});

function run({ options, given, operands }: Arguments<typeof OPTIONS>, io: Io): void {
  const [word, ...args] = operands;
  const cluster = requireWord(word, CLUSTERS, "The kind of cluster");
  const others = cluster === "slurm" ? KUBERNETES_OPTIONS : SLURM_OPTIONS;
  const idle = Object.keys(others).find((name) => given.has(name as keyof typeof OPTIONS));
  if (idle !== undefined) {
    throw new UsageError(
      `Option ${optionName(idle)} goes with ${cluster === "slurm" ? "kubernetes" : "slurm"}`,
    );
  }
  if (args.length === 0) {
    throw new UsageError(
      `Options of varscale run are needed behind --: manifest ${cluster} … -- --model demo -o out`,
    );
  }
  const { options: { output } } = seriesOptions(args);
  if (cluster === "kubernetes" && options.claim === undefined && !isBucket(output!)) {
    throw new UsageError(
      `Option --claim is needed: a pod takes its folders with it when it ends; or have --output be s3://bucket/prefix: current value is "${output}"`,
    );
  }
  const { jobName: name, shards, parallel, cpus, gpus, nodeMemory: memory, partition, account, time } =
    options;
  const job = { name, shards, parallel, cpus, gpus, memory, program: programOf(options, cluster), args };
  io.out(
    cluster === "slurm" ? slurmScript({ ...job, partition, account, time }) : kubernetesJob({
      ...job,
      ...kubernetesFacts(options),
    }),
  );
}

/** What calls varscale on the machines of the cluster. */
function programOf({ program }: Options, cluster: Cluster): readonly string[] {
  if (program !== undefined) {
    const words = program.split(/\s+/).filter((word) => word !== "");
    if (words.length > 0) return words;
    throw new UsageError(`Option --program must be words: current value is "${program}"`);
  }
  const main = new URL("main.ts", new URL("../", import.meta.url));
  if (main.protocol !== "file:") return ["deno", "run", "-A", main.href];
  if (cluster === "slurm") return ["deno", "run", "-A", fileURLToPath(main)];
  throw new UsageError(
    "Option --program is needed: what calls varscale in the container, which has nothing of this machine",
  );
}

function kubernetesFacts(options: Options) {
  const { image = `denoland/deno:${Deno.version.deno}`, namespace, claim, mount, secret, retries = 3 } =
    options;
  if (claim === undefined && mount !== undefined) {
    throw new UsageError("Option --mount goes with --claim, of which it says where it is mounted");
  }
  const volume = claim === undefined ? undefined : { claim, mount: mount ?? "/data" };
  return { image, namespace, volume, secret, retries };
}
