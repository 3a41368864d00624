import { assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readWords } from "../../../kernels/device/device.ts";
import { unpackPixels, type UnpackPixelsArguments } from "../../../kernels/maps/unpack.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

async function unpacked(
  device: Device,
  words: Uint32Array,
  table: Uint32Array,
  images: number,
): Promise<Uint32Array> {
  using pixels = device.upload(words);
  using levels = device.upload(table);
  using planes = device.allocate(3 * words.length);
  device.run(unpackPixels, { pixels, levels, planes, images, area: words.length / images });
  return await readWords(planes);
}

testOnDevices(
  "unpackPixels: every level of every colour becomes what the table has for it",
  async (device) => {
    // Bits of every kind, those of NaN among them, and alpha of every value.
    const table = Uint32Array.from({ length: 768 }, (_, i) => i * 0x01550001);
    const words = Uint32Array.from({ length: 512 }, (_, i) => {
      return ((i & 255) | (255 - i & 255) << 8 | (i * 7 & 255) << 16 | (i & 255) << 24) >>> 0;
    });
    const planes = await unpacked(device, words, table, 2);
    for (let i = 0; i < 512; i++) {
      const [image, place] = [Math.floor(i / 256), i % 256];
      const found = [0, 1, 2].map((c) => planes[(3 * image + c) * 256 + place]);
      const expected = [i & 255, 256 + (255 - i & 255), 512 + (i * 7 & 255)].map((at) => table[at]);
      assertEquals(found, expected);
    }
  },
);

testOnGpu("unpackPixels: the shader gives the same bits as its twin for any words", async (device) => {
  using host = new CpuDevice();
  const random = testRandom(4);
  const table = Uint32Array.from({ length: 768 }, () => random() * 2 ** 32);
  for (const [images, area] of [[1, 1], [3, 91], [2, 65536]] as const) {
    const words = Uint32Array.from({ length: images * area }, () => random() * 2 ** 32);
    assertEquals(await unpacked(device, words, table, images), await unpacked(host, words, table, images));
  }
});

testOnDevices("unpackPixels: bad calls are refused", (device) => {
  using pixels = device.allocate(4, "pixels");
  using levels = device.allocate(768, "levels");
  using planes = device.allocate(12, "planes");
  const good = { pixels, levels, planes, images: 2, area: 2 };
  const bad: [Partial<UnpackPixelsArguments>, string][] = [
    [{ images: -1 }, "images must be an integer >= 0: current value is -1"],
    [{ area: 0 }, "area must be an integer >= 1: current value is 0"],
    [{ area: 3 }, '"pixels" must hold at least 6 words: it holds 4'],
    [{ levels: planes, planes: levels }, '"planes" must hold at least 768 words: it holds 12'],
    [
      { images: 1, area: 4, planes: pixels, pixels: planes },
      '"pixels" must hold at least 12 words: it holds 4',
    ],
  ];
  for (const [change, message] of bad) {
    const error = assertThrows(() => device.run(unpackPixels, { ...good, ...change }), RangeError);
    assertEquals((error as Error).message, `Cannot unpack pixels as ${message}`);
  }
});
