// @ts-check
/**
 * What the page says in sentences: why a candidate was chosen, what became of a lane, how a job is going.
 *
 * @module
 */

/**
 * @typedef {import("./state.js").Job} Job
 * @typedef {import("../protocol.ts").LaneFacts} LaneFacts
 * @typedef {import("../../../mod.ts").HookDecision} HookDecision
 * @typedef {import("../../../mod.ts").VarScalingDecision} Choice
 * @typedef {import("../protocol.ts").ModelFacts} ModelFacts
 */

/**
 * Why this candidate, in sentences.
 *
 * @param {Choice} choice
 * @param {{ strategy?: string | undefined, pick?: string | undefined,
 *   conflictThreshold?: string | undefined }} settings What holds, if that is known.
 * @returns {string[]}
 */
export function whyChosen(choice, { strategy, pick, conflictThreshold }) {
  const { ratio, low, unique, chosen, probability, kept, samples, alpha } = choice;
  const order = {
    "var-scaling": low
      ? ", so candidates are looked at in random order"
      : ", so the densest are looked at first",
    "top-k": "; the densest are looked at first in any case",
    "small-k": "; the least dense are looked at first in any case",
    "random-k": "; they are looked at in random order in any case",
  }[strategy ?? ""] ?? "";
  const chance = `${digits(100 * probability, 2)} %`;
  const how = {
    density: `drawn from the kept by density: its chance was ${chance}`,
    rank: `drawn from the kept by the order in which they were kept: its chance was ${chance}`,
    argmax: "taken as the densest of the kept",
    uniform: "drawn from the kept, each with the same chance",
  }[pick ?? ""] ?? `taken from the kept; its share of their density is ${chance}`;
  const copies = samples - unique;
  return [
    `${count(samples, "candidate")} drawn${
      copies === 0 ? ", all different" : `, ${unique} of them different`
    }.`,
    `The greatest density is ${digits(ratio, 3)} × the mean, and α is ${digits(alpha, 3)}: this counts as ${
      low ? "low" : "high"
    } density${order}.`,
    conflictThreshold === "0"
      ? `${kept.length} kept, and ${samples - kept.length} dropped.`
      : `${kept.length} kept${
        kept.length === 1 ? "" : ", none within the conflict threshold of one before it"
      }; ${samples - kept.length} dropped, as copies, as too close to a kept one, or as there were enough.`,
    `Candidate ${chosen} was ${how}.`,
  ];
}

/**
 * What is known of the settings of VAR-Scaling: what the form says, or else the defaults; with a preset only
 * what stands beside it.
 *
 * @param {Readonly<Record<string, string | boolean>>} options
 * @param {ModelFacts | undefined} facts
 * @param {string} name
 * @returns {string | undefined}
 */
export function settingOf(options, facts, name) {
  const given = options[name];
  if (typeof given === "string" && given !== "") return given;
  const { preset } = options;
  if (preset !== undefined && preset !== "" && preset !== "default") return undefined;
  return facts?.sections.flatMap(({ options }) => options).find((option) => option.name === name)?.default;
}

/** @type {Readonly<Record<string, (value: number) => string>>} */
const REASONS = {
  score: (value) => `score ${digits(value, 3)}`,
  weight: (value) => `weight ${digits(value, 2)}`,
  rank: (value) => `place ${value + 1}`,
  cluster: (value) => `cluster ${value}`,
  ratio: (value) => `densest ${digits(value, 3)} × the mean`,
};

/**
 * What was decided about a lane after a scale, in a few words each.
 *
 * @param {readonly HookDecision[]} decisions
 * @param {number} scale
 * @returns {string[]}
 */
export function reasonsAt(decisions, scale) {
  return decisions.filter((decision) => decision.scale === scale).flatMap(({ value }) => {
    if (typeof value !== "object" || value === null) return [];
    return Object.entries(REASONS).flatMap(([name, say]) => {
      const number = Reflect.get(value, name);
      return typeof number === "number" ? [say(number)] : [];
    });
  });
}

/** What methods are called in sentences. @type {Readonly<Record<string, string>>} */
const TITLES = {
  "none": "Plain",
  "plain": "Plain",
  "var-scaling": "VAR-Scaling",
  "tts-var": "TTS-VAR",
  "best-of-n": "Best-of-N",
  "beam": "Beam search",
};

/**
 * The name of a way of making pictures.
 *
 * @param {string} name
 * @returns {string}
 */
export function partTitle(name) {
  return name.split("+").map((method) => TITLES[method] ?? method).join(" + ");
}

/**
 * How a job is going, in a few words.
 *
 * @param {Job} job
 * @returns {string}
 */
export function stateOf({ state, ahead, parts, current, message, agreement }) {
  switch (state) {
    case "waiting":
      return ahead <= 0 ? "Waiting for the model" : `Waiting, ${count(ahead, "job")} ahead`;
    case "running": {
      const { name, scales, count: all, batch, batches } =
        /** @type {Job["parts"][number]} */ (parts[current]);
      const which = parts.length > 1 ? `${partTitle(name)}: ` : "";
      const group = batches > 1 ? `batch ${batch + 1} of ${batches}, ` : "";
      return all === 0
        ? `${which}${group}starting`
        : `${which}${group}scale ${Math.min(scales.length + 1, all)} of ${all}`;
    }
    case "done":
      if (agreement === undefined) return "Done";
      return agreement.same === agreement.images
        ? "Done: the same tokens as before"
        : `Done: ${agreement.same} of ${count(agreement.images, "picture")} with the same tokens as before`;
    case "aborted":
      return "Aborted";
    case "failed":
      return `Failed: ${message ?? "no reason is known"}`;
  }
}

/**
 * A number with its noun.
 *
 * @param {number} number
 * @param {string} noun
 * @returns {string}
 */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/**
 * A number with so many digits, as people write it.
 *
 * @param {number} value
 * @param {number} precision
 * @returns {string}
 */
export function digits(value, precision) {
  if (!Number.isFinite(value)) return String(value);
  return String(Number(value.toPrecision(precision)));
}

/**
 * Milliseconds as a duration.
 *
 * @param {number} milliseconds
 * @returns {string}
 */
export function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${digits(milliseconds / 1000, 3)} s`;
  return `${Math.floor(milliseconds / 60_000)} min ${Math.round(milliseconds % 60_000 / 1000)} s`;
}
