/** Scripts for Slurm, run by bash as Slurm would, with a program that prints what it gets. */

import { assert, assertEquals } from "@std/assert";
import { type SlurmJob, slurmScript } from "../../../cli/cluster/slurm_script.ts";
import { testInFolder } from "../run.ts";

/** Words that a shell would make something else of. */
const HOSTILE = [
  ...[
    "it's",
    '"$HOME"',
    "$(touch made)",
    "`touch made`",
    "a b\tc",
    "*",
    "~",
    "!x",
    "back\\slash",
    "two\nlines",
  ],
  ...["", "-", "a;touch made&", "#SBATCH --array=1", "é 赤 🦊", "\x1b[2J1f", "\u202egnp.exe", "\\x41"],
];

const JOB: SlurmJob = {
  ...{ name: "one", shards: 12, parallel: 3, program: ["./print"], args: HOSTILE },
  ...{ cpus: 4, gpus: 1, memory: 20e9, partition: "gpu-long", account: "lab@x", time: "1-12:00:00" },
};

testInFolder(
  "slurmScript: the part is that of the array, and words come as they were given",
  async (folder) => {
    const script = slurmScript(JOB);
    assertEquals(script.split("\n").filter((line) => line.startsWith("#SBATCH")), [
      "#SBATCH --job-name=one",
      "#SBATCH --array=1-12%3",
      "#SBATCH --output=one-%A_%a.log",
      "#SBATCH --open-mode=append",
      "#SBATCH --requeue",
      "#SBATCH --partition=gpu-long",
      "#SBATCH --account=lab@x",
      "#SBATCH --time=1-12:00:00",
      "#SBATCH --cpus-per-task=4",
      "#SBATCH --gpus=1",
      "#SBATCH --mem=19074M",
    ]);
    await Deno.writeTextFile(`${folder}/print`, "#!/bin/bash\nprintf '%s\\0' \"$@\"\n", { mode: 0o755 });
    await Deno.writeTextFile(`${folder}/run.sh`, script);
    const bash = (env: Record<string, string>) => {
      return new Deno.Command("bash", { args: ["run.sh"], cwd: folder, env, clearEnv: true }).output();
    };
    const { code, stdout } = await bash({ SLURM_ARRAY_TASK_ID: "7", PATH: "/usr/bin:/bin", LC_ALL: "C" });
    assertEquals(code, 0);
    const words = new TextDecoder().decode(stdout).split("\0");
    assertEquals(words.slice(0, -1), ["run", ...HOSTILE, "--shard", "7/12"]);
    assert(!Array.from(Deno.readDirSync(folder), ({ name }) => name).includes("made"));
    const outside = await bash({ PATH: "/usr/bin:/bin" });
    assert(new TextDecoder().decode(outside.stderr).includes("submit this script with sbatch"));
    assertEquals(outside.code === 0, false);
  },
);

Deno.test("slurmScript: what is left to the cluster is not in it", () => {
  const left = { cpus: undefined, gpus: undefined, memory: undefined, parallel: undefined };
  const script = slurmScript({ ...JOB, ...left, partition: undefined, account: undefined, time: undefined });
  assert(!/cpus|gpus|mem=|partition|account|time=/.test(script));
  assert(script.includes("#SBATCH --array=1-12\n"));
});
