/** What values the kinds of options read, and what they refuse. */

import { assertEquals, assertThrows } from "@std/assert";
import {
  bytes,
  imageNumbers,
  integerOrAuto,
  numberPerScale,
  pictureSize,
  scales,
  scalesOrAll,
  seed,
  sides,
  texts,
} from "../../../cli/options/kinds.ts";

Deno.test("numberPerScale: one number, or one for each scale", () => {
  const { parse, placeholder } = numberPerScale("X", 0, 10);
  assertEquals(placeholder, "X|X,…");
  assertEquals(["4", "4,3.5, .5", "1e1,0"].map(parse), [4, [4, 3.5, 0.5], [10, 0]]);
  assertThrows(() => parse("11"), RangeError, "must be a number from 0 to 10");
  for (const wrong of ["4,", ",4", "4,,3", "4,11", "4;3", "4,-1", "4,x"]) {
    assertThrows(
      () => parse(wrong),
      RangeError,
      wrong.includes(",") ? "one for each scale" : "must be a number",
    );
  }
});

Deno.test("scales: kinds of values", () => {
  assertEquals(seed.parse("7"), 7);
  assertEquals(seed.parse("18446744073709551615"), 2n ** 64n - 1n);
  assertThrows(() => seed.parse("18446744073709551616"), RangeError);
  assertEquals(scales.parse("1,3,1"), [1, 3]);
  assertThrows(() => scales.parse("1,,3"), RangeError);
  assertThrows(() => scales.parse("all"), RangeError);
  assertEquals(scales.parse("0-3,2,7-7"), [0, 1, 2, 3, 7]);
  assertEquals(scales.parse("-1"), [-1]);
  assertEquals(scales.parse("0,-3--1"), [0, -3, -2, -1]);
  for (const wrong of ["3-1", "1-", "--1", "-1--3", "0--1", "1-2-3", "", "1.5"]) {
    assertThrows(() => scales.parse(wrong), RangeError, "must be numbers of scales from 0 on");
  }
  assertEquals(["1,2,3", "1_2_13", "1"].map(sides.parse), [[1, 2, 3], [1, 2, 13], [1]]);
  for (const wrong of ["", "0,1", "1,,2", "1 2", "1,2,", "-1", "1.5", "12345"]) {
    assertThrows(() => sides.parse(wrong), RangeError, 'separated by commas, like "1,2,3,4"');
  }
  assertEquals(["512", "512x256", "512×256", "96X32"].map(pictureSize.parse), [
    512,
    { width: 512, height: 256 },
    { width: 512, height: 256 },
    { width: 96, height: 32 },
  ]);
  for (const wrong of ["", "0", "512x", "x256", "512x0", "512,256", "1e3", "512x256x3"]) {
    assertThrows(() => pictureSize.parse(wrong), RangeError, "must be a size in pixels");
  }
  assertEquals(scalesOrAll.parse("all"), true);
  assertEquals(texts.parse("red torus, blue cone"), ["red torus", "blue cone"]);
  assertThrows(() => texts.parse("a,"), RangeError);
  assertEquals(["auto", "3"].map(integerOrAuto("N", 1).parse), ["auto", 3]);
  assertThrows(() => integerOrAuto("N", 1).parse("0"), RangeError, "must be an integer of at least 1");
  assertEquals(["8GB", "8gib", "1.5 MB", "512K", "7", "7b", ".5TiB"].map(bytes.parse), [
    8e9,
    8 * 2 ** 30,
    1.5e6,
    512_000,
    7,
    7,
    2 ** 39,
  ]);
  for (const wrong of ["", "0", "GB", "8XB", "-1GB", "1e9", "8iB"]) {
    assertThrows(() => bytes.parse(wrong), RangeError, "must be an amount of memory");
  }
});

Deno.test("imageNumbers: numbers and ranges in the order given, and one more than once", () => {
  assertEquals(imageNumbers.parse("5, 9,0-2,5"), [5, 9, 0, 1, 2, 5]);
  assertEquals(imageNumbers.parse("16777215"), [16777215]);
  for (const wrong of ["", "-1", "3-1", "1,,2", "1.5", "16777216", "0-", "all"]) {
    assertThrows(() => imageNumbers.parse(wrong), RangeError, "must be numbers of images from 0 to 16777215");
  }
});
