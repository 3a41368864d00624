/**
 * What a generation returns: pictures that know where they come from, and a trace of how they were made.
 *
 * @module
 */

import type { ResolvedLabel } from "../models/label.ts";
import type { Provider } from "../models/graphs/room.ts";
import type { BatchLimit, PictureSize } from "../models/schedule.ts";
import type { Cost } from "./cost.ts";
import type { ScaleHook } from "./hook.ts";
import { type GridCell, gridImage, type GridOptions, viewScale } from "./pictures/grid.ts";
import { jupyterDisplay, type MimeBundle } from "./notebook/output.ts";
import { RgbaImage } from "./pictures/image.ts";

/**
 * What a hook reported about one image.
 *
 * @typeParam Value What it has to say.
 */
export interface HookDecision<Value = unknown> {
  /** Name of the hook. */
  readonly hook: string;
  /** Scale on which it acted. */
  readonly scale: number;
  /** What it has to say. */
  readonly value: Value;
}

/** What became of one of the lanes that an image has had. */
export interface Attempt {
  /**
   * Its number among them: those that the image started with, then copies in the order of their beginning.
   */
  readonly attempt: number;
  /** What keyed its random numbers; once a lane is dropped, a copy may go on with its number. */
  readonly lane: number;
  /** For a copy, the attempt that it continued, and the last scale that both have in common. */
  readonly from?: { readonly attempt: number; readonly scale: number };
  /** Where it ended, if it did before the picture was finished: by which hook, after which scale. */
  readonly dropped?: { readonly hook: string; readonly scale: number };
  /** What hooks decided about it; a copy begins with those about the attempt that it continues. */
  readonly decisions: readonly HookDecision[];
}

/** Where an image comes from. */
export interface ImageOrigin {
  /** Its place in the request, 0-based. */
  readonly place: number;
  /** Its number: the place in the request, unless that gives `indices`. */
  readonly index: number;
  /** Number of the attempt where an image has several lanes; 0 otherwise. */
  readonly lane: number;
  /** Its class or prompt. */
  readonly label: ResolvedLabel;
  /** Seed of the request; with the index it determines the image. */
  readonly seed: number | bigint;
  /** The tokens of each scale, row-major; of a token of several words, they stand side by side. */
  readonly tokens: readonly Uint32Array[];
  /** What hooks decided. */
  readonly decisions: readonly HookDecision[];
  /** Its number among {@linkcode ImageOrigin.attempts}. */
  readonly attempt: number;
  /** What became of all lanes that were tried for it: 1 unless a hook starts several. */
  readonly attempts: readonly Attempt[];
}

/**
 * A generated picture.
 *
 * @example
 * ```ts
 * import { generate, loadModel } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { images: [image] } = await generate(model, { labels: "blue cube", seed: 7 });
 * assertEquals([image!.caption, image!.seed, image!.width], ["blue cube #0", 7, 64]);
 * assertEquals(image!.tokens.map(({ length }) => length), model.patchNumbers.map((side) => side ** 2));
 * ```
 */
export class GeneratedImage extends RgbaImage implements ImageOrigin {
  readonly place: number;
  readonly index: number;
  readonly lane: number;
  readonly label: ResolvedLabel;
  readonly seed: number | bigint;
  readonly tokens: readonly Uint32Array[];
  readonly decisions: readonly HookDecision[];
  readonly attempt: number;
  readonly attempts: readonly Attempt[];

  /**
   * Pictures are made by `generate`.
   *
   * @param size Its size.
   * @param data RGBA pixels.
   * @param origin Where it comes from.
   */
  constructor(size: PictureSize, data: Uint8ClampedArray<ArrayBuffer>, origin: ImageOrigin) {
    super(size.width, size.height, data);
    this.place = origin.place;
    this.index = origin.index;
    this.lane = origin.lane;
    this.label = origin.label;
    this.seed = origin.seed;
    this.tokens = origin.tokens;
    this.decisions = origin.decisions;
    this.attempt = origin.attempt;
    this.attempts = origin.attempts;
  }

  /** Label and place, as captions show them, and the lane of a further attempt: `red torus #0, lane 2`. */
  get caption(): string {
    return `${this.label.name} #${this.index}${this.lane === 0 ? "" : `, lane ${this.lane}`}`;
  }

  /**
   * What a hook decided, in the hook's own type. Hooks are told by their names.
   *
   * @example
   * ```ts
   * import { generate, loadModel, type ScaleHook } from "../mod.ts";
   * import { assertEquals } from "@std/assert";
   *
   * // Notes how many attempts there are, as a value of the host.
   * const count: ScaleHook<{ attempts: number }> = {
   *   name: "count",
   *   scales: [-1],
   *   choose: (step) => {
   *     for (const lane of step.lanes.keys()) step.note(lane, { attempts: step.lanes.length });
   *   },
   * };
   * await using model = await loadModel("demo", { device: "cpu" });
   * const { images: [image] } = await generate(model, { labels: "red torus", hooks: [count] });
   * assertEquals(image!.decisionsOf(count).map(({ value }) => value.attempts), [1]);
   * ```
   */
  decisionsOf<Decision>(hook: ScaleHook<Decision>): readonly HookDecision<Decision>[] {
    return this.decisions.filter(({ hook: name }) => name === hook.name) as HookDecision<Decision>[];
  }
}

/** Milliseconds of one batch. */
export interface BatchTimings {
  /** Images (lanes) it started with. */
  readonly lanes: number;
  /** Whose clock the parts are from; GPU marks divide the total, which the host measures. */
  readonly clock: "webgpu" | "host";
  /** Conditioning: everything that depends on the labels alone, and encoding what is edited. */
  readonly condition: number;
  /** Each scale, hooks included. */
  readonly scales: readonly number[];
  /** Decoding and packing. */
  readonly decode: number;
  /** Conditioning to packing. */
  readonly total: number;
}

/** How a request was carried out. */
export interface Trace {
  /** Name of the model. */
  readonly model: string;
  /** Where it ran. */
  readonly device: { readonly kind: "cpu" | "webgpu"; readonly name: string };
  /** Who computed the graphs there. */
  readonly provider: Provider;
  /** Milliseconds from the call to the last image. */
  readonly total: number;
  /** Each batch. */
  readonly batches: readonly BatchTimings[];
  /** What made them smaller than was asked for, if anything did. */
  readonly batchLimit?: BatchLimit;
  /** Times the host waited for data. */
  readonly readbacks: number;
  /** Bytes that came to the host. */
  readonly bytesRead: number;
  /** Kernel calls. */
  readonly dispatches: number;
  /** What was computed, and what for. */
  readonly cost: Cost;
}

/**
 * Pictures and trace. In a notebook it shows itself as a grid.
 *
 * @example
 * ```ts
 * import { generate, loadModel } from "../mod.ts";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const result = await generate(model, { labels: ["red torus", "blue cube"], seed: 7 });
 * assertEquals(result.images.length, 2);
 * assertEquals(result.trace.readbacks, 1);
 * assert(result.grid().width > 2 * 64); // both on one sheet
 * ```
 */
export class GenerateResult {
  /** The pictures, in the order of the request; one for each lane where hooks leave an image several. */
  readonly images: readonly GeneratedImage[];
  /** How they were made. */
  readonly trace: Trace;

  /**
   * Results are made by `generate`.
   *
   * @param images The pictures.
   * @param trace How they were made.
   */
  constructor(images: readonly GeneratedImage[], trace: Trace) {
    this.images = images;
    this.trace = trace;
  }

  /** All pictures on one sheet, captioned. */
  grid(options: Partial<GridOptions> = {}): RgbaImage {
    const cells: GridCell[] = this.images.map((image) => ({ image, caption: image.caption }));
    const columns = Math.min(cells.length, 8);
    return gridImage(cells, {
      columns,
      scale: viewScale(this.images[0]!),
      ...options,
    });
  }

  /** What a notebook shows: the grid. */
  [jupyterDisplay](): MimeBundle {
    return this.grid()[jupyterDisplay]();
  }
}
