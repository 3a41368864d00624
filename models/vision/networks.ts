/**
 * The kinds of networks that judge or describe pictures, a line each.
 *
 * @module
 */

import { IMAGE_REWARD } from "./image_reward.ts";
import { INCEPTION } from "./inception.ts";
import type { NetworkKind } from "./network_kind.ts";

/** All kinds that are known. */
export const NETWORKS: readonly NetworkKind[] = [IMAGE_REWARD, INCEPTION];
