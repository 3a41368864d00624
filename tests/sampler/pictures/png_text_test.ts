/** Texts in PNG files: those of others are read within bounds, and written as the specification has it. */

import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { crc32, deflateSync, inflateSync } from "node:zlib";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import { readPngText, withPngText } from "../../../sampler/pictures/png_text.ts";

/**
 * Two pixels with four texts, as Pillow 12.3 writes them: `add_text` plain and with `zip=True`, `add_itxt`
 * with a language, and with `zip=True`.
 */
const BY_PILLOW = Uint8Array.fromBase64(
  "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAACnRFWHRUaXRsZQBDYWbpoJmcRAAAABZ6VFh0Q29tbWVudAAAeJyrqCAO" +
    "vAQAlEETqqbpP8oAAAAuaVRYdERlc2NyaXB0aW9uAAAAZGUAQmVzY2hyZWlidW5nAOWGhumMkCB1bmQgS2VnZWwdfNSSAAAAG2lUWHRX" +
    "YXJuaW5nAAEAAAB4nHs0a4HCowHAAPp9QwmOI9+CAAAAD0lEQVR4nGNkZGJmYGAAAAAqAAjaWO5EAAAAAElFTkSuQmCC",
);
const PIXELS = [1, 2, 3, 255, 1, 2, 3, 255];

/** A chunk after the specification, written here anew. */
function chunk(type: string, data: Uint8Array): Uint8Array {
  const tagged = new Uint8Array([...new TextEncoder().encode(type), ...data]);
  const bytes = new Uint8Array(tagged.length + 8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(tagged, 4);
  view.setUint32(bytes.length - 4, crc32(tagged));
  return bytes;
}

/** Latin-1 or, above that, UTF-8; `\0` stands for itself. */
function bytesOf(...parts: readonly (string | Uint8Array)[]): Uint8Array {
  return new Uint8Array(
    parts.flatMap((part) => typeof part === "string" ? [...part].map((it) => it.charCodeAt(0)) : [...part]),
  );
}

/** A picture of one pixel with chunks in front of its pixels, or behind them. */
function picture(chunks: readonly Uint8Array[], place: "front" | "behind" = "front"): Uint8Array {
  const bare = new RgbaImage(1, 1).png();
  const at = place === "front" ? 33 : bare.length - 12;
  return new Uint8Array([...bare.subarray(0, at), ...chunks.flatMap((it) => [...it]), ...bare.subarray(at)]);
}

Deno.test("readPngText: texts of every kind are read, as Pillow has written them", () => {
  assertEquals(readPngText(BY_PILLOW, "Title"), "Café");
  assertEquals(readPngText(BY_PILLOW, "Comment"), `${"x".repeat(40)}é`);
  assertEquals(readPngText(BY_PILLOW, "Description"), "円錐 und Kegel");
  assertEquals(readPngText(BY_PILLOW, "Warning"), "⚠ ".repeat(30));
  assertEquals(readPngText(BY_PILLOW, "title"), undefined);
  assertEquals(readPngText(BY_PILLOW, "Author"), undefined);
});

Deno.test("withPngText: a short text is an iTXt chunk behind the header, as it stands", () => {
  const bare = new RgbaImage(2, 1).png();
  const text = "Nachtstück ⚠";
  const wanted = chunk("iTXt", bytesOf("A title", "\0", "\0\0", "\0", "\0", new TextEncoder().encode(text)));
  const png = withPngText(bare, "A title", text);
  assertEquals(png, new Uint8Array([...bare.subarray(0, 33), ...wanted, ...bare.subarray(33)]));
  assertEquals(RgbaImage.decode(png).data, new RgbaImage(2, 1).data);
});

Deno.test("withPngText: from 1024 bytes on a text is compressed, and the same gives the same bytes", () => {
  const bare = new RgbaImage(2, 1).png();
  for (const [length, flag] of [[1023, 0], [1024, 1]] as const) {
    const text = "x".repeat(length);
    const png = withPngText(bare, "k", text);
    // 33 bytes up to the end of the header, 8 before the data, keyword and its end.
    assertEquals([png[43], png[44]], [flag, 0]);
    assertEquals(readPngText(png, "k"), text);
    assertEquals(withPngText(bare, "k", text), png);
    if (flag === 0) continue;
    const end = png.length - bare.length + 33 - 4;
    assertEquals(new TextDecoder().decode(inflateSync(png.subarray(47, end))), text);
  }
});

Deno.test("withPngText: texts under the keyword go, wherever they are, and nothing else does", () => {
  const own = chunk("tEXt", bytesOf("recipe\0old"));
  const other = chunk("zTXt", bytesOf("Recipe\0", "\0", deflateSync(bytesOf("kept"))));
  const gamma = chunk("gAMA", new Uint8Array([0, 0, 177, 143]));
  const front = picture([other, own, gamma, own]);
  const cleaned = withPngText(front, "recipe", undefined);
  assertEquals(cleaned, picture([other, gamma]));
  const behind = withPngText(picture([own], "behind"), "recipe", "new");
  assertEquals(readPngText(behind, "recipe"), "new");
  assertEquals(withPngText(behind, "recipe", undefined), picture([]));
  assertEquals(withPngText(BY_PILLOW, "Author", undefined), BY_PILLOW);
  const titled = withPngText(BY_PILLOW, "Title", "Other");
  assertEquals([readPngText(titled, "Title"), readPngText(titled, "Warning")], ["Other", "⚠ ".repeat(30)]);
  assertEquals([...RgbaImage.decode(titled).data], PIXELS);
});

Deno.test("readPngText: a text behind the pixels is found, and the first of several", () => {
  assertEquals(readPngText(picture([chunk("tEXt", bytesOf("k\0behind"))], "behind"), "k"), "behind");
  const several = picture([chunk("tEXt", bytesOf("k\0one")), chunk("tEXt", bytesOf("k\0two"))]);
  assertEquals(readPngText(several, "k"), "one");
});

Deno.test("readPngText: what is damaged under another keyword is no matter, and under this one is told", () => {
  const damaged: readonly (readonly [string, Uint8Array, string])[] = [
    [
      "cut stream",
      chunk("zTXt", bytesOf("k\0", "\0", deflateSync(bytesOf("text")).subarray(0, 6))),
      "damaged",
    ],
    ["no stream", chunk("zTXt", bytesOf("k\0", "\0", "no deflate")), "its compressed bytes are damaged"],
    ["nothing", chunk("zTXt", bytesOf("k\0")), "its compression undefined is unknown"],
    ["method", chunk("iTXt", bytesOf("k\0", "\x01\x05", "\0\0")), "its compression 5 is unknown"],
    ["no language", chunk("iTXt", bytesOf("k\0", "\0\0", "de")), "no language and no translated keyword"],
    [
      "no translation",
      chunk("iTXt", bytesOf("k\0", "\0\0", "de\0x")),
      "no language and no translated keyword",
    ],
    ["Latin-1", chunk("iTXt", bytesOf("k\0", "\0\0", "\0\0", "\xe9")), "it is no text in UTF-8"],
    [
      "checksum",
      chunk("tEXt", bytesOf("k\0text")).with(-1, 7),
      "the checksum of the chunk at byte 33 is wrong",
    ],
  ];
  for (const [name, bytes, reason] of damaged) {
    const png = picture([bytes, chunk("tEXt", bytesOf("other\0text"))]);
    assertThrows(() => readPngText(png, "k"), TypeError, reason, name);
    assertEquals(readPngText(png, "other"), "text", name);
  }
  // Chunks that have no keyword, or one that is longer than any.
  const strange = [chunk("tEXt", bytesOf("\0text")), chunk("tEXt", bytesOf(`${"k".repeat(80)}\0`))];
  assertEquals(readPngText(picture([...strange, chunk("iTXt", bytesOf("k"))]), "k"), undefined);
});

Deno.test("readPngText: no more is decompressed than may be read", () => {
  // 20 MB of zeros in 19 kB: the decompressor itself stops, or the message would be another one.
  const png = picture([chunk("iTXt", bytesOf("k\0", "\x01\0", "\0\0", deflateSync(new Uint8Array(2e7))))]);
  assertThrows(() => readPngText(png, "k"), TypeError, "at most 16777216 bytes, and decompresses to more");
  assertThrows(
    () => readPngText(png, "k", { limit: 9 }),
    TypeError,
    "at most 9 bytes, and decompresses to more",
  );
  assertEquals(readPngText(png, "k", { limit: 2e7 })?.length, 2e7);
  const plain = picture([chunk("tEXt", bytesOf("k\0", "x".repeat(11)))]);
  assertEquals(readPngText(plain, "k", { limit: 11 }), "x".repeat(11));
  assertThrows(
    () => readPngText(plain, "k", { limit: 10 }),
    TypeError,
    "at most 10 bytes: current number is 11",
  );
  const packed = picture([chunk("zTXt", bytesOf("k\0", "\0", deflateSync(bytesOf("x".repeat(11)))))]);
  assertEquals(readPngText(packed, "k", { limit: 11 }), "x".repeat(11));
  assertThrows(() => readPngText(packed, "k", { limit: 10 }), TypeError, "at most 10 bytes");
});

Deno.test("readPngText: a file that is cut anywhere, or is none, is refused", () => {
  const png = new RgbaImage(3, 2).png({ text: { Title: "cut" } });
  for (let length = 0; length < png.length; length++) {
    // What comes before the cut is not held against it.
    const part = png.subarray(0, length);
    if (length >= 33 + 12 + 13) assertEquals(readPngText(part, "Title"), "cut");
    assertThrows(() => readPngText(part, "Author"), TypeError, "Cannot read the text", `${length}`);
    assertThrows(() => withPngText(part, "Author", "x"), TypeError, "Cannot write a text", `${length}`);
  }
  const jpeg = new Uint8Array([0xff, 0xd8, 0xff, 0xe0]);
  assertThrows(
    () => readPngText(jpeg, "k"),
    TypeError,
    'read the text "k" of a PNG of 4 bytes: it is a JPEG',
  );
});

Deno.test("withPngText: keywords and texts that cannot stand in a file are refused", () => {
  const png = new RgbaImage(1, 1).png();
  for (const keyword of ["", " k", "k ", "a  b", "a\nb", "k\0", "é".repeat(80), "円", "a\u00a0b", "\x7f"]) {
    assertThrows(() => withPngText(png, keyword, ""), TypeError, "the keyword must be 1 to 79", keyword);
    assertThrows(() => readPngText(png, keyword), TypeError, "the keyword must be 1 to 79", keyword);
  }
  for (const text of ["a\0b", "\ud800"]) {
    assertThrows(() => withPngText(png, "k", text), TypeError, "the text must be of whole characters");
  }
  const longest = "é".repeat(79);
  assertEquals(readPngText(withPngText(png, longest, ""), longest), "");
});

Deno.test("RgbaImage: png() writes texts in their order, and pixels as without them", () => {
  const image = new RgbaImage(2, 2);
  const bare = image.png();
  assertEquals(image.png({ text: {} }), bare);
  const png = image.png({ text: { Title: "one", Author: "two" } });
  assertNotEquals(png, bare);
  assertEquals(png, withPngText(withPngText(bare, "Author", "two"), "Title", "one"));
  const title = chunk("iTXt", bytesOf("Title\0", "\0\0", "\0\0", "one"));
  assertEquals(png.subarray(33, 33 + title.length), title);
});
