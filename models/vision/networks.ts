/**
 * The kinds of networks that judge or describe pictures, a line each.
 *
 * @module
 */

import { ONNX } from "./described_network.ts";
import type { NetworkKind } from "./network_kind.ts";

/** All kinds that are known. */
export const NETWORKS: readonly NetworkKind[] = [ONNX];
