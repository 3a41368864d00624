/**
 * The checks that every layer makes of its arguments, so that all say in the same words what was wanted and
 * what was given: `Cannot ACTION as NAME must be WANTED: current value is GIVEN`. A check returns what it has
 * checked. Checks of a device's arrays are in `device/array_checks.ts`, those of inputs in
 * `operations/input.ts`. Nothing here asks for Deno, so that kernels run in a page, too.
 *
 * @module
 */

/**
 * Checks that a number is an integer within bounds.
 *
 * @returns The number.
 * @throws {TypeError} If it is not a number.
 * @throws {RangeError} If it is no integer or out of bounds.
 *
 * @example
 * ```ts
 * import { requireInteger } from "./arguments.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * assertEquals(requireInteger(4, "draws", "sample", { min: 1 }), 4);
 * assertThrows(
 *   () => requireInteger(0, "draws", "sample", { min: 1 }),
 *   RangeError,
 *   "Cannot sample as draws must be an integer >= 1: current value is 0",
 * );
 * ```
 */
export function requireInteger(
  value: number,
  name: string,
  action: string,
  bounds: { readonly min: number; readonly max?: number },
): number {
  requireThat(typeof value === "number", value, "a number", name, action);
  const { min, max = Number.MAX_SAFE_INTEGER } = bounds;
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  // The bound that every integer has is said where it is the one that was broken.
  const open = bounds.max === undefined && !(Number.isInteger(value) && value > max);
  throw new RangeError(
    mustBe(`an integer ${open ? `>= ${min}` : `from ${min} to ${max}`}`, value, name, action),
  );
}

/**
 * Checks that a number is within bounds; where one of them is left open it must be finite, too.
 *
 * @returns The number.
 * @throws {TypeError} If it is not a number.
 * @throws {RangeError} If it is out of bounds or NaN.
 *
 * @example
 * ```ts
 * import { requireNumber } from "./arguments.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * assertEquals(requireNumber(0.96, "topP", "sample", { min: 0, max: 1 }), 0.96);
 * assertThrows(
 *   () => requireNumber(-1, "epsilon", "measure", { min: 0 }),
 *   RangeError,
 *   "Cannot measure as epsilon must be a finite number >= 0: current value is -1",
 * );
 * ```
 */
export function requireNumber(
  value: number,
  name: string,
  action: string,
  bounds: { readonly min?: number; readonly max?: number } = {},
): number {
  requireThat(typeof value === "number", value, "a number", name, action);
  const { min, max } = bounds;
  const finite = min === undefined || max === undefined;
  if (value >= (min ?? -Infinity) && value <= (max ?? Infinity) && (!finite || Number.isFinite(value))) {
    return value;
  }
  const range = min === undefined ? max === undefined ? "" : ` <= ${max}` : ` >= ${min}`;
  throw new RangeError(
    mustBe(finite ? `a finite number${range}` : `from ${min} to ${max}`, value, name, action),
  );
}

/**
 * Checks that a value is true or false.
 *
 * @returns The value.
 * @throws {TypeError} If it is neither.
 *
 * @example
 * ```ts
 * import { requireBoolean } from "./arguments.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(requireBoolean(true, "log", "estimate densities"), true);
 * ```
 */
export function requireBoolean(value: boolean, name: string, action: string): boolean {
  return requireThat(typeof value === "boolean", value, "a boolean", name, action);
}

/**
 * Checks that a value is a text.
 *
 * @returns The text.
 * @throws {TypeError} If it is none.
 *
 * @example
 * ```ts
 * import { requireText } from "./arguments.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(requireText("codes", "label", "allocate"), "codes");
 * ```
 */
export function requireText(value: string, name: string, action: string): string {
  return requireThat(typeof value === "string", value, "a text", name, action);
}

/**
 * Checks that a value is a function.
 *
 * @returns The function.
 * @throws {TypeError} If it is none.
 *
 * @example
 * ```ts
 * import { requireFunction } from "./arguments.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(requireFunction(Math.sqrt, "call", "profile")(4), 2);
 * ```
 */
// deno-lint-ignore no-explicit-any
export function requireFunction<Call extends (...args: any[]) => unknown>(
  value: Call,
  name: string,
  action: string,
): Call {
  return requireThat(typeof value === "function", value, "a function", name, action);
}

/**
 * Checks that a value is an object. `null` and lists are none; whether a class instance will do is for the
 * caller to say.
 *
 * @param wanted What is wanted, for the message.
 * @returns The object.
 * @throws {TypeError} If it is none.
 *
 * @example
 * ```ts
 * import { requireObject } from "./arguments.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(requireObject({ draws: 2 }, "the request", "generate"), { draws: 2 });
 * ```
 */
export function requireObject<Value extends object>(
  value: Value,
  name: string,
  action: string,
  wanted: string = "an object",
): Value {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new TypeError(mustBe(wanted, value, name, action));
}

/**
 * Checks that a value is a list. What is in it is for the caller to check.
 *
 * @param wanted What is wanted, for the message.
 * @returns The list.
 * @throws {TypeError} If it is none.
 *
 * @example
 * ```ts
 * import { requireList } from "./arguments.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(requireList([1, 2], "patchNumbers", "generate", "a list of numbers"), [1, 2]);
 * ```
 */
export function requireList<Item>(
  value: readonly Item[],
  name: string,
  action: string,
  wanted: string = "a list",
): readonly Item[] {
  if (Array.isArray(value)) return value;
  throw new TypeError(mustBe(wanted, value, name, action));
}

/**
 * Checks that a value is one of a few words.
 *
 * @returns The word.
 * @throws {TypeError} If it is not.
 *
 * @example
 * ```ts
 * import { requireChoice } from "./arguments.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(requireChoice("cosine", ["euclidean", "cosine"], "metric", "measure"), "cosine");
 * ```
 */
export function requireChoice<Choice extends string>(
  value: Choice,
  choices: readonly Choice[],
  name: string,
  action: string,
): Choice {
  if (choices.includes(value)) return value;
  const wanted = choices.map((choice) => `"${choice}"`).join(", ");
  throw new TypeError(mustBe(`one of ${wanted}`, value, name, action));
}

/**
 * Checks that all options are known, as a misspelt one would be ignored silently.
 *
 * @throws {TypeError} If one is not, or they are no object.
 *
 * @example
 * ```ts
 * import { requireOptions } from "./arguments.ts";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(
 *   () => requireOptions({ topk: 1 }, ["topK", "topP"], "sample"),
 *   TypeError,
 *   'Cannot sample as the option "topk" is unknown: options are topK, topP',
 * );
 * ```
 */
export function requireOptions(options: object, known: readonly string[], action: string): void {
  for (const name of Object.keys(requireObject(options, "the options", action))) {
    if (known.includes(name)) continue;
    throw new TypeError(
      `Cannot ${action} as the option ${quoted(name)} is unknown: options are ${known.join(", ")}`,
    );
  }
}

/**
 * The sentence about an argument that is not what it must be.
 *
 * @example
 * ```ts
 * import { mustBe } from "./arguments.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(
 *   mustBe("1 or -1", 0, "sign", "accumulate"),
 *   "Cannot accumulate as sign must be 1 or -1: current value is 0",
 * );
 * ```
 */
export function mustBe(wanted: string, value: unknown, name: string, action: string): string {
  return `Cannot ${action} as ${name} must be ${wanted}: current value is ${shown(value)}`;
}

/** How much of a text, a list and an object a message shows. */
const SHOWN_CHARACTERS = 100;
const SHOWN_ITEMS = 16;
const SHOWN_ENTRIES = 4;

/**
 * What was given, as every message shows it: texts in quotes and on one line, numbers as they are, lists and
 * plain objects by their beginning, typed arrays by type and length, and everything else by its class.
 *
 * @example
 * ```ts
 * import { shown } from "./arguments.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([shown("a\nb"), shown(-0), shown(5n)], ['"a\\nb"', "-0", "5n"]);
 * assertEquals(shown([1, [2], { a: "b" }]), "[1, […], {…}]");
 * assertEquals(shown({ vae: "vae.pth", depth: 16 }), '{ vae: "vae.pth", depth: 16 }');
 * assertEquals(shown(new Float32Array(3)), "Float32Array(3)");
 * assertEquals(shown(Promise.resolve(1)), "Promise");
 * ```
 */
export function shown(value: unknown): string {
  if (typeof value !== "object" || value === null) return showPrimitive(value);
  const kind = classOf(value);
  if (ArrayBuffer.isView(value) && "length" in value) return `${kind}(${value.length})`;
  if (Array.isArray(value)) {
    return `[${beginning(Array.from(value.slice(0, SHOWN_ITEMS), showItem), value.length)}]`;
  }
  if (kind !== "Object") return kind;
  const keys = Object.keys(value);
  const parts = keys.slice(0, SHOWN_ENTRIES).map((key) => `${showKey(key)}: ${showProperty(value, key)}`);
  return parts.length === 0 ? "{}" : `{ ${beginning(parts, keys.length)} }`;
}

function showKey(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? key : quoted(key);
}

/** A property as it stands there: reading one that is computed would run somebody's code within a message. */
function showProperty(value: object, key: string): string {
  const property = Object.getOwnPropertyDescriptor(value, key);
  return property !== undefined && "value" in property ? showItem(property.value) : "a computed value";
}

/** A value within another: what it holds itself stays closed. */
function showItem(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "[]" : "[…]";
  if (typeof value !== "object" || value === null) return showPrimitive(value);
  return classOf(value) === "Object" ? "{…}" : shown(value);
}

function showPrimitive(value: unknown): string {
  switch (typeof value) {
    case "string":
      return quoted(value);
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
      return `${value}n`;
    case "function":
      return value.name === "" ? "a function" : `function ${quoted(value.name).slice(1, -1)}`;
    case "symbol":
      return `Symbol(${quoted(value.description ?? "").slice(1, -1)})`;
    default:
      return String(value);
  }
}

function beginning(parts: readonly string[], count: number): string {
  const left = count - parts.length;
  return parts.join(", ") + (left > 0 ? `, … ${left} more` : "");
}

function classOf(value: object): string {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === null) return "Object";
  const name: unknown = prototype.constructor?.name;
  return typeof name === "string" && name !== "" ? name : "an object";
}

/**
 * A text in quotes, on one line and without marks that a terminal would obey.
 *
 * @example
 * ```ts
 * import { quoted } from "./arguments.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(quoted("red\\u001b[31m"), '"red\\\\u001b[31m"');
 * ```
 */
export function quoted(text: string): string {
  const kept = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  return JSON.stringify(kept).replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function requireThat<Value>(
  holds: boolean,
  value: Value,
  wanted: string,
  name: string,
  action: string,
): Value {
  if (holds) return value;
  throw new TypeError(mustBe(wanted, value, name, action));
}
