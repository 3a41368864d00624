/**
 * A model's own likelihood as a judge of lanes: how much likelier it finds their tokens for the label than
 * without one. Guidance has computed both anyway, so it needs neither a picture nor a network; or another
 * model of the same tokens says it. (As a classifier of given pictures, which is `classify()`, this is
 * A-VARC, arXiv 2510.12060.)
 *
 * @module
 */

import {
  mustBe,
  requireInteger,
  requireList,
  requireObject,
  requireOptions,
} from "../../kernels/arguments.ts";
import type { DeviceArray } from "../../kernels/device/device.ts";
import type { ResolvedLabel } from "../../models/label.ts";
import type { Model } from "../../models/model.ts";
import type { Schedule } from "../../models/schedule.ts";
import { GivenTokens } from "../given_tokens.ts";
import type { LaneVerifier } from "../judging.ts";
import { forceRows, rowsTogether } from "../likelihood/forced_rows.ts";
import { scoringSchedule } from "../likelihood/score.ts";
import { SCALE_NUMBERS, scaleIndex } from "../scale_index.ts";
import type { ScaleStep } from "../step.ts";

/** Options of {@linkcode ownEvidence}. */
export interface OwnEvidenceOptions {
  /** The scales whose tokens count, 0-based, negative ones from the end; all by default. */
  readonly scales?: readonly number[];
  /**
   * Another model of the same tokens, whose likelihood counts: smaller ones may tell labels better than the
   * one that paints. It stays the caller's, and it may be the painting model itself, which then needs no
   * guidance.
   */
  readonly model?: Model;
}

const ACTION = "make a judge by evidence";

/**
 * Makes a judge of lanes by a model's own likelihood: Σ log p(tokens | label) - log p(tokens | no label) over
 * the scales so far, by the logits as they are, without guidance's weight, temperature or truncation. It
 * tells little on the first two scales.
 *
 * By the painting model's own logits it costs one readback for each time that it is asked; where nothing is
 * guided there is nothing to compare, which is an error then. Another `model` is fed the tokens of all scales
 * so far under the label and without one, each time that it is asked: two readbacks, and the operations of
 * two passes, which a trace counts among those of judges.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If the other model's tokens tell no probability, or a scale is no integer.
 *
 * @example
 * ```ts
 * import { bestOfN, generate, loadModel, ownEvidence } from "../../mod.ts";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const search = bestOfN({ samples: 2, verifier: ownEvidence() });
 * const { images: [image], trace } = await generate(model, { labels: "red torus", hooks: [search] });
 * // More evidence for a red torus than for anything.
 * assert(image!.decisionsOf(search)[0]!.value.score > 0);
 * assertEquals(trace.readbacks, 2);
 * ```
 *
 * @example A small model judges what a large one paints
 * ```ts
 * import { beamSearch, generate, loadModel, ownEvidence } from "../../mod.ts";
 * import { assert } from "@std/assert";
 *
 * await using painter = await loadModel("demo", { device: "cpu" });
 * await using judge = await loadModel("demo", { device: "cpu" }); // a smaller one of the same tokens
 * const hooks = [beamSearch({ verifier: ownEvidence({ model: judge, scales: [2, 3, 4, 5] }) })];
 * const { trace } = await generate(painter, { labels: "red torus", hooks });
 * assert(trace.cost.judgeFlops! > 0);
 * ```
 */
export function ownEvidence(options: OwnEvidenceOptions = {}): LaneVerifier {
  requireObject(options, "the options", ACTION);
  requireOptions(options, ["scales", "model"], ACTION);
  const { scales, model } = options;
  if (scales !== undefined) {
    requireList(scales, "scales", ACTION, "a list of scales");
    requireInteger(scales.length, "the number of scales", ACTION, { min: 1 });
    for (const scale of scales) requireInteger(scale, "a scale", ACTION, SCALE_NUMBERS);
  }
  if (model === undefined) return new Evidence(scales);
  requireModel(model);
  return new EvidenceOfOther(model, scales);
}

function requireModel(model: Model): void {
  if (typeof model?.start !== "function" || typeof model.tokens !== "object") {
    throw new TypeError(mustBe("a loaded model", model, "model", ACTION));
  }
  if (model.tokens.evidence !== undefined) return;
  throw new RangeError(`Cannot ${ACTION} as the tokens of the model "${model.name}" tell no probability`);
}

/** Whether a scale is one of those that count. */
function counts(wanted: readonly number[] | undefined, scale: number, count: number): boolean {
  if (wanted === undefined) return true;
  return wanted.some((number) =>
    scaleIndex(number, count, "a scale of the evidence", "judge lanes") === scale
  );
}

/** By the logits that guidance has had computed. */
class Evidence implements LaneVerifier {
  readonly name = "evidence";
  readonly #scales: readonly number[] | undefined;

  constructor(scales: readonly number[] | undefined) {
    this.#scales = scales;
  }

  observe(step: ScaleStep): void {
    if (!counts(this.#scales, step.scale, step.scales)) return;
    // A hook before may have dropped lanes, so it is of those that there are.
    step.remember(nameOf(step.scale), step.evidence());
  }

  async scoreLanes(step: ScaleStep): Promise<number[]> {
    const arrays: DeviceArray[] = [];
    for (let scale = 0; scale <= step.scale; scale++) {
      const kept = step.recall(nameOf(scale));
      // Whoever has not observed a scale has no evidence of it.
      if (kept !== undefined) arrays.push(kept as DeviceArray);
    }
    const words = await step.device.read(arrays);
    const scales = words.map((evidence) => new Float32Array(evidence.buffer));
    return step.lanes.map((_, lane) => {
      return scales.reduce((sum, evidence) => sum + evidence[2 * lane]! - evidence[2 * lane + 1]!, 0);
    });
  }
}

/** By another model, which is fed the tokens. */
class EvidenceOfOther implements LaneVerifier {
  readonly name: string;
  readonly #model: Model;
  readonly #scales: readonly number[] | undefined;

  constructor(model: Model, scales: readonly number[] | undefined) {
    this.name = `evidence of ${model.name}`;
    this.#model = model;
    this.#scales = scales;
  }

  flopsAfter(painted: Schedule, scale: number): number | undefined {
    const schedule = this.#schedule(painted);
    const flops = this.#model.flops?.(schedule, false);
    if (flops === undefined) return undefined;
    // For the label, and without one.
    return 2 * flops.scales.slice(0, scale + 1).reduce((sum, each) => sum + each, flops.condition);
  }

  async scoreLanes(step: ScaleStep): Promise<number[]> {
    const model = this.#model;
    const { scale: until, scales: count, lanes } = step;
    const schedule = this.#schedule(step.schedule);
    const labels = lanes.map(({ label }) => this.#labelOf(label, step));
    this.#requireTokens(step, schedule);
    const anything = model.resolveLabel(null);
    const maps = Array.from({ length: until + 1 }, (_, scale) => step.tokensOf(scale));
    const words = await step.device.read(maps);
    const given = new GivenTokens(lanes.map((_, lane) => {
      return words.map((map) => {
        const length = map.length / lanes.length;
        return map.subarray(lane * length, (lane + 1) * length);
      });
    }));
    const rows = labels.flatMap((label, picture) => [{ picture, label }, { picture, label: anything }]);
    const { signal } = step.request;
    const batch = rowsTogether(model, schedule, undefined);
    const { values } = await forceRows({ model, schedule, until, given, rows, batch, signal });
    const counted = Array.from({ length: until + 1 }, (_, scale) => counts(this.#scales, scale, count));
    return lanes.map((_, lane) => {
      const first = 2 * lane * (until + 1);
      return counted.reduce((sum, yes, scale) => {
        const [own, without] = [values[first + scale]!, values[first + until + 1 + scale]!];
        return yes ? sum + own - without : sum;
      }, 0);
    });
  }

  /** The same maps as those that are painted. */
  #schedule({ settings: { maps } }: Schedule): Schedule {
    return scoringSchedule(this.#model, maps);
  }

  #labelOf({ id, prompt }: ResolvedLabel, { model: painter }: ScaleStep): ResolvedLabel {
    const { labels, name } = this.#model;
    const [own, others] = [labels, painter.labels].map((known) => {
      return known.kind === "texts" ? "texts" : `${known.count} classes`;
    });
    if (own === others) return this.#model.resolveLabel(prompt ?? id);
    throw new TypeError(
      `Cannot judge lanes by the model "${name}", which takes ${own}, as "${painter.name}" takes ${others}`,
    );
  }

  #requireTokens({ model: painter, schedule: painted }: ScaleStep, schedule: Schedule): void {
    const { tokens, name } = this.#model;
    const same = (["words", "logits", "channels"] as const).every((size) => {
      return tokens[size] === painter.tokens[size];
    });
    const sizes = ({ scales }: Schedule): string => {
      return scales.map(({ width, height }) => `${width}×${height}`).join(" ");
    };
    if (same && sizes(schedule) === sizes(painted)) return;
    throw new RangeError(
      `Cannot judge lanes by the model "${name}" as its token maps are not those of "${painter.name}"`,
    );
  }
}

function nameOf(scale: number): string {
  return `evidence of scale ${scale}`;
}
