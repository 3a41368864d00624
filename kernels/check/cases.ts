/**
 * All cases of all kernels, room by room.
 *
 * @module
 */

import { CANDIDATE_CASES } from "./candidates_cases.ts";
import { CODEBOOK_CASES } from "./codebook_cases.ts";
import type { KernelCase } from "./kernel_case.ts";
import { MAP_CASES } from "./maps_cases.ts";
import { POINT_CASES } from "./points_cases.ts";
import { SAMPLING_CASES } from "./sampling_cases.ts";

/** The cases, in the order in which a model meets their kernels. */
export const CASES: readonly KernelCase[] = [
  ...SAMPLING_CASES,
  ...CANDIDATE_CASES,
  ...CODEBOOK_CASES,
  ...MAP_CASES,
  ...POINT_CASES,
];
