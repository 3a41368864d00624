/**
 * The different tokens among the candidates of each position. What depends on a candidate's token only, as
 * its density at that position does, is then computed once per token instead of once per candidate;
 * `group_density.ts` does.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import type { DeviceArray, Kernel } from "../device/device.ts";
import { MAX_DRAWS } from "../exact/exact_sums.ts";
import wgsl from "./group_tokens.wgsl" with { type: "text" };

/** The sizes of candidates and their codebook. */
export interface CandidateShape {
  /** Number of images. */
  images: number;
  /** Candidates of one image, 1 to 8192. */
  draws: number;
  /** Tokens of one candidate. */
  positions: number;
  /** Number of codebook vectors. */
  vocabulary: number;
  /** Words of one codebook vector. */
  channels: number;
}

/** Arguments of {@linkcode groupTokens}; {@linkcode groupSizes} tells how many words each array holds. */
export interface GroupTokensArguments extends CandidateShape {
  /** Candidates as token ids, u32 [images, draws, positions]. */
  tokens: DeviceArray;
  /** The codebook, f32 [vocabulary, channels]. */
  codebook: DeviceArray;
  /** Scratch. */
  table: DeviceArray;
  /** The group of each token, u32 [images, draws, positions]. */
  members: DeviceArray;
  /**
   * Token and count of each group, u32 [images, positions, rows, 2], ascending by token; rows without a group
   * are 0, 0.
   */
  groups: DeviceArray;
  /**
   * The code vectors of the groups, f32 [images, positions, ceil(channels / 4), rows, 4]: four channels of
   * all rows, then the next four, zeros beyond the last channel. Rows without a group are left as they are.
   */
  vectors: DeviceArray;
  /** Set to 0, u32 [images, positions, rows, 2], for `groupDensity` to add to. */
  sums: DeviceArray;
}

const ACTION = "group tokens";

/**
 * Rows and words of the arrays of {@linkcode groupTokens}: at a position there are no more groups than
 * candidates, and no more than codes and one for all tokens that are no code.
 *
 * @example
 * ```ts
 * import { groupSizes } from "./group_tokens.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const sizes = groupSizes({ images: 2, draws: 50, positions: 4, vocabulary: 4096, channels: 32 });
 * assertEquals(sizes.rows, 50); // no more groups than candidates
 * assertEquals(sizes.members, 2 * 4 * 50);
 * assertEquals(groupSizes({ images: 1, draws: 50, positions: 4, vocabulary: 8, channels: 32 }).rows, 9);
 * ```
 */
export function groupSizes(
  { images, draws, positions, vocabulary, channels }: CandidateShape,
): { rows: number; table: number; members: number; groups: number; vectors: number; sums: number } {
  const places = images * positions;
  const rows = Math.min(draws, vocabulary + 1);
  return {
    rows,
    table: workgroups(places) * (vocabulary + 1),
    members: places * draws,
    groups: places * rows * 2,
    vectors: places * rows * Math.ceil(channels / 4) * 4,
    sums: places * rows * 2,
  };
}

/**
 * Few, as each has a table; but none takes more than 32 positions, since Mesa's software Vulkan ends loops
 * after 65535 turns.
 */
function workgroups(places: number): number {
  return Math.min(places, Math.max(64, Math.ceil(places / 32)));
}

/**
 * Writes the groups of equal tokens of each position: token, count and code vector of each, in ascending
 * order of the tokens, and the group of each candidate. All tokens that are no code, `NO_TOKEN` say, are one
 * group with the token `vocabulary` and a vector of zeros.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 *
 * @example
 * ```ts
 * import { groupSizes, groupTokens } from "./group_tokens.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * const shape = { images: 1, draws: 3, positions: 1, vocabulary: 9, channels: 1 };
 * const sizes = groupSizes(shape);
 * using tokens = device.upload(new Uint32Array([7, 2, 7]));
 * using codebook = device.upload(new Float32Array(9));
 * using table = device.allocate(sizes.table);
 * using members = device.allocate(sizes.members);
 * using groups = device.allocate(sizes.groups);
 * using vectors = device.allocate(sizes.vectors);
 * using sums = device.allocate(sizes.sums);
 * device.run(groupTokens, { tokens, codebook, table, members, groups, vectors, sums, ...shape });
 * const [row, pair] = await device.read([members, groups]);
 * assertEquals([...row!], [1, 0, 1]);
 * assertEquals([...pair!], [2, 1, 7, 2, 0, 0]);
 * ```
 */
export const groupTokens: Kernel<GroupTokensArguments> = {
  name: "group_tokens",
  wgsl,
  plan(args) {
    const { tokens, codebook, table, members, groups, vectors, sums } = args;
    const { images, draws, positions, vocabulary, channels } = args;
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(draws, "draws", ACTION, { min: 1, max: MAX_DRAWS });
    requireInteger(positions, "positions", ACTION, { min: 1 });
    requireInteger(vocabulary, "vocabulary", ACTION, { min: 1 });
    requireInteger(channels, "channels", ACTION, { min: 1 });
    const sizes = groupSizes(args);
    requireLength(tokens, images * draws * positions, ACTION);
    requireLength(codebook, vocabulary * channels, ACTION);
    requireLength(table, sizes.table, ACTION);
    requireLength(members, sizes.members, ACTION);
    requireLength(groups, sizes.groups, ACTION);
    requireLength(vectors, sizes.vectors, ACTION);
    requireLength(sums, sizes.sums, ACTION);
    const count = workgroups(images * positions);
    return {
      arrays: [tokens, codebook, table, members, groups, vectors, sums],
      parameters: [
        ["u32", images * positions],
        ["u32", draws],
        ["u32", positions],
        ["u32", vocabulary],
        ["u32", channels],
        ["u32", sizes.rows],
        ["u32", count],
      ],
      workgroups: [count, 1, 1],
    };
  },
  twin(args) {
    const { images, draws, positions, vocabulary, channels } = args;
    const tokens = words(args.tokens);
    const codes = floats(args.codebook);
    const members = words(args.members);
    const groups = words(args.groups);
    const vectors = floats(args.vectors);
    const { rows } = groupSizes(args);
    const blocks = Math.ceil(channels / 4);
    words(args.sums).fill(0, 0, images * positions * rows * 2);
    groups.fill(0, 0, images * positions * rows * 2);
    const table = words(args.table).subarray(0, vocabulary + 1);
    for (let place = 0; place < images * positions; place++) {
      const first = Math.floor(place / positions) * draws * positions + place % positions;
      table.fill(0);
      for (let i = 0; i < draws; i++) table[Math.min(tokens[first + i * positions]!, vocabulary)]!++;
      let row = 0;
      for (let token = 0; token <= vocabulary; token++) {
        const drawn = table[token]!;
        if (drawn === 0) continue;
        groups[(place * rows + row) * 2] = token;
        groups[(place * rows + row) * 2 + 1] = drawn;
        for (let c = 0; c < blocks * 4; c++) {
          const at = ((place * blocks + (c >> 2)) * rows + row) * 4 + (c & 3);
          vectors[at] = token < vocabulary && c < channels ? codes[token * channels + c]! : 0;
        }
        table[token] = row++;
      }
      for (let i = 0; i < draws; i++) {
        const at = first + i * positions;
        members[at] = table[Math.min(tokens[at]!, vocabulary)]!;
      }
    }
  },
};
