/**
 * Where on the device the words of one lane lie, of an array that holds those of all: what outlives a scale
 * is kept so until the readback.
 *
 * @module
 */

import type { DeviceArray } from "../kernels/device/device.ts";

/** Words of a device array that concern one lane. */
export interface LaneRecord {
  /** Where they lie: record `row` of `array`, `length` words each. */
  readonly array: DeviceArray;
  /** Number of the record. */
  readonly row: number;
  /** Words of the record. */
  readonly length: number;
}
