/**
 * The group norm of large pictures; the native provider's is tested in `native_graph_session_cases.ts`.
 */

import { assert } from "@std/assert";
import { groupNorm } from "../../../models/autoencoder/group_norm.ts";
import { testOnDevices } from "../../devices.ts";
import { LARGE_GROUPS, MEANS, NORM_TOLERANCE, worstError } from "./large_group.ts";

for (const group of LARGE_GROUPS) {
  const { channels, side } = group;
  testOnDevices(
    `groupNorm: ${channels * side * side} values agree with f64, whatever their mean`,
    async (device) => {
      for (const mean of MEANS) {
        const error = await worstError(groupNorm, device, group, { mean });
        assert(error <= NORM_TOLERANCE, `mean ${mean}: ${error}`);
      }
    },
  );
}
