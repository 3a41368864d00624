/**
 * The commands in the order in which people meet them. Each is loaded when it is asked for: most bring the
 * whole library, and with it the overview takes 80 ms instead of 20.
 *
 * @module
 */

import type { Command, Title } from "./command.ts";

/** A command that can be loaded. */
export interface ListedCommand extends Title {
  /**
   * Whether it ends in its own time when it is interrupted, as what serves others does: it answers what it
   * has begun. Others are not waited for.
   */
  readonly patient?: boolean;
  /** Loads it. */
  load(): Promise<Command>;
}

/** All of them. */
export const COMMANDS: readonly ListedCommand[] = [
  {
    name: "generate",
    summary: "Generate images, with or without a search",
    load: async () => (await import("./commands/generate.ts")).generate,
  },
  {
    name: "run",
    summary: "Generate many images of every class or prompt, as the published scripts do",
    load: async () => (await import("./commands/run.ts")).run,
  },
  {
    name: "queue",
    summary: "Put the parts of a run into a queue for workers, and see how far they are",
    load: async () => (await import("./commands/queue.ts")).queue,
  },
  {
    name: "worker",
    summary: "Take parts of runs from a queue and make them, on any number of machines",
    patient: true,
    load: async () => (await import("./commands/worker.ts")).worker,
  },
  {
    name: "manifest",
    summary: "Write a run as an array job of Slurm or an Indexed Job of Kubernetes",
    load: async () => (await import("./commands/manifest.ts")).manifest,
  },
  {
    name: "edit",
    summary: "Generate a part of a picture anew: in-painting, out-painting, another class, finer scales",
    load: async () => (await import("./commands/edit.ts")).edit,
  },
  {
    name: "reconstruct",
    summary: "Encode pictures to tokens and decode them again",
    load: async () => (await import("./commands/reconstruct.ts")).reconstruct,
  },
  {
    name: "classify",
    summary: "Tell what pictures show, by how likely a model that paints finds them under each label",
    load: async () => (await import("./commands/classify.ts")).classify,
  },
  {
    name: "encode-text",
    summary: "Keep what a text encoder makes of prompts, to paint without it",
    load: async () => (await import("./commands/encode_text.ts")).encodeText,
  },
  {
    name: "run-infinity",
    summary: "Run the command line of Infinity's released script as it stands",
    load: async () => (await import("./commands/run_infinity.ts")).runInfinity,
  },
  {
    name: "eval-infinity",
    summary: "Make GenEval's pictures with the settings of Infinity's released script",
    load: async () => (await import("./commands/eval_infinity.ts")).evalInfinity,
  },
  {
    name: "geneval",
    summary: "Score GenEval's pictures without Python, or show the results of its own script",
    load: async () => (await import("./commands/geneval.ts")).geneval,
  },
  {
    name: "tts-var",
    summary: "Run the command line of TTS-VAR's released script as it stands",
    load: async () => (await import("./commands/tts_var.ts")).ttsVar,
  },
  {
    name: "analyze",
    summary:
      "Show how a model paints, as figures of the papers do: what is decided when, densities, branches",
    load: async () => (await import("./commands/analyze.ts")).analyze,
  },
  {
    name: "tune",
    summary: "Find settings of VAR-Scaling that suit a model, and write them into its folder",
    load: async () => (await import("./commands/tune.ts")).tune,
  },
  {
    name: "sweep",
    summary: "Compare methods, settings and seeds by a plan, with intervals and a report",
    load: async () => (await import("./commands/sweep.ts")).sweep,
  },
  {
    name: "report",
    summary: "Make the page of a sweep anew from its results, or its tables as Markdown",
    load: async () => (await import("./commands/report.ts")).report,
  },
  {
    name: "gallery",
    summary: "Show every method on the bundled models: pairs of pictures, cost, effect",
    load: async () => (await import("./commands/gallery.ts")).gallery,
  },
  {
    name: "serve",
    summary: "Answer programs over HTTP as OpenAI's images endpoint does: batches, a queue, metrics",
    patient: true,
    load: async () => (await import("./commands/serve.ts")).serve,
  },
  {
    name: "npz",
    summary: "Pack the images of a folder into one NumPy archive, for evaluators",
    load: async () => (await import("./commands/npz.ts")).npz,
  },
  {
    name: "evaluate",
    summary: "Measure pictures: FID, Inception Score, KID, precision, accuracy, CLIP score, diversity",
    load: async () => (await import("./commands/evaluate.ts")).evaluate,
  },
  {
    name: "download",
    summary: "Get a model from the Hugging Face hub, to use it without a connection later",
    load: async () => (await import("./commands/download.ts")).download,
  },
  {
    name: "convert",
    summary: "Convert PyTorch checkpoints, or the weights of a model folder, to a model folder",
    load: async () => (await import("./commands/convert.ts")).convert,
  },
  {
    name: "inspect",
    summary: "Show what a checkpoint or a model folder holds, and check that it is whole",
    load: async () => (await import("./commands/inspect.ts")).inspect,
  },
  {
    name: "studio",
    summary: "Open a page in the browser to paint, to watch searches and to edit",
    load: async () => (await import("./commands/studio.ts")).studio,
  },
  {
    name: "setup",
    summary: "Fetch the native library, with which a CPU computes several times as fast",
    load: async () => (await import("./commands/setup.ts")).setup,
  },
  {
    name: "doctor",
    summary: "Check this machine: versions, GPU, threads, the bundled model",
    load: async () => (await import("./commands/doctor.ts")).doctor,
  },
  {
    name: "completions",
    summary: "Print a script with which a shell completes commands, options and their values",
    load: async () => (await import("./commands/completions.ts")).completions(COMMANDS),
  },
];
