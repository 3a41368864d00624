/**
 * A run as an array job of Slurm: a script for `sbatch`, which makes the part that its number in the array
 * names.
 *
 * @module
 */

import type { ArrayJob } from "./array_job.ts";

/** What Slurm alone is told. */
export interface SlurmJob extends ArrayJob {
  readonly partition: string | undefined;
  readonly account: string | undefined;
  readonly time: string | undefined;
}

/**
 * The script. A part that is preempted is queued again, and goes on where it stopped.
 *
 * @example
 * ```ts
 * import { assertStringIncludes } from "@std/assert";
 *
 * const script = slurmScript({
 *   ...{ name: "one", shards: 4, parallel: 2, program: ["varscale"], args: ["-o", "it's out"] },
 *   ...{ cpus: undefined, gpus: 1, memory: undefined },
 *   ...{ partition: undefined, account: undefined, time: undefined },
 * });
 * assertStringIncludes(script, "#SBATCH --array=1-4%2\n");
 * assertStringIncludes(script, `'-o' 'it'\\''s out' --shard "$SLURM_ARRAY_TASK_ID/4"\n`);
 * ```
 */
export function slurmScript(job: SlurmJob): string {
  const { name, shards, parallel, program, args, cpus, gpus, memory, partition, account, time } = job;
  const settings = [
    `job-name=${name}`,
    `array=1-${shards}${parallel === undefined ? "" : `%${parallel}`}`,
    `output=${name}-%A_%a.log`,
    "open-mode=append",
    "requeue",
    ...(partition === undefined ? [] : [`partition=${partition}`]),
    ...(account === undefined ? [] : [`account=${account}`]),
    ...(time === undefined ? [] : [`time=${time}`]),
    ...(cpus === undefined ? [] : [`cpus-per-task=${cpus}`]),
    ...(gpus === undefined ? [] : [`gpus=${gpus}`]),
    ...(memory === undefined ? [] : [`mem=${Math.ceil(memory / 2 ** 20)}M`]),
  ];
  const words = [...program, "run", ...args].map(shellWord).join(" ");
  return `${
    [
      "#!/bin/bash",
      ...settings.map((setting) => `#SBATCH --${setting}`),
      "#",
      "# Paths mean something in the folder in which sbatch is called. A part that is started again makes what is",
      "# missing.",
      "set -euo pipefail",
      ': "${SLURM_ARRAY_TASK_ID:?is not set; submit this script with sbatch}"',
      `exec ${words} --shard "$SLURM_ARRAY_TASK_ID/${shards}"`,
    ].join("\n")
  }\n`;
}

/** What a word is written in escapes for, as a terminal would not show it. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u;

/** A word that bash takes as it stands. */
function shellWord(word: string): string {
  if (!UNPRINTABLE.test(word.replaceAll("\n", ""))) return `'${word.replaceAll("'", "'\\''")}'`;
  const bytes = [...new TextEncoder().encode(word)].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[\w ./:=-]/.test(character) ? character : `\\x${byte.toString(16).padStart(2, "0")}`;
  });
  // Behind an escape, a digit that is meant as one would belong to it.
  return `$'${
    bytes.map((byte, i) => /^[\da-f]$/i.test(byte) && bytes[i - 1]?.length === 4 ? `'$'${byte}` : byte).join(
      "",
    )
  }'`;
}
