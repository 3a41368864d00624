/**
 * Doubling a map and convolving it, as one step, against the same in f64; the native provider's is tested in
 * `native_graph_session_cases.ts`.
 */

import { assert } from "@std/assert";
import { enlargingConvolution } from "../../../models/autoencoder/enlarging.ts";
import { testOnDevices } from "../../devices.ts";
import { ENLARGED_MAPS, ENLARGING_TOLERANCE, worstEnlarged } from "./enlarged_map.ts";

for (const map of ENLARGED_MAPS) {
  const { inputs, outputs, height, width } = map;
  testOnDevices(
    `enlargingConvolution: ${inputs} to ${outputs} channels of ${height} by ${width} agree with f64, whole and by rows`,
    async (device) => {
      for (const byRows of [false, true]) {
        const error = await worstEnlarged(enlargingConvolution, device, map, { byRows });
        assert(error <= ENLARGING_TOLERANCE, `${byRows ? "by rows" : "whole"}: ${error}`);
      }
    },
  );
}
