/**
 * A batch on its way through the scales: its lanes as they are now, and what of each of them waits on the
 * device for the one readback at the end. Going through the scales, and reading, is left to others.
 *
 * @module
 */

import { shown } from "../kernels/arguments.ts";
import type { Device, DeviceArray, Timeline } from "../kernels/device/device.ts";
import { gatherLanes, LaneMemory } from "./lane_memory.ts";
import type { PackedPictures } from "./pictures/paint.ts";
import { MAX_LANES } from "./request.ts";
import type { Lane } from "./step.ts";

/** Words of a device array that concern one lane. */
export interface LaneRecord {
  /** Where they lie: record `row` of `array`, `length` words each. */
  readonly array: DeviceArray;
  /** Number of the record. */
  readonly row: number;
  /** Words of the record. */
  readonly length: number;
}

/** A map of tokens. */
export interface TokenRecord extends LaneRecord {
  /** What was found missing when they were drawn, a word, where tokens do not tell. */
  readonly missing?: LaneRecord;
}

/** Who reports something, and where. */
export interface ReportOrigin {
  /** Name of the hook. */
  readonly hook: string;
  /** On which scale. */
  readonly scale: number;
}

/** What a hook reported about one lane. */
export interface LaneReport extends ReportOrigin {
  /** Its value, once records can be read. */
  readonly value: (read: (record: LaneRecord) => Uint32Array) => unknown;
}

/** A lane with what has been recorded about it. */
export interface TrackedLane extends Lane {
  /** Number among all lanes that its image has had. */
  readonly attempt: number;
  /** The lane that it is a copy of, and the scale after which it became one. */
  readonly from?: Fork;
  /** Its tokens of each scale. */
  readonly tokens: readonly TokenRecord[];
  /** What hooks reported about it, in order. */
  readonly reports: readonly LaneReport[];
}

/** Where a copy of a lane begins. */
export interface Fork {
  /** Number of the lane that it continues. */
  readonly attempt: number;
  /** The last scale that both have in common. */
  readonly scale: number;
}

/** A lane that was not continued. */
export interface DroppedLane extends TrackedLane {
  /** Where it ended. */
  readonly dropped: ReportOrigin;
}

/** A batch: its lanes, and the arrays that outlive its scales. */
export class Batch implements Disposable {
  /** Number of lanes at the beginning. */
  readonly startedLanes: number;
  /** When it began, as `performance.now()` tells. */
  readonly started: number = performance.now();
  /** What each part of the work took. */
  readonly timeline: Timeline;
  /** What hooks remember of its lanes. */
  readonly memory: LaneMemory;
  readonly #device: Device;
  readonly #owned = new DisposableStack();
  readonly #records: DeviceArray[] = [];
  #lanes: readonly TrackedLane[];
  readonly #dropped: DroppedLane[] = [];
  /** Lanes that each image has had so far. */
  readonly #attempts: Map<number, number>;
  #picture: PackedPictures | undefined;
  #ticks: DeviceArray | undefined;

  /** @param device Where it runs. @param lanes Its lanes at the beginning. @param scales Number of scales. */
  constructor(device: Device, lanes: readonly Lane[], scales: number) {
    this.#device = device;
    this.#lanes = lanes.map((lane) => ({ ...lane, attempt: lane.lane, tokens: [], reports: [] }));
    const images = Map.groupBy(lanes, ({ image }) => image);
    this.#attempts = new Map([...images].map(([image, { length }]) => [image, length]));
    this.memory = this.#owned.use(new LaneMemory(device));
    this.startedLanes = lanes.length;
    // Marks around the condition, behind each scale, and behind the decoder.
    this.timeline = this.#owned.use(device.timeline(scales + 3));
  }

  /** Its lanes as they are now. */
  get lanes(): readonly TrackedLane[] {
    return this.#lanes;
  }

  /** Lanes that were not continued, in the order in which they ended. */
  get dropped(): readonly DroppedLane[] {
    return this.#dropped;
  }

  /** Its finished pictures, a row for each lane; of a draft there are none. */
  get picture(): PackedPictures | undefined {
    return this.#picture;
  }

  /** The ticks of the timeline, if the device has a clock. */
  get ticks(): DeviceArray | undefined {
    return this.#ticks;
  }

  /** All that is to be read once it is finished. */
  get arrays(): readonly DeviceArray[] {
    const pictures = this.#picture === undefined ? [] : [this.#picture.array];
    return [...pictures, ...this.#records, ...(this.#ticks === undefined ? [] : [this.#ticks])];
  }

  /** Marks the end of a part of the work. */
  mark(): void {
    this.timeline.mark();
  }

  /**
   * Records the tokens of a scale, `length` words per lane, and what was found missing, a word of each lane.
   */
  addTokens(tokens: DeviceArray, length: number, missing?: DeviceArray): void {
    const array = this.#copy(tokens, length, "tokens of a scale");
    const found = missing && this.#copy(missing, 1, "missing tokens");
    this.#lanes = this.#lanes.map((lane, row) => {
      const record = { array, row, length, ...(found && { missing: { array: found, row, length: 1 } }) };
      return { ...lane, tokens: [...lane.tokens, record] };
    });
  }

  /**
   * The tokens with which a scale has ended, of the lanes as they are now, u32 [lanes, words]; they are the
   * caller's. `undefined` where there are none yet. However lanes were rearranged, they lie where they were
   * drawn.
   */
  tokensOf(scale: number): DeviceArray | undefined {
    const records = this.#lanes.flatMap(({ tokens }) => tokens[scale] ?? []);
    const [record] = records;
    if (record === undefined) return undefined;
    const { array, length } = record;
    return gatherLanes(array, records.map(({ row }) => row), array.length / length);
  }

  /** Records what a hook reports about each lane: `length` words, of which `read` makes a value. */
  report(
    origin: ReportOrigin,
    report: DeviceArray,
    length: number,
    read: (words: Uint32Array) => unknown,
  ): void {
    const array = this.#copy(report, length, "report");
    for (const row of this.#lanes.keys()) {
      this.#add(row, { ...origin, value: (wordsOf) => read(wordsOf({ array, row, length })) });
    }
  }

  /** Records a value of the host about a lane. */
  note(origin: ReportOrigin, row: number, value: unknown): void {
    this.#add(row, { ...origin, value: () => value });
  }

  /**
   * Goes on with these lanes, in this order. Of a lane that is continued more than once, the further copies
   * get numbers that no other lane of the image goes on with, so that they part ways.
   *
   * @throws {TypeError} If the hook returned no list.
   * @throws {RangeError} If a lane is none, or an image has none left or too many.
   */
  gather(order: readonly number[], origin: ReportOrigin): void {
    requireLanes(order, this.#lanes, origin.hook);
    this.memory.gather(order, this.#lanes.length);
    const used = new Map<number, Set<number>>();
    for (const source of order) {
      const { image, lane } = this.#lanes[source]!;
      used.set(image, (used.get(image) ?? new Set()).add(lane));
    }
    const continued = new Set<number>();
    const before = this.#lanes;
    this.#lanes = order.map((source) => {
      const lane = this.#lanes[source]!;
      if (!continued.has(source)) {
        continued.add(source);
        return lane;
      }
      const numbers = used.get(lane.image)!;
      let next = 0;
      while (numbers.has(next)) next++;
      numbers.add(next);
      const attempt = this.#attempts.get(lane.image)!;
      this.#attempts.set(lane.image, attempt + 1);
      return { ...lane, lane: next, attempt, from: { attempt: lane.attempt, scale: origin.scale } };
    });
    for (const [row, lane] of before.entries()) {
      if (!continued.has(row)) this.#dropped.push({ ...lane, dropped: origin });
    }
  }

  /** Takes over the finished pictures, if there are any. */
  finish(picture?: PackedPictures): void {
    this.#picture = picture && this.#owned.use(picture);
    this.mark();
    this.#ticks = this.timeline.finish();
  }

  /** Frees all that it holds. */
  [Symbol.dispose](): void {
    this.#owned.dispose();
  }

  #add(row: number, report: LaneReport): void {
    const lane = this.#lanes[row]!;
    this.#lanes = this.#lanes.with(row, { ...lane, reports: [...lane.reports, report] });
  }

  #copy(source: DeviceArray, length: number, label: string): DeviceArray {
    const copy = this.#owned.use(this.#device.allocate(this.#lanes.length * length, label));
    this.#records.push(copy);
    this.#device.copy(source, copy, { length: copy.length });
    return copy;
  }
}

function requireLanes(order: readonly number[], lanes: readonly Lane[], hook: string): void {
  if (!Array.isArray(order)) {
    throw new TypeError(
      `Cannot gather lanes as the hook "${hook}" must return a list of lanes: current value is ${
        shown(order)
      }`,
    );
  }
  for (const lane of order) {
    if (!Number.isInteger(lane) || lane < 0 || lane >= lanes.length) {
      throw new RangeError(
        `Cannot gather lanes as the hook "${hook}" asked for lane ${lane}: there are lanes 0 to ${
          lanes.length - 1
        }`,
      );
    }
  }
  const left = Map.groupBy(order, (lane) => lanes[lane]!.image);
  for (const { image } of lanes) {
    const count = left.get(image)?.length ?? 0;
    if (count === 0) {
      throw new RangeError(`Cannot gather lanes as the hook "${hook}" left no lane of image ${image}`);
    }
    if (count > MAX_LANES) {
      throw new RangeError(
        `Cannot gather lanes as the hook "${hook}" asked for ${count} lanes of image ${image}: at most ${MAX_LANES} are possible`,
      );
    }
  }
}
