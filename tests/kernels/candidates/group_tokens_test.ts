import { assert, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { Device } from "../../../kernels/device/device.ts";
import {
  groupSizes,
  groupTokens,
  type GroupTokensArguments,
} from "../../../kernels/candidates/group_tokens.ts";
import { testOnDevices, testRandom } from "../../devices.ts";
import { type Pool, type PoolShape, randomPool, shapeOf } from "../../var_scaling.ts";

async function groupsOf(
  device: Device,
  pool: Pool,
): Promise<{ members: Uint32Array; groups: Uint32Array; vectors: Float32Array; sums: Uint32Array }> {
  const lengths = groupSizes(pool);
  using tokens = device.upload(pool.tokens);
  using codebook = device.upload(pool.codebook);
  using table = device.upload(new Uint32Array(lengths.table).fill(7));
  using members = device.allocate(lengths.members);
  using groups = device.upload(new Uint32Array(lengths.groups).fill(7));
  using vectors = device.allocate(lengths.vectors);
  using sums = device.upload(new Uint32Array(lengths.sums).fill(7));
  device.run(groupTokens, { tokens, codebook, table, members, groups, vectors, sums, ...shapeOf(pool) });
  const [m, g, v, s] = await device.read([members, groups, vectors, sums]);
  return { members: m!, groups: g!, vectors: new Float32Array(v!.buffer), sums: s! };
}

testOnDevices(
  "groupTokens: groups are the different tokens in ascending order, with counts, vectors and members",
  async (device) => {
    const random = testRandom(61);
    const shapes: PoolShape[] = [
      { images: 1, draws: 1, positions: 1, vocabulary: 1, channels: 1 },
      { images: 2, draws: 9, positions: 3, vocabulary: 5, channels: 4 },
      { images: 1, draws: 400, positions: 2, vocabulary: 300, channels: 3 },
      { images: 1, draws: 700, positions: 1, vocabulary: 2000, channels: 6 },
      // More positions than workgroups.
      { images: 5, draws: 6, positions: 31, vocabulary: 7, channels: 2 },
      { images: 0, draws: 6, positions: 3, vocabulary: 7, channels: 2 },
    ];
    for (const shape of shapes) {
      const pool = randomPool(random, shape);
      pool.tokens.forEach((_, i) => random() < 0.05 && (pool.tokens[i] = shape.vocabulary + i));
      const { images, draws, positions, vocabulary, channels } = shape;
      const { rows } = groupSizes(shape);
      const { members, groups, vectors, sums } = await groupsOf(device, pool);
      assert(sums.every((word) => word === 0));
      for (let place = 0; place < images * positions; place++) {
        const at = (draw: number): number =>
          (Math.floor(place / positions) * draws + draw) * positions + place % positions;
        const ids = Array.from({ length: draws }, (_, draw) => Math.min(pool.tokens[at(draw)]!, vocabulary));
        const different = [...new Set(ids)].sort((a, b) => a - b);
        const wanted = different.flatMap((id) => [id, ids.filter((other) => other === id).length]);
        const own = groups.subarray(place * rows * 2, (place + 1) * rows * 2);
        assertEquals([...own], [...wanted, ...new Array(rows * 2 - wanted.length).fill(0)]);
        assertEquals(ids.map((_, draw) => members[at(draw)]), ids.map((id) => different.indexOf(id)));
        const blocks = Math.ceil(channels / 4);
        for (const [row, id] of different.entries()) {
          for (let c = 0; c < blocks * 4; c++) {
            const found = vectors[((place * blocks + (c >> 2)) * rows + row) * 4 + (c & 3)];
            const value = c < channels && id < vocabulary ? pool.codebook[id * channels + c] : 0;
            assertEquals(found, value);
          }
        }
      }
    }
  },
);

Deno.test("groupTokens: grouping tokens refuses bad calls", () => {
  using device = new CpuDevice();
  const shape = { images: 1, draws: 3, positions: 2, vocabulary: 4, channels: 2 };
  const lengths = groupSizes(shape);
  assertEquals(lengths, { rows: 3, table: 10, members: 6, groups: 12, vectors: 24, sums: 12 });
  const good: GroupTokensArguments = {
    tokens: device.allocate(6, "tokens"),
    codebook: device.allocate(8, "codebook"),
    table: device.allocate(lengths.table, "table"),
    members: device.allocate(lengths.members, "members"),
    groups: device.allocate(lengths.groups, "groups"),
    vectors: device.allocate(lengths.vectors, "vectors"),
    sums: device.allocate(lengths.sums, "sums"),
    ...shape,
  };
  device.run(groupTokens, good);
  const refused = (change: Partial<GroupTokensArguments>, message: string): void => {
    assertThrows(
      () => device.run(groupTokens, { ...good, ...change }),
      RangeError,
      `Cannot group tokens as ${message}`,
    );
  };
  refused({ images: -1 }, "images must be an integer >= 0: current value is -1");
  refused({ draws: 8193 }, "draws must be an integer from 1 to 8192: current value is 8193");
  refused({ positions: 0 }, "positions must be an integer >= 1: current value is 0");
  refused({ vocabulary: 0 }, "vocabulary must be an integer >= 1: current value is 0");
  refused({ channels: 0 }, "channels must be an integer >= 1: current value is 0");
  for (const name of ["tokens", "codebook", "table", "members", "groups", "vectors", "sums"] as const) {
    const { length } = good[name];
    const message = `"short" must hold at least ${length} words: it holds ${length - 1}`;
    refused({ [name]: device.allocate(length - 1, "short") }, message);
  }
});
