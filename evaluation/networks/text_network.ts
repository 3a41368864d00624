/**
 * Networks that see texts and pictures in one space, from which CLIP scores are taken.
 *
 * @module
 */

import type { JudgeOptions } from "../../models/mod.ts";
import type { Rows } from "../metrics/rows.ts";
import type { MetricNetwork } from "./metric_network.ts";

/** A network that describes texts by rows that can be compared with the `features` of pictures. */
export interface TextNetwork extends MetricNetwork {
  /**
   * Describes texts.
   *
   * @returns A row for each text, of the dimensions of `features`, of length 1.
   * @throws {TypeError} If one is no text.
   * @throws {RangeError} If there are none.
   */
  describeTexts(texts: readonly string[], options?: JudgeOptions): Promise<Rows>;
}

/**
 * Whether a network describes texts, too.
 *
 * @example
 * ```ts
 * import { describesTexts } from "./text_network.ts";
 * import { loadMetricNetwork } from "./load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using network = await loadMetricNetwork("demo-oracle");
 * assertEquals(describesTexts(network), false);
 * ```
 */
export function describesTexts(network: MetricNetwork): network is TextNetwork {
  return "describeTexts" in network;
}
