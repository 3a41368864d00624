/** The command that writes manifests: what it takes, and what it refuses. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { run, succeed } from "../run.ts";

Deno.test("varscale manifest: prints a script or a manifest of the run behind the dashes", async () => {
  const { out: slurm } = await succeed(
    "manifest",
    "slurm",
    "--shards",
    "3",
    "--",
    "--model",
    "demo",
    "-o",
    "out",
  );
  assertStringIncludes(slurm, "#SBATCH --array=1-3\n");
  assertStringIncludes(slurm, `main.ts' 'run' '--model' 'demo' '-o' 'out' --shard "$SLURM_ARRAY_TASK_ID/3"`);
  const { out: job } = await succeed(
    ...["manifest", "kubernetes", "--program", "deno run -A https://example.org/cli/main.ts"],
    ...["--secret", "store", "--", "-o", "s3://pictures/demo"],
  );
  assertStringIncludes(job, `image: "denoland/deno:${Deno.version.deno}"`);
  assertStringIncludes(job, '            - "https://example.org/cli/main.ts"\n            - "run"\n');
});

Deno.test("varscale manifest: what no cluster could use is refused", async () => {
  const series = ["--", "-o", "out"];
  for (
    const [args, why] of [
      [[], "The kind of cluster is needed: slurm or kubernetes"],
      [["slurn", ...series], 'current value is "slurn"; did you mean slurm?'],
      [["slurm"], "Options of varscale run are needed behind --"],
      [["slurm", "--", "-o", "out", "--shard", "1/2"], "Option --shard must be left out"],
      [["slurm", "--", "--model", "demo"], "Option --output is needed"],
      [["slurm", "--claim", "data", ...series], "Option --claim goes with kubernetes"],
      [["kubernetes", "--partition", "gpu", ...series], "Option --partition goes with slurm"],
      [["slurm", "--shards", "0", ...series], "Option --shards must be an integer from 1"],
      [["slurm", "--partition", "a\n#SBATCH --array=1", ...series], "Option --partition must be letters"],
      [["slurm", "--time", "soon", ...series], "Option --time must be a time as Slurm has it"],
      [["slurm", "--program", " ", ...series], "Option --program must be words"],
      [["slurm", "--job-name", "A b", ...series], "Option --job-name must be at most 63 small letters"],
      [["kubernetes", "--claim", "data", ...series], "Option --program is needed"],
      [["kubernetes", "--program", "varscale", ...series], "Option --claim is needed"],
      [["kubernetes", "--mount", "/data", "--", "-o", "s3://pictures"], "Option --program is needed"],
      [
        ["kubernetes", "--program", "x", "--mount", "/x", "--", "-o", "s3://pictures"],
        "Option --mount goes with",
      ],
      [["kubernetes", "--image", "a b", ...series], "Option --image must be the name of an image"],
    ] as const
  ) {
    const { code, out, err } = await run(["manifest", ...args]);
    assertEquals([code, out], [2, ""], err);
    assertStringIncludes(err, why);
  }
});
