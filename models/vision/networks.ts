/**
 * The kinds of networks that judge or describe pictures, a line each.
 *
 * @module
 */

import { AESTHETIC } from "./aesthetic.ts";
import { CLIP } from "./clip.ts";
import { ONNX } from "./described_network.ts";
import { DINOV2 } from "./dinov2.ts";
import { IMAGE_REWARD } from "./image_reward.ts";
import { INCEPTION } from "./inception.ts";
import type { NetworkKind } from "./network_kind.ts";

/** All kinds that are known. */
export const NETWORKS: readonly NetworkKind[] = [
  IMAGE_REWARD,
  CLIP,
  AESTHETIC,
  DINOV2,
  INCEPTION,
  ONNX,
];
