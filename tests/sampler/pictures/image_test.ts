import { assert, assertEquals, assertNotEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { crc32, deflateSync, inflateSync } from "node:zlib";
import { RgbaImage } from "../../../sampler/pictures/image.ts";

/** Pixels without a pattern that a wrong filter or offset could keep. */
function noise(width: number, height: number, alpha?: number): RgbaImage {
  const image = new RgbaImage(width, height);
  let state = 1;
  for (let i = 0; i < image.data.length; i++) {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    image.data[i] = i % 4 === 3 && alpha !== undefined ? alpha : state >>> 24;
  }
  return image;
}

/**
 * A decoder of our own, after the PNG specification (W3C, third edition), for 8-bit true color without
 * interlacing.
 */
function decode(
  png: Uint8Array,
): { width: number; height: number; chunks: string[]; filters: number[]; data: number[] } {
  assertEquals([...png.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const chunks: string[] = [];
  const packed: number[] = [];
  let header: number[] = [];
  for (let at = 8; at < png.length;) {
    const size = view.getUint32(at);
    const type = new TextDecoder().decode(png.subarray(at + 4, at + 8));
    const body = png.subarray(at + 8, at + 8 + size);
    assertEquals(view.getUint32(at + 8 + size), crc32(png.subarray(at + 4, at + 8 + size)), type);
    chunks.push(type);
    if (type === "IHDR") header = [view.getUint32(at + 8), view.getUint32(at + 12), ...body.subarray(8)];
    if (type === "IDAT") packed.push(...body);
    at += 12 + size;
  }
  const [width, height, depth, colorType, ...rest] = header as [number, number, number, number];
  assertEquals([depth, ...rest], [8, 0, 0, 0]);
  assert(colorType === 2 || colorType === 6);
  const channels = colorType === 2 ? 3 : 4;
  const stride = width * channels;
  const raw = inflateSync(new Uint8Array(packed));
  assertEquals(raw.length, height * (stride + 1));

  const bytes = new Uint8Array(height * stride);
  const filters: number[] = [];
  const data: number[] = [];
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)];
    filters.push(filter!);
    for (let x = 0; x < stride; x++) {
      const a = x < channels ? 0 : bytes[y * stride + x - channels]!;
      const b = y === 0 ? 0 : bytes[(y - 1) * stride + x]!;
      const c = x < channels || y === 0 ? 0 : bytes[(y - 1) * stride + x - channels]!;
      const [da, db, dc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
      const paeth = da <= db && da <= dc ? a : db <= dc ? b : c;
      const predicted = [0, a, b, (a + b) >> 1, paeth][filter!];
      if (predicted === undefined) throw new Error(`Unknown filter ${filter}`);
      bytes[y * stride + x] = raw[y * (stride + 1) + 1 + x]! + predicted;
      data.push(bytes[y * stride + x]!);
      if (channels === 3 && x % 3 === 2) data.push(255);
    }
  }
  return { width, height, chunks, filters, data };
}

function chunk(type: string, body: Uint8Array): number[] {
  const tagged = new Uint8Array([...new TextEncoder().encode(type), ...body]);
  const bytes = new Uint8Array(tagged.length + 8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set(tagged, 4);
  view.setUint32(bytes.length - 4, crc32(tagged));
  return [...bytes];
}

/** A well-formed RGB file with the given claims about its contents. */
function file(
  width: number,
  height: number,
  options: { pixels: Uint8Array; colorType?: number; depth?: number },
): Uint8Array {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([options.depth ?? 8, options.colorType ?? 2], 8);
  const signature = new RgbaImage(1, 1).png().subarray(0, 8);
  return new Uint8Array([
    ...signature,
    ...chunk("IHDR", header),
    ...chunk("IDAT", options.pixels),
    ...chunk("IEND", new Uint8Array()),
  ]);
}

Deno.test("RgbaImage is opaque black unless it is given pixels", () => {
  const image = new RgbaImage(2, 3);
  assertEquals([image.width, image.height], [2, 3]);
  assertEquals([...image.data], Array.from({ length: 24 }, (_, i) => i % 4 === 3 ? 255 : 0));
});

Deno.test("RgbaImage takes over the pixels that it is given", () => {
  const bytes = new Uint8Array(20);
  const image = new RgbaImage(2, 2, bytes.subarray(4));
  bytes[4] = 77;
  assertEquals(image.data[0], 77);
  assertEquals(image.data.length, 16);
  // The array clamps, so that writing a value out of range does not wrap.
  image.data[1] = 300;
  assertEquals(bytes[5], 255);
});

Deno.test("RgbaImage refuses sizes and data that do not fit", () => {
  for (const side of [0, -1, 1.5, NaN, Infinity]) {
    const given = `must be an integer >= 1: current value is ${side}`;
    assertThrows(() => new RgbaImage(side, 1), RangeError, `width ${given}`);
    assertThrows(() => new RgbaImage(1, side), RangeError, `height ${given}`);
  }
  assertThrows(
    () => new RgbaImage(2, 2, new Uint8Array(12)),
    TypeError,
    "Cannot make an image as 2×2 RGBA pixels take 16 bytes: data holds 12",
  );
  assertThrows(
    () => new RgbaImage(1, 1, new Float32Array(4) as never),
    TypeError,
    "data must be a Uint8Array or Uint8ClampedArray: current value is Float32Array(4)",
  );
});

Deno.test("RgbaImage: png() can be read by another decoder", () => {
  // A gradient as well as noise, because the writer chooses other filters for each.
  const gradient = new RgbaImage(33, 17);
  for (let i = 0; i < gradient.data.length; i++) if (i % 4 !== 3) gradient.data[i] = (i % 132) + (i % 4) * 20;
  for (const image of [gradient, noise(1, 1, 255), noise(1, 9), noise(64, 64, 255), noise(31, 5)]) {
    const { width, height, chunks, data } = decode(image.png());
    assertEquals([width, height], [image.width, image.height]);
    assertEquals(chunks, ["IHDR", "IDAT", "IEND"]);
    assertEquals(data, [...image.data]);
  }
});

Deno.test("RgbaImage: png() filters rows as asked, and shows the same", () => {
  const gradient = new RgbaImage(40, 30);
  for (let i = 0; i < gradient.data.length; i++) if (i % 4 !== 3) gradient.data[i] = (i % 132) + (i % 4) * 20;
  for (const image of [gradient, noise(40, 30, 255), noise(40, 30)]) {
    const { filters, data } = decode(image.png({ filters: "paeth" }));
    assertEquals(filters, Array(30).fill(4));
    assertEquals(data, [...image.data]);
    assertEquals(image.png({ filters: "all" }), image.png());
  }
  assertNotEquals(decode(noise(40, 30).png()).filters, Array(30).fill(4));
  assertThrows(
    () => gradient.png({ filters: "none" as never }),
    TypeError,
    'Cannot write a PNG as filters must be one of "all", "paeth": current value is "none"',
  );
});

Deno.test("RgbaImage: png() stores an alpha channel only where it is needed", () => {
  const image = noise(8, 8, 255);
  assertEquals(image.png()[25], 2);
  image.data[image.data.length - 1] = 254;
  assertEquals(image.png()[25], 6);
});

Deno.test("RgbaImage: png() depends on the pixels only", () => {
  const image = noise(20, 10);
  const shifted = new Uint8Array(16 + image.data.length);
  shifted.set(image.data, 16);
  assertEquals(image.png(), image.png());
  assertEquals(new RgbaImage(20, 10, shifted.subarray(16)).png(), image.png());
  assertNotEquals(new RgbaImage(10, 20, shifted.subarray(16)).png(), image.png());
  image.data[0] = image.data[0]! ^ 1;
  assertNotEquals(new RgbaImage(20, 10, shifted.subarray(16)).png(), image.png());
});

Deno.test("RgbaImage: decode() undoes png()", () => {
  for (const image of [noise(1, 1), noise(17, 6), noise(17, 6, 255), noise(300, 200)]) {
    const decoded = RgbaImage.decode(image.png());
    assertEquals([decoded.width, decoded.height], [image.width, image.height]);
    assertEquals(decoded.data, image.data);
  }
});

Deno.test("RgbaImage: decode() reads a palette of two bits with transparency, written by Pillow", () => {
  const png = Uint8Array.fromBase64(
    "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACAgMAAADgGo6JAAAADFBMVEX/AAAAgAAAAP/6+vqFpiHrAAAABHRSTlP/gP8AH4eGmQAAAAxJ" +
      "REFUeJxjkGB4AgABMAD9Vs0ccwAAAABJRU5ErkJggg==",
  );
  const image = RgbaImage.decode(png);
  assertEquals([image.width, image.height], [3, 2]);
  const [red, green, blue, clear] = [[255, 0, 0, 255], [0, 128, 0, 128], [0, 0, 255, 255], [
    250,
    250,
    250,
    0,
  ]];
  assertEquals([...image.data], [red!, green!, blue!, clear!, blue!, green!].flat());
});

Deno.test("RgbaImage: decode() reads shades of gray, written by Pillow", () => {
  const png = Uint8Array.fromBase64(
    "iVBORw0KGgoAAAANSUhEUgAAAAQAAAABCAAAAADcV1ARAAAADUlEQVR4nGNgEDzxHwACxwHZRdJM2AAAAABJRU5ErkJggg==",
  );
  assertEquals([...RgbaImage.decode(png).data], [0, 17, 200, 255].flatMap((v) => [v, v, v, 255]));
});

Deno.test("RgbaImage: decode() reads true color, written by Pillow", () => {
  const png = Uint8Array.fromBase64(
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAk0lEQVR4nI3NSwqDQBRE0XpWdSrGqIiIiLj/bWYQCMFP23CmlxsAwqCR" +
      "DBu10Rit0RuDMRqTMRuLsRqbIQYigsVEIhhkVUhMiBRMFRNLiEY46IomrVtivQtSntgcg0eG2J4GviL2V8HzlDhkgvpIHPPBa0ecboPm" +
      "nziXBO8fcSkM2i9xLQvWlu7oTtyug2136Oj+Ayz4D5CQlwl4AAAAAElFTkSuQmCC",
  );
  const image = RgbaImage.decode(png);
  assertEquals([image.width, image.height], [16, 16]);
  for (let i = 0; i < 256; i++) {
    const [x, y] = [i % 16, i >> 4];
    const expected = [(x * x + 3 * y) % 256, (7 * x + y * y) % 256, (x * y) % 256, 255];
    assertEquals([...image.data.subarray(4 * i, 4 * i + 4)], expected, `${x}, ${y}`);
  }
});

Deno.test("RgbaImage: decode() reads interlaced pixels of 16 bits", () => {
  // Channels 257 * (100 x + y, 10 y, 255 - 50 x), packed by Python's zlib; Pillow reads the same 8-bit pixels
  // from it.
  const png = Uint8Array.fromBase64(
    "iVBORw0KGgoAAAANSUhEUgAAAAMAAAADEAIAAAH+3c49AAAAOUlEQVR42g3HsQ0AIAwDQUPp2iNClspCgJSZTL45PdDZOAfIxJyS/Z7U" +
      "sxZQhQipGYO09yar7iUzP3R+Fjk7JN0nAAAAAElFTkSuQmCC",
  );
  const expected = Array.from({ length: 9 }, (_, i) => [i % 3, Math.floor(i / 3)] as const)
    .flatMap(([x, y]) => [100 * x + y, 10 * y, 255 - 50 * x, 255]);
  assertEquals([...RgbaImage.decode(png).data], expected);
});

Deno.test("RgbaImage: decode() refuses a file that is cut anywhere", () => {
  const png = noise(5, 4).png();
  for (let size = 0; size < png.length; size++) {
    assertThrows(
      () => RgbaImage.decode(png.subarray(0, size)),
      TypeError,
      `Cannot decode the PNG of ${size} bytes: it `,
    );
  }
});

Deno.test("RgbaImage: decode() refuses a file in which any byte is damaged", () => {
  const png = noise(5, 4).png();
  for (let i = 0; i < png.length; i++) {
    const damaged = png.slice();
    damaged[i] = damaged[i]! ^ 0xff;
    assertThrows(
      () => RgbaImage.decode(damaged),
      TypeError,
      `Cannot decode the PNG of ${png.length} bytes: `,
    );
  }
});

Deno.test("RgbaImage: decode() refuses a file whose pixels are not what its header claims", () => {
  const pixels = (size: number): Uint8Array => deflateSync(new Uint8Array(size));
  // Two rows of one filter byte and two RGB pixels.
  assertEquals(RgbaImage.decode(file(2, 2, { pixels: pixels(14) })).data, new RgbaImage(2, 2).data);
  const refused: [Uint8Array, string][] = [
    [file(2, 2, { pixels: pixels(7) }), "it must hold 14 bytes of pixels, and holds 7"],
    [file(2, 2, { pixels: pixels(21) }), "14 bytes"],
    [file(2, 2, { pixels: pixels(14).subarray(0, 6) }), "unexpected end of file"],
    [file(2, 2, { pixels: new Uint8Array([1, 2, 3, 4]) }), "incorrect header check"],
    [file(2, 2, { pixels: deflateSync(new Uint8Array(14).fill(9)) }), "filter type"],
    [file(0, 2, { pixels: pixels(14) }), "its sides must be from 1 to 16384, and are 0×2"],
    [file(2, 16385, { pixels: pixels(14) }), "its sides must be from 1 to 16384, and are 2×16385"],
    [file(2 ** 31 - 1, 2 ** 31 - 1, { pixels: pixels(14) }), "2147483647×2147483647"],
    [file(2, 2, { pixels: pixels(14), colorType: 5 }), "its color type 5 is unknown"],
    [file(2, 2, { pixels: pixels(6), colorType: 3 }), "palette"],
  ];
  for (const [png, reason] of refused) {
    const error = assertThrows(() => RgbaImage.decode(png), TypeError, "Cannot decode the PNG");
    assertStringIncludes(error.message, reason);
    assert(error.cause instanceof Error);
  }
});

Deno.test("RgbaImage shows itself in a notebook and in the console", () => {
  const image = noise(6, 4, 255);
  const display = Reflect.get(image, Symbol.for("Jupyter.display")) as () => Record<string, string>;
  const bundle = display.call(image);
  assertEquals(Object.keys(bundle), ["image/png", "text/plain"]);
  assertEquals(decode(Uint8Array.fromBase64(bundle["image/png"]!)).data, [...image.data]);
  assertEquals(bundle["text/plain"], "6×4 image");
  assertEquals(Deno.inspect(image), "RgbaImage 6×4");
  assertEquals(Deno.inspect({ image }), "{ image: RgbaImage 6×4 }");
});
