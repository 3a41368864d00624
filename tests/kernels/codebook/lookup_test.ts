import { assertEquals, assertThrows } from "@std/assert";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import { codebookLookup, type CodebookLookupArguments } from "../../../kernels/codebook/lookup.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

/** Looks up and returns the output, computed on `device`, as bits. */
async function lookedUp(
  device: Device,
  tokens: Uint32Array,
  codebook: Uint32Array,
  shape: Omit<CodebookLookupArguments, "tokens" | "codebook" | "output">,
): Promise<Uint32Array> {
  using ids = device.upload(tokens);
  using vectors = device.upload(codebook);
  // Filled beforehand, so that words left untouched show.
  using output = device.upload(
    new Uint32Array(shape.images * shape.positions * shape.channels).fill(0xdeadbeef),
  );
  device.run(codebookLookup, { tokens: ids, codebook: vectors, output, ...shape });
  return await readWords(output);
}

testOnDevices("codebookLookup: lookup copies the vector of each token in both layouts", async (device) => {
  const random = testRandom(1);
  for (
    const [images, positions, vocabulary, channels] of [
      [1, 1, 1, 1],
      [3, 7, 5, 3],
      [2, 256, 4096, 32],
      [1, 65, 9, 8],
      [5, 33, 7, 9],
      [2, 64, 3, 130],
      [130, 1, 70, 2],
    ]
  ) {
    const shape = { images: images!, positions: positions!, vocabulary: vocabulary!, channels: channels! };
    // Any bits may be in a codebook, NaN payloads too.
    const codebook = Uint32Array.from(
      { length: shape.vocabulary * shape.channels },
      () => random() * 2 ** 32,
    );
    const tokens = Uint32Array.from(
      { length: shape.images * shape.positions },
      () => Math.floor(random() * (shape.vocabulary + 1)),
    );
    const expected = { rows: new Uint32Array(tokens.length * shape.channels), planes: new Uint32Array(0) };
    expected.planes = expected.rows.slice();
    for (const [place, token] of tokens.entries()) {
      const image = Math.floor(place / shape.positions);
      const position = place % shape.positions;
      for (let c = 0; c < shape.channels; c++) {
        const word = codebook[token * shape.channels + c] ?? 0;
        expected.rows[place * shape.channels + c] = word;
        expected.planes[(image * shape.channels + c) * shape.positions + position] = word;
      }
    }
    for (const layout of ["rows", "planes"] as const) {
      assertEquals(await lookedUp(device, tokens, codebook, { ...shape, layout }), expected[layout]);
    }
  }
});

testOnDevices("codebookLookup: lookup widens every float16", async (device) => {
  // All of them, in vectors of 3, which begin in either half of a word.
  const [vocabulary, channels] = [21845, 3];
  const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const expected = Float32Array.from(new Float16Array(halves.buffer));
  const codebook = new Uint32Array(halves.buffer, 0, 32768);
  const tokens = Uint32Array.from({ length: vocabulary + 1 }, (_, i) => i);
  const shape = { images: 1, positions: tokens.length, vocabulary, channels };
  for (const layout of ["rows", "planes"] as const) {
    const found = new Float32Array(
      (await lookedUp(device, tokens, codebook, { ...shape, layout, format: "f16" })).buffer,
    );
    for (let token = 0; token <= vocabulary; token++) {
      for (let c = 0; c < channels; c++) {
        const value = found[layout === "rows" ? token * channels + c : c * tokens.length + token]!;
        const wanted = token === vocabulary ? 0 : expected[token * channels + c]!;
        if (!Object.is(value, wanted)) {
          throw new Error(`half ${token * channels + c} is ${value}, not ${wanted}`);
        }
      }
    }
  }
});

testOnGpu("codebookLookup: lookup takes more tokens than workgroups fit on one side", async (device) => {
  const count = 65536 * 64 + 5;
  const tokens = Uint32Array.from({ length: count }, (_, i) => i % 3);
  for (const layout of ["rows", "planes"] as const) {
    const shape = { images: 1, positions: count, vocabulary: 2, channels: 2, layout };
    const found = await lookedUp(device, tokens, new Uint32Array([1, 2, 3, 4]), shape);
    const wrong = found.findIndex((word, i) => {
      const [place, c] = layout === "rows" ? [i >> 1, i & 1] : [i % count, Math.floor(i / count)];
      return word !== (place % 3 < 2 ? place % 3 * 2 + c + 1 : 0);
    });
    assertEquals(wrong, -1);
  }
});

testOnDevices("codebookLookup: lookup of a token outside the vocabulary gives zeros", async (device) => {
  // The array goes on behind the vocabulary.
  const codebook = new Uint32Array(8).fill(7);
  const tokens = new Uint32Array([2, 3, 0xffffffff, 0x80000000, 0]);
  const shape = { images: 1, positions: 5, vocabulary: 3, channels: 2, layout: "rows" } as const;
  assertEquals([...await lookedUp(device, tokens, codebook, shape)], [7, 7, 0, 0, 0, 0, 0, 0, 7, 7]);
});

testOnDevices("codebookLookup: lookup of no image does nothing", async (device) => {
  const shape = { images: 0, positions: 4, vocabulary: 1, channels: 1, layout: "planes" } as const;
  assertEquals((await lookedUp(device, new Uint32Array(0), new Uint32Array(1), shape)).length, 0);
});

testOnDevices("codebookLookup: lookup refuses bad calls", async (device) => {
  using tokens = device.allocate(4, "tokens");
  using codebook = device.allocate(6, "codebook");
  using output = device.upload(new Float32Array(8).fill(3), "output");
  const good = {
    tokens,
    codebook,
    output,
    images: 2,
    positions: 2,
    vocabulary: 3,
    channels: 2,
    layout: "rows",
  };
  const bad: [Partial<Record<keyof CodebookLookupArguments, unknown>>, ErrorConstructor, string][] = [
    [{ images: -1 }, RangeError, "images must be an integer >= 0: current value is -1"],
    [{ images: "2" }, TypeError, 'images must be a number: current value is "2"'],
    [{ positions: 1.5 }, RangeError, "positions must be an integer >= 0: current value is 1.5"],
    [{ vocabulary: 0 }, RangeError, "vocabulary must be an integer >= 1: current value is 0"],
    [{ channels: NaN }, RangeError, "channels must be an integer >= 1: current value is NaN"],
    [{ layout: "columns" }, TypeError, 'layout must be one of "rows", "planes": current value is "columns"'],
    [{ format: "f64" }, TypeError, 'format must be one of "f32", "f16": current value is "f64"'],
    [{ format: "f16", vocabulary: 7 }, RangeError, '"codebook" must hold at least 7 words: it holds 6'],
    [{ positions: 3 }, RangeError, '"tokens" must hold at least 6 words: it holds 4'],
    [{ vocabulary: 4 }, RangeError, '"codebook" must hold at least 8 words: it holds 6'],
    [{ channels: 3, vocabulary: 2 }, RangeError, '"output" must hold at least 12 words: it holds 8'],
  ];
  for (const [change, type, message] of bad) {
    const args = { ...good, ...change } as unknown as CodebookLookupArguments;
    const error = assertThrows(() => device.run(codebookLookup, args), type);
    assertEquals((error as Error).message, `Cannot look up codebook vectors as ${message}`);
  }
  assertEquals([...await readFloats(output)], Array(8).fill(3));
});
