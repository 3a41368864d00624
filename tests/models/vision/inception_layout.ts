/**
 * Tensors of torchvision's Inception-v3 by their shapes: written down from the paper's table, apart from the
 * table that the graph is built from, in full and with fewer channels.
 *
 * @module
 */

import type { ModelTensor } from "../../../models/weights/model_tensor.ts";

/** Name, input and output channels, height and width of a window. */
type Row = readonly [name: string, inputs: number, outputs: number, height: number, width: number];

const square = (name: string, inputs: number, outputs: number, side: number): Row => {
  return [name, inputs, outputs, side, side];
};

const blockA = (at: string, inputs: number, pooled: number): Row[] => [
  square(`${at}.branch1x1`, inputs, 64, 1),
  square(`${at}.branch5x5_1`, inputs, 48, 1),
  square(`${at}.branch5x5_2`, 48, 64, 5),
  square(`${at}.branch3x3dbl_1`, inputs, 64, 1),
  square(`${at}.branch3x3dbl_2`, 64, 96, 3),
  square(`${at}.branch3x3dbl_3`, 96, 96, 3),
  square(`${at}.branch_pool`, inputs, pooled, 1),
];
const blockC = (at: string, inner: number): Row[] => [
  square(`${at}.branch1x1`, 768, 192, 1),
  square(`${at}.branch7x7_1`, 768, inner, 1),
  [`${at}.branch7x7_2`, inner, inner, 1, 7],
  [`${at}.branch7x7_3`, inner, 192, 7, 1],
  square(`${at}.branch7x7dbl_1`, 768, inner, 1),
  [`${at}.branch7x7dbl_2`, inner, inner, 7, 1],
  [`${at}.branch7x7dbl_3`, inner, inner, 1, 7],
  [`${at}.branch7x7dbl_4`, inner, inner, 7, 1],
  [`${at}.branch7x7dbl_5`, inner, 192, 1, 7],
  square(`${at}.branch_pool`, 768, 192, 1),
];
const blockE = (at: string, inputs: number): Row[] => [
  square(`${at}.branch1x1`, inputs, 320, 1),
  square(`${at}.branch3x3_1`, inputs, 384, 1),
  [`${at}.branch3x3_2a`, 384, 384, 1, 3],
  [`${at}.branch3x3_2b`, 384, 384, 3, 1],
  square(`${at}.branch3x3dbl_1`, inputs, 448, 1),
  square(`${at}.branch3x3dbl_2`, 448, 384, 3),
  [`${at}.branch3x3dbl_3a`, 384, 384, 1, 3],
  [`${at}.branch3x3dbl_3b`, 384, 384, 3, 1],
  square(`${at}.branch_pool`, inputs, 192, 1),
];

const ROWS: readonly Row[] = [
  square("Conv2d_1a_3x3", 3, 32, 3),
  square("Conv2d_2a_3x3", 32, 32, 3),
  square("Conv2d_2b_3x3", 32, 64, 3),
  square("Conv2d_3b_1x1", 64, 80, 1),
  square("Conv2d_4a_3x3", 80, 192, 3),
  ...blockA("Mixed_5b", 192, 32),
  ...blockA("Mixed_5c", 256, 64),
  ...blockA("Mixed_5d", 288, 64),
  square("Mixed_6a.branch3x3", 288, 384, 3),
  square("Mixed_6a.branch3x3dbl_1", 288, 64, 1),
  square("Mixed_6a.branch3x3dbl_2", 64, 96, 3),
  square("Mixed_6a.branch3x3dbl_3", 96, 96, 3),
  ...blockC("Mixed_6b", 128),
  ...blockC("Mixed_6c", 160),
  ...blockC("Mixed_6d", 160),
  ...blockC("Mixed_6e", 192),
  square("Mixed_7a.branch3x3_1", 768, 192, 1),
  square("Mixed_7a.branch3x3_2", 192, 320, 3),
  square("Mixed_7a.branch7x7x3_1", 768, 192, 1),
  ["Mixed_7a.branch7x7x3_2", 192, 192, 1, 7],
  ["Mixed_7a.branch7x7x3_3", 192, 192, 7, 1],
  square("Mixed_7a.branch7x7x3_4", 192, 192, 3),
  ...blockE("Mixed_7b", 1280),
  ...blockE("Mixed_7c", 2048),
];

/** Tensors of the file that features need, with one of so many of the published channels. */
export function inceptionTensors(part = 1): ModelTensor[] {
  return ROWS.flatMap(([name, inputs, outputs, height, width]) => {
    const channels = outputs / part;
    const weight = [channels, inputs === 3 ? 3 : inputs / part, height, width];
    const norm = ["weight", "bias", "running_mean", "running_var"].map((each) => {
      return { name: `${name}.bn.${each}`, shape: [channels] };
    });
    return [{ name: `${name}.conv.weight`, shape: weight }, ...norm];
  });
}
