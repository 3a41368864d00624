import { assertEquals, assertThrows } from "@std/assert";
import {
  requireBoolean,
  requireChoice,
  requireFunction,
  requireInteger,
  requireList,
  requireNumber,
  requireObject,
  requireOptions,
  requireText,
  shown,
} from "../../kernels/arguments.ts";

/** A value of the wrong type, for callers who do not check types. */
// deno-lint-ignore no-explicit-any -- that is the point
const wrong = (value: unknown): any => value;

type Case = readonly [call: () => unknown, type: ErrorConstructor, message: string];

function refuseAll(cases: readonly Case[]): void {
  for (const [call, type, message] of cases) {
    const error = assertThrows(call) as Error;
    assertEquals([error.constructor, error.message], [type, `Cannot act as ${message}`]);
  }
}

Deno.test("requireInteger names the wanted range and the given value", () => {
  const n = (value: unknown, bounds: { min: number; max?: number }) => () =>
    requireInteger(wrong(value), "n", "act", bounds);
  refuseAll([
    [n("1", { min: 0 }), TypeError, 'n must be a number: current value is "1"'],
    [n(1n, { min: 0 }), TypeError, "n must be a number: current value is 1n"],
    [n(undefined, { min: 0 }), TypeError, "n must be a number: current value is undefined"],
    [n(4, { min: 0, max: 3 }), RangeError, "n must be an integer from 0 to 3: current value is 4"],
    [n(1.5, { min: 0, max: 3 }), RangeError, "n must be an integer from 0 to 3: current value is 1.5"],
    [n(NaN, { min: 1 }), RangeError, "n must be an integer >= 1: current value is NaN"],
    [n(Infinity, { min: 1 }), RangeError, "n must be an integer >= 1: current value is Infinity"],
    [
      n(2 ** 53, { min: 1 }),
      RangeError,
      "n must be an integer from 1 to 9007199254740991: current value is 9007199254740992",
    ],
  ]);
  assertEquals(requireInteger(3, "n", "act", { min: 3, max: 3 }), 3);
});

Deno.test("requireNumber takes its bounds, and infinity only where a bound allows it", () => {
  const x = (value: unknown, bounds?: { min?: number; max?: number }) => () =>
    requireNumber(wrong(value), "x", "act", bounds);
  refuseAll([
    [x("1"), TypeError, 'x must be a number: current value is "1"'],
    [x(NaN), RangeError, "x must be a finite number: current value is NaN"],
    [x(-Infinity), RangeError, "x must be a finite number: current value is -Infinity"],
    [x(Infinity, { min: 0 }), RangeError, "x must be a finite number >= 0: current value is Infinity"],
    [x(-0.1, { min: 0 }), RangeError, "x must be a finite number >= 0: current value is -0.1"],
    [x(NaN, { min: 0, max: 1 }), RangeError, "x must be from 0 to 1: current value is NaN"],
    [x(2, { max: 1 }), RangeError, "x must be a finite number <= 1: current value is 2"],
    [x(-Infinity, { max: 1 }), RangeError, "x must be a finite number <= 1: current value is -Infinity"],
    [x(2, { min: 0, max: 1 }), RangeError, "x must be from 0 to 1: current value is 2"],
  ]);
  assertEquals(requireNumber(Infinity, "x", "act", { min: 0, max: Infinity }), Infinity);
  assertEquals(requireNumber(-5, "x", "act"), -5);
});

Deno.test("requireBoolean, requireText, requireFunction, requireObject, requireList and requireChoice", () => {
  refuseAll([
    [() => requireBoolean(wrong(0), "b", "act"), TypeError, "b must be a boolean: current value is 0"],
    [() => requireText(wrong(7), "t", "act"), TypeError, "t must be a text: current value is 7"],
    [() => requireFunction(wrong({}), "f", "act"), TypeError, "f must be a function: current value is {}"],
    [() => requireObject(wrong(null), "o", "act"), TypeError, "o must be an object: current value is null"],
    [() => requireObject(wrong([1]), "o", "act"), TypeError, "o must be an object: current value is [1]"],
    [() => requireList(wrong("ab"), "l", "act"), TypeError, 'l must be a list: current value is "ab"'],
    [
      () => requireList(wrong(new Uint8Array(2)), "l", "act", "a list of scales"),
      TypeError,
      "l must be a list of scales: current value is Uint8Array(2)",
    ],
    [
      () => requireChoice<string>("c", ["a", "b"], "word", "act"),
      TypeError,
      'word must be one of "a", "b": current value is "c"',
    ],
  ]);
  const list = [1];
  assertEquals(requireList(list, "l", "act") === list, true);
  assertEquals(requireChoice("a", ["a", "b"], "word", "act"), "a");
});

Deno.test("requireOptions names the one that is unknown, and what is no object at all", () => {
  refuseAll([
    [
      () => requireOptions({ a: 1, c: 2 }, ["a", "b"], "act"),
      TypeError,
      'the option "c" is unknown: options are a, b',
    ],
    [
      () => requireOptions(wrong(null), ["a"], "act"),
      TypeError,
      "the options must be an object: current value is null",
    ],
    [
      () => requireOptions([], ["a"], "act"),
      TypeError,
      "the options must be an object: current value is []",
    ],
    [
      () => requireOptions({ "a\n\u001b[2J": 1 }, ["a"], "act"),
      TypeError,
      'the option "a\\n\\u001b[2J" is unknown: options are a',
    ],
  ]);
  requireOptions({}, [], "act");
});

Deno.test("shown keeps any value on one short line", () => {
  class Point {
    x = 1;
  }
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const cases: readonly [unknown, string][] = [
    ["", '""'],
    ['say "a"', '"say \\"a\\""'],
    ["a\tb\u001b[31m", '"a\\tb\\u001b[31m"'],
    ["a\u202eb", '"a\\u202eb"'],
    ["x".repeat(150), `"${"x".repeat(100)}…"`],
    [-0, "-0"],
    [2 ** 31, "2147483648"],
    [5n, "5n"],
    [undefined, "undefined"],
    [Symbol("s"), "Symbol(s)"],
    [Symbol("\n"), "Symbol(\\n)"],
    [{ "a b": 1, "\u001b": 2 }, '{ "a b": 1, "\\u001b": 2 }'],
    [{
      get price() {
        throw new Error("never asked");
      },
    }, "{ price: a computed value }"],
    // deno-lint-ignore no-sparse-arrays
    [[, 1], "[undefined, 1]"],
    [Math.sqrt, "function sqrt"],
    [() => 1, "a function"],
    [[], "[]"],
    [[[], [1], {}, new Point()], "[[], […], {…}, Point]"],
    [Array.from({ length: 20 }, (_, i) => i), `[${[...Array(16).keys()].join(", ")}, … 4 more]`],
    [{ a: 1, b: [2], c: {}, d: 4, e: 5 }, "{ a: 1, b: […], c: {…}, d: 4, … 1 more }"],
    [cyclic, "{ self: {…} }"],
    [Object.create(null), "{}"],
    [new Float16Array(3), "Float16Array(3)"],
    [new ArrayBuffer(8), "ArrayBuffer"],
    [new Point(), "Point"],
    [new Map([[1, 2]]), "Map"],
  ];
  for (const [value, text] of cases) assertEquals(shown(value), text);
});
