/**
 * The options of drawing tokens and of batches, shared by the commands that generate.
 *
 * @module
 */

import { bytes, flag, integer, integerOrAuto, number, section } from "./options.ts";

/** How tokens are drawn. */
export const SAMPLING_OPTIONS = section("Sampling", {
  cfg: {
    kind: number("X", 0, 1e6),
    help:
      "Strength of classifier-free guidance at the last scale, growing from 0 at the first; 0 is off and twice as fast",
    default: 1.5,
  },
  topK: { kind: integer("K", 0), help: "Draw from the K likeliest tokens; 0 is off", default: 900 },
  topP: {
    kind: number("P", 0, 1),
    help: "Draw from the likeliest tokens that make up this probability; 0 is off",
    default: 0.96,
  },
  minP: {
    kind: number("P", 0, 1),
    help: "Draw only from tokens with at least this share of the largest probability; 0 is off",
    default: 0,
  },
  temperature: {
    kind: number("X", 0, 1e6),
    help: "Divides the logits; 0 always takes the likeliest token",
    default: 1,
  },
  moreSmooth: { kind: flag, help: "Mix code vectors for smoother pictures; not for measuring" },
});

/** How many images run together. */
export const BATCH_OPTIONS = section("Sampling", {
  batch: {
    kind: integerOrAuto("N", 1),
    short: "b",
    help: "Images that run together; auto takes as many as fit into --memory",
    defaultText: "8, or auto if --memory is given",
  },
  memory: { kind: bytes, help: "Memory for the weights and one batch, like 8GB" },
});
