/** Pictures that are kept for a time, and never more bytes than agreed. */

import { assertEquals, assertMatch } from "@std/assert";
import { PictureStore } from "../../../cli/serving/picture_store.ts";

Deno.test("PictureStore: pictures go when they are too old, and the oldest when there are too many", () => {
  let now = 0;
  const store = new PictureStore({ bytes: 10, milliseconds: 100 }, () => now);
  const [a, b] = [store.put(new Uint8Array(4)), store.put(new Uint8Array(6).fill(1))];
  assertMatch(a, /^[0-9a-f-]{36}$/);
  assertEquals([store.size, store.bytes], [2, 10]);
  now = 50;
  const c = store.put(new Uint8Array(3));
  assertEquals([a, b, c].map((name) => store.get(name)?.length), [undefined, 6, 3]);
  now = 100;
  assertEquals([b, c].map((name) => store.get(name)?.length), [undefined, 3]);
  now = 150;
  assertEquals([store.get(c), store.size, store.bytes], [undefined, 0, 0]);
  // What is larger than all that may be kept is not kept.
  assertEquals(store.get(store.put(new Uint8Array(11))), undefined);
  assertEquals(store.get("../../etc/passwd"), undefined);
});
