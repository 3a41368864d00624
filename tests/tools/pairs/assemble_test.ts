import { assertEquals, assertThrows } from "@std/assert";
import { assemble } from "../../../tools/pairs/assemble.ts";

Deno.test("assemble: bytes are those of the format's specification", () => {
  const text = `(module
    (memory (export "m") 1)
    (func (export "f") (param $a i32) (local $b i32) ;; a loop
      (loop $l
        (local.set $b (i32.add (local.get $b) (i32.const -200)))
        (br_if $l (i32.lt_u (local.get $b) (local.get $a))))))`;
  assertEquals([...assemble(text)], [
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    // Types, functions, memories, exports.
    ...[0x01, 0x05, 0x01, 0x60, 0x01, 0x7f, 0x00],
    ...[0x03, 0x02, 0x01, 0x00],
    ...[0x05, 0x03, 0x01, 0x00, 0x01],
    ...[0x07, 0x09, 0x02, 0x01, 0x6d, 0x02, 0x00, 0x01, 0x66, 0x00, 0x00],
    // A body of 22 bytes with one local.
    ...[0x0a, 0x18, 0x01, 0x16, 0x01, 0x01, 0x7f],
    ...[0x03, 0x40, 0x20, 0x01, 0x41, 0xb8, 0x7e, 0x6a, 0x21, 0x01],
    ...[0x20, 0x01, 0x20, 0x00, 0x49, 0x0d, 0x00, 0x0b, 0x0b],
  ]);
});

Deno.test("assemble: vectors, lanes and offsets do what they say", () => {
  const bytes = assemble(`(module
    (memory (export "memory") 1)
    (func (export "run") (param $at i32)
      (v128.store offset=16 (local.get $at)
        (f32x4.add
          (i8x16.shuffle 12 13 14 15 0 1 2 3 16 17 18 19 20 21 22 23 (v128.load (local.get $at)) (v128.load (local.get $at)))
          (v128.const f32x4 0.5 -1 2 100)))))`);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  const words = new Float32Array((exports.memory as WebAssembly.Memory).buffer);
  words.set([1, 2, 3, 4], 1);
  (exports.run as (at: number) => void)(4);
  assertEquals([...words.subarray(0, 10)], [0, 1, 2, 3, 4, 4.5, 0, 3, 102, 0]);
});

Deno.test("assemble: texts that are none are refused", () => {
  const refused = (body: string, reason: string): void => {
    const text = `(module (memory (export "m") 1) (func (export "f") (param $a i32) ${body}))`;
    assertThrows(() => assemble(text), SyntaxError, `Cannot assemble the text as ${reason}`);
  };
  refused("(local.get $b)", "$b is unknown");
  refused("(br_if $l (local.get $a))", "$l is unknown");
  refused("(i64.add)", '"i64.add" is unknown');
  refused("(local.get $a", "its lists must be closed");
});
