/**
 * Cases of maps of tokens, features and pixels.
 *
 * @module
 */

import { gatherRows } from "../maps/gather.ts";
import { mergeMaps } from "../maps/merge.ts";
import { packPixels } from "../maps/pack.ts";
import { createResampleTable, resample, type ResampleMethod } from "../maps/resample.ts";
import { residualUpdate } from "../maps/residual.ts";
import { createPixelTable, resizePixels } from "../maps/resize_pixels.ts";
import { shufflePixels, unshufflePixels } from "../maps/shuffle.ts";
import { unpackPixels } from "../maps/unpack.ts";
import type { KernelCase } from "./kernel_case.ts";

function resampling(method: ResampleMethod, from: number, to: number): KernelCase {
  return {
    name: `resample: ${method}, ${from} to ${to}`,
    // Sums of at most 16 terms in f32, in an order that a compiler may change.
    promise: 1e-6,
    setUp: (bench) => {
      const [images, channels] = [2, 5];
      const input = bench.normal(images * channels * from ** 2);
      const output = bench.allocate(images * channels * to ** 2);
      const table = bench.use(createResampleTable(bench.device, method, from, to));
      const args = { input, output, table, images, channels, layout: "planes" as const };
      return { run: () => bench.device.run(resample, args), outputs: [output] };
    },
  };
}

/** The cases. */
export const MAP_CASES: readonly KernelCase[] = [
  {
    name: "gather rows",
    promise: "bits",
    setUp: (bench) => {
      const [count, stride, inputRows] = [9, 37, 7];
      const input = bench.normal(inputRows * stride);
      const rows = bench.integers(count, inputRows);
      const output = bench.allocate(count * stride);
      const args = { input, output, rows, count, stride, inputRows };
      return { run: () => bench.device.run(gatherRows, args), outputs: [output] };
    },
  },
  {
    name: "merge maps",
    promise: "bits",
    setUp: (bench) => {
      const [images, repeats, positions, sourceRows] = [2, 3, 25, 2];
      const target = bench.integers(images * repeats * positions, 4096);
      const source = bench.integers(sourceRows * positions, 4096);
      const rows = bench.integers(images, sourceRows);
      const keep = bench.integers(positions, 2);
      const args = { target, source, rows, keep, images, repeats, positions, sourceRows };
      return { run: () => bench.device.run(mergeMaps, args), outputs: [target] };
    },
  },
  resampling("bicubic", 5, 13),
  resampling("area", 13, 5),
  {
    name: "residual update",
    // 9 · 5 products and a bias in f32.
    promise: 1e-5,
    setUp: (bench) => {
      const [images, channels, side] = [2, 5, 13];
      const size = images * channels * side ** 2;
      const state = bench.normal(size);
      const args = {
        features: bench.normal(size),
        state,
        weight: bench.normal(9 * channels ** 2, 0.05),
        bias: bench.normal(channels),
        images,
        channels,
        side,
      };
      return { run: () => bench.device.run(residualUpdate, args), outputs: [state] };
    },
  },
  {
    name: "pack and unpack pixels",
    promise: "bits",
    setUp: (bench) => {
      const [images, width, height] = [2, 7, 5];
      const area = width * height;
      const values = bench.normalValues(images * 3 * area);
      values.set([-1, 1, 0, -1e30, 1e30, -Infinity, Infinity]);
      const image = bench.upload(values);
      const pixels = bench.allocate(images * area);
      const levels = bench.upload(Float32Array.from({ length: 768 }, (_, i) => (i % 256 / 255 - 0.5) / 0.5));
      const planes = bench.allocate(images * 3 * area);
      return {
        run: () => {
          bench.device.run(packPixels, { image, pixels, images, width, height });
          bench.device.run(unpackPixels, { pixels, levels, planes, images, area });
        },
        outputs: [pixels, planes],
      };
    },
  },
  {
    name: "resize pixels",
    promise: "bits",
    setUp: (bench) => {
      const [lines, from, to] = [6, 37, 11];
      const input = bench.integers(lines * from, 2 ** 24);
      const output = bench.allocate(lines * to);
      const table = bench.use(createPixelTable(bench.device, "bicubic", from, to));
      return {
        run: () => bench.device.run(resizePixels, { input, output, table, lines }),
        outputs: [output],
      };
    },
  },
  {
    name: "shuffle pixels and back",
    promise: "bits",
    setUp: (bench) => {
      const sizes = { images: 2, channels: 3, width: 5, height: 7 };
      const length = 2 * 3 * 4 * 5 * 7;
      const input = bench.normal(length);
      const output = bench.allocate(length);
      const again = bench.allocate(length);
      return {
        run: () => {
          bench.device.run(shufflePixels, { input, output, ...sizes });
          bench.device.run(unshufflePixels, { input: output, output: again, ...sizes });
        },
        outputs: [output, again],
      };
    },
  },
];
