import { assert, assertEquals, assertRejects } from "@std/assert";
import { crc32 } from "node:zlib";
import { decodeImage } from "../../../sampler/pictures/decode.ts";
import { fileKind } from "../../../sampler/pictures/file_kind.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import { type Orientation, turned } from "../../../sampler/pictures/orientation.ts";
import expected from "../../fixtures/pictures/expected.json" with { type: "json" };

/** What Pillow reads of each fixture, by its name and, if it is turned, the number of the orientation. */
const EXPECTED: Readonly<Record<string, { width: number; height: number; sha256: string }>> = expected;

function fixture(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return Deno.readFile(new URL(`../../fixtures/pictures/${name}`, import.meta.url));
}

/** A file as a camera that was held otherwise would have written it. */
async function held(name: string, orientation: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await fixture(name);
  // The tag of the orientation, of the type short, one of it.
  const entry = String.fromCharCode(0x01, 0x12, 0, 3, 0, 0, 0, 1);
  const at = String.fromCharCode(...bytes).indexOf(entry) + entry.length + 1;
  assertEquals(bytes[at], 6);
  bytes[at] = orientation;
  return bytes;
}

async function factsOf(image: RgbaImage): Promise<unknown> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", image.data));
  return { width: image.width, height: image.height, sha256: hash.toHex() };
}

for (const [title, wanted] of Object.entries(EXPECTED)) {
  Deno.test(`decodeImage: the pixels that Pillow reads of ${title}`, async () => {
    const [name, orientation] = title.split(" ") as [string, string?];
    const bytes = orientation === undefined ? await fixture(name) : await held(name, Number(orientation));
    assertEquals(await factsOf(await decodeImage(bytes)), wanted);
  });
}

Deno.test("decodeImage: a PNG as RgbaImage.decode() reads it, and a part of a larger array", async () => {
  const image = new RgbaImage(2, 1, new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]));
  assertEquals((await decodeImage(image.png())).data, image.data);
  for (const name of ["baseline.jpg", "lossless.webp"]) {
    const bytes = await fixture(name);
    const larger = new Uint8Array(bytes.length + 3);
    larger.set(bytes, 3);
    assertEquals(await factsOf(await decodeImage(larger.subarray(3))), EXPECTED[name]);
  }
});

/** A PNG file with one more chunk, behind its header or before its end. */
function withChunk(png: Uint8Array, type: string, data: readonly number[], isLast = false): Uint8Array {
  const body = [...new TextEncoder().encode(type), ...data];
  const chunk = new Uint8Array(body.length + 8);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, data.length);
  chunk.set(body, 4);
  view.setUint32(body.length + 4, crc32(Uint8Array.from(body)));
  const at = isLast ? png.length - 12 : 33;
  return Uint8Array.from([...png.subarray(0, at), ...chunk, ...png.subarray(at)]);
}

/** Exif data with nothing but an orientation. */
function exifOf(orientation: number): number[] {
  return [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
}

Deno.test("decodeImage: a PNG is turned as its Exif data say, wherever they stand", async () => {
  const image = new RgbaImage(3, 2, Uint8Array.from({ length: 24 }, (_, i) => i));
  const png = image.png();
  const pixels = ({ width, height, data }: RgbaImage): unknown => ({ width, height, data: [...data] });
  const read = async (bytes: Uint8Array): Promise<unknown> => pixels(await decodeImage(bytes));
  for (const orientation of [1, 2, 3, 4, 5, 6, 7, 8] as const) {
    const wanted = pixels(turned(image, orientation));
    for (const isLast of [false, true]) {
      assertEquals(await read(withChunk(png, "eXIf", exifOf(orientation), isLast)), wanted);
    }
  }
  // Of several the last one is taken; what is damaged, or no Exif data, turns nothing.
  const first = withChunk(png, "eXIf", exifOf(6));
  assertEquals(await read(withChunk(first, "eXIf", exifOf(3), true)), pixels(turned(image, 3)));
  assertEquals(await read(withChunk(png, "eXIf", exifOf(9))), pixels(image));
  assertEquals(await read(withChunk(png, "tEXt", exifOf(6))), pixels(image));
  for (let length = 0; length < 20; length++) {
    assertEquals(await read(withChunk(png, "eXIf", exifOf(6).slice(0, length))), pixels(image));
  }
});

Deno.test("decodeImage: what is not read says what it is", async () => {
  const text = (value: string): Uint8Array => new TextEncoder().encode(value);
  const readable = ": PNG, JPEG and WebP can be read";
  const cases: [bytes: Uint8Array, message: string][] = [
    [await fixture("other.avif"), `Cannot decode the picture as it is an AVIF${readable}`],
    [await fixture("other.gif"), `Cannot decode the picture as it is a GIF${readable}`],
    [
      text("<!DOCTYPE html><title>404</title>"),
      `Cannot decode the picture as it is a page of HTML${readable}`,
    ],
    [
      text('{"error":\u202e"no"}'),
      'Cannot decode the picture as it is no PNG, JPEG or WebP, and begins with "{\\"error\\":\\u202e\\"no\\""',
    ],
    [new Uint8Array(), "Cannot decode the picture as the file is empty"],
    [
      await fixture("inks.jpg"),
      "Cannot decode the JPEG of 797 bytes: it is in CMYK, for printers: convert it to RGB first",
    ],
    [
      await fixture("moving.webp"),
      "Cannot decode the WebP of 556 bytes: it is an animation, of which no single picture is taken",
    ],
  ];
  for (const [bytes, message] of cases) {
    assertEquals((await assertRejects(() => decodeImage(bytes), TypeError)).message, message);
  }
  const wrong = await assertRejects(() => decodeImage("photo.jpg" as unknown as Uint8Array), TypeError);
  assertEquals(
    wrong.message,
    'Cannot decode the picture as it must be a Uint8Array: current value is "photo.jpg"',
  );
});

Deno.test("decodeImage: files that are cut, wherever, are refused", async () => {
  for (const name of ["baseline.jpg", "progressive.jpg", "turned.jpg", "lossy.webp", "lossless.webp"]) {
    const bytes = await fixture(name);
    // Without its last marker a JPEG still has all of its pixels.
    for (let length = 0; length < bytes.length - 2; length += 37) {
      await assertRejects(
        () => decodeImage(bytes.subarray(0, length)),
        TypeError,
        undefined,
        `${name} ${length}`,
      );
    }
    assertEquals(await factsOf(await decodeImage(bytes)), EXPECTED[name] ?? EXPECTED[`${name} 6`]);
  }
});

Deno.test("decodeImage: damaged files are refused or read, and nothing else happens", async () => {
  for (const name of ["baseline.jpg", "turned.jpg", "lossy.webp", "veiled.webp"]) {
    const bytes = await fixture(name);
    for (let at = 0; at < bytes.length; at += 11) {
      const damaged = bytes.slice();
      damaged[at]! ^= 0xff;
      const outcome = await decodeImage(damaged).catch((error: unknown) => error);
      assert(outcome instanceof RgbaImage || outcome instanceof TypeError, `${name} ${at}: ${outcome}`);
    }
  }
});

Deno.test("decodeImage: a JPEG that claims more pixels than it can hold is refused before it takes the memory", async () => {
  for (
    const [size, reason] of [[16384, "it ends too early, or is damaged"], [
      65535,
      "its sides must be from 1 to 16384, and are 65535×65535",
    ]] as const
  ) {
    const bytes = await fixture("baseline.jpg");
    const view = new DataView(bytes.buffer);
    const at = bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xc0);
    view.setUint16(at + 5, size);
    view.setUint16(at + 7, size);
    const error = await assertRejects(() => decodeImage(bytes), TypeError);
    assertEquals(error.message, `Cannot decode the JPEG of 944 bytes: ${reason}`);
  }
});

Deno.test("turned: every turn, and back by the one that undoes it", () => {
  const image = new RgbaImage(3, 2, Uint8Array.from({ length: 24 }, (_, i) => Math.floor(i / 4)));
  const seen = (orientation: Orientation): string => {
    const { width, data } = turned(image, orientation);
    const digits = [...data].filter((_, i) => i % 4 === 0).join("");
    return digits.match(new RegExp(`.{${width}}`, "g"))!.join(" ");
  };
  assertEquals(([1, 2, 3, 4, 5, 6, 7, 8] as const).map(seen), [
    "012 345",
    "210 543",
    "543 210",
    "345 012",
    "03 14 25",
    "30 41 52",
    "52 41 30",
    "25 14 03",
  ]);
  for (const [there, back] of [[2, 2], [3, 3], [4, 4], [5, 5], [6, 8], [7, 7], [8, 6]] as const) {
    assertEquals(turned(turned(image, there), back).data, image.data);
  }
});

Deno.test("fileKind: kinds by their beginnings", () => {
  const kind = (text: string): string | undefined => {
    return fileKind(Uint8Array.from(text, (character) => character.charCodeAt(0)));
  };
  assertEquals(kind("RIFF\x10\0\0\0WEBPVP8 "), "a WebP");
  assertEquals(kind("RIFF\x10\0\0\0WAVEfmt "), undefined);
  assertEquals(kind("\0\0\0\x18ftypheic"), "a HEIC");
  assertEquals(kind("\0\0\0\x18ftypisom"), "a video");
  assertEquals([kind("BM"), kind("B"), kind("")], ["a BMP", undefined, undefined]);
});
