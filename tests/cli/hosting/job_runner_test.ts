/**
 * Jobs on this thread: which options they take, what an edit and a search tell, and a device that is lost.
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { HostedEvent, HostedJob } from "../../../cli/hosting/hosted_job.ts";
import { JobRunner } from "../../../cli/hosting/job_runner.ts";
import { RECIPE_KEYWORD } from "../../../cli/generation/recipe.ts";
import { type Io, UsageError } from "../../../cli/io.ts";
import { COUNT_OPTIONS, GENERATE_OPTIONS } from "../../../cli/options/generate_options.ts";
import { parse } from "../../../cli/options/parse.ts";
import { RgbaImage, type WebGpuDevice, withPngText } from "../../../mod.ts";
import { testOnGpu } from "../../devices.ts";
import { succeed } from "../run.ts";
import { DEMO, eventsOf, only } from "./hosted_models.ts";

const never = new AbortController().signal;

function ioOf(lines: string[] = []): Io {
  return { out: () => {}, err: (text) => lines.push(text), terminal: false, signal: never };
}

function testRunner(name: string, fn: (runner: JobRunner) => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await using runner = await JobRunner.open(DEMO, ioOf());
      await fn(runner);
    },
  });
}

testRunner("JobRunner: takes the options of a job, and no others", async (runner) => {
  const refused = async (job: HostedJob, message: string) => {
    await assertRejects(() => eventsOf(runner.run(job, never)), UsageError, message);
  };
  const labels = ["red torus"];
  await refused({ options: { model: "demo-t2i" }, labels }, "Option --model is none of a job for a model");
  await refused({ options: { compare: true }, labels }, "Option --compare is none of a job");
  await refused({ options: { output: "elsewhere" }, labels }, "Option --output is none of a job");
  await refused({ options: { cgf: 3 } as HostedJob["options"], labels }, 'Unknown option "cgf" of a job');
  await refused({ options: { cfg: -1 }, labels }, "current value is -1");
  await refused({ options: { attempts: 3 }, labels }, "add --method best-of-n");
  await refused({ options: {}, labels, indices: [1, 2] }, "one number for each of 1 images");
  await refused({ options: { indices: [1] }, labels, indices: [1] }, "given twice");
  // No word stands for others.
  await refused({ options: {}, labels: ["all"] }, 'Cannot find the class "all"');
  await refused({ options: {}, labels: ["null"] }, 'Cannot find the class "null"');
  // A whole command line, as whoever has parsed one has it.
  const { options } = parse({ ...COUNT_OPTIONS, ...GENERATE_OPTIONS }, ["--seed", "5", "--indices", "7"]);
  const events = await eventsOf(runner.run({ options, labels }, never));
  assertEquals(only(events, "image").map(({ seed, index }) => [seed, index]), [[5, 7]]);
});

testRunner(
  "JobRunner: where they are asked for, pictures carry the recipe that makes them again",
  async (runner) => {
    // In one batch with others, and with random numbers of another place.
    const job: HostedJob = {
      options: { seed: 4, samples: 20, method: ["var-scaling", "best-of-n"], attempts: 2, keep: 2, batch: 4 },
      labels: ["red torus", "blue cone"],
      indices: [3, 5],
    };
    const plain = only(await eventsOf(runner.run(job, never)), "image");
    const events = await eventsOf(runner.run({ ...job, recipes: true }, never));
    const made = only(events, "image");
    assertEquals(
      made.map(({ png }) => withPngText(png, RECIPE_KEYWORD, undefined)),
      plain.map(({ png }) => png),
    );
    const { record } = only(events, "done")[0]!;
    assertEquals(record.images.map(({ sha256 }) => sha256), made.map(({ sha256 }) => sha256));
    assertEquals(record.images.map(({ pixels }) => pixels), plain.map(({ sha256 }) => sha256));
    const folder = await Deno.makeTempDir({ prefix: "varscale-hosted-" });
    try {
      const { png, sha256 } = made[3]!;
      await Deno.writeFile(`${folder}/given.png`, png);
      const { out } = await succeed(
        "generate",
        "--repeat",
        `${folder}/given.png`,
        "--output",
        `${folder}/again`,
      );
      assertStringIncludes(out, "1 of 1 image with the same tokens");
      const { images } = JSON.parse(await Deno.readTextFile(`${folder}/again/run.json`));
      assertEquals(images.map((image: { sha256: string }) => image.sha256), [sha256]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

testRunner("JobRunner: an edit keeps what it should, and tells the files of its record", async (runner) => {
  const job: HostedJob = { options: { seed: 4 }, labels: ["red torus"] };
  const { png } = only(await eventsOf(runner.run(job, never)), "image")[0]!;
  const edit = { image: png, name: "torus.png", box: [0, 0.5, 1, 1] as const };
  const edited = await eventsOf(runner.run({ ...job, labels: ["blue cube"], edit }, never));
  const { record, files } = only(edited, "done")[0]!;
  assertEquals(Object.keys(files), ["source.png", "region.png"]);
  assertEquals(RgbaImage.decode(files["source.png"]!).data, RgbaImage.decode(png).data);
  assertEquals(record.request.edit!.given, {
    ...{ image: "torus.png", box: [0, 0.5, 1, 1], mask: null, mode: "inpaint" },
  });
  // The same region as a picture: white on the right.
  const mask = new RgbaImage(64, 64);
  for (let at = 0; at < mask.data.length; at++) if ((at >> 2) % 64 >= 32) mask.data[at] = 255;
  const masked = { image: png, mask: mask.png() };
  const again = await eventsOf(runner.run({ ...job, labels: ["blue cube"], edit: masked }, never));
  assertEquals(only(again, "image")[0]!.sha256, only(edited, "image")[0]!.sha256);
  await assertRejects(
    () => eventsOf(runner.run({ ...job, edit: { image: new TextEncoder().encode("GIF89a") } }, never)),
    UsageError,
    "Cannot read the picture: ",
  );
});

testRunner(
  "JobRunner: a search tells its lanes, and its judge stays open for the next job",
  async (runner) => {
    const job: HostedJob = {
      options: { method: ["beam"], beamScales: [2], seed: 3 },
      labels: ["red torus"],
      tree: true,
    };
    const events = await eventsOf(runner.run(job, never));
    const [tree] = only(events, "tree");
    const [image] = only(events, "image");
    assertEquals(tree!.branches.map(({ attempt }) => attempt), image!.attempts.map(({ attempt }) => attempt));
    const own = tree!.branches.find(({ attempt }) => attempt === image!.attempt)!;
    const first = (own.from?.scale ?? -1) + 1;
    assertEquals(
      own.pictures.map(({ scale }) => scale),
      Array.from({ length: 6 - first }, (_, i) => first + i),
    );
    for (const { png, width } of own.pictures) assertEquals(RgbaImage.decode(png).width, width);
    // Who watched is no part of what was decided.
    for (const { decisions } of [...tree!.branches, ...image!.attempts, image!]) {
      assertEquals(decisions.filter(({ hook }) => hook === "search-tree"), []);
    }
    const unwatched = await eventsOf(runner.run({ ...job, tree: false }, never));
    assertEquals(only(unwatched, "image")[0]!.sha256, image!.sha256);
    assertEquals(only(unwatched, "done")[0]!.record.variants[0]!.verifier!.place, "own");
  },
);

testOnGpu("JobRunner: a device that is lost is replaced, and the job begins again", async () => {
  const lines: string[] = [];
  const options = { ...DEMO, loading: { ...DEMO.loading, device: "webgpu" as const } };
  await using runner = await JobRunner.open(options, ioOf(lines));
  const lose = () => (runner.model.device as WebGpuDevice).gpu.destroy();
  // After the first picture there is no way back, but the next job finds a model.
  const job: HostedJob = { options: { seed: 4, batch: 1 }, labels: ["red torus", "blue cone"] };
  const delivered: string[] = [];
  const error = await assertRejects(async () => {
    for await (const event of runner.run(job, never)) {
      if (event.type !== "image") continue;
      delivered.push(event.sha256);
      lose();
    }
  }, Error);
  assertEquals(error.name, "DeviceLostError");
  assert(lines.some((line) => line.includes("GPU device lost")), lines.join(""));
  const events: HostedEvent[] = [];
  for await (const event of runner.run({ ...job, labels: ["red torus"] }, never)) {
    if (event.type === "scale" && only(events, "scale").length === 2) lose();
    events.push(event);
  }
  assertEquals(only(events, "begun").length, 2);
  assertEquals(only(events, "image").map(({ sha256 }) => sha256), delivered);
});
