/**
 * WebAssembly's text format to its binary format, as far as the loops of this folder need it: one memory, and
 * functions without results that are all exported, of locals, loops, and folded instructions on words and
 * vectors. What the functions do is in `pairs_text.ts`.
 *
 * @module
 */

/** A word or a list of the text. */
type Item = string | readonly Item[];

/** What stands between the name of an instruction and its operands. */
type Immediate = "local" | "label" | "i32" | "word" | "double" | "quad" | "vector" | "lane" | "lanes";

const TYPES: Readonly<Record<string, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b };
const FUNCTION = 0x60;
const NO_RESULT = 0x40;
const LOOP = 0x03;
const END = 0x0b;
/** Vector instructions have a second number behind this one. */
const VECTOR = 0xfd;

/** The powers of two that addresses are said to be multiples of, which is a hint. */
const ALIGNMENTS = { word: 2, double: 3, quad: 4 };

/** Instructions by name: their number, and from `VECTOR * 256` on both. */
const INSTRUCTIONS: Readonly<Record<string, readonly [code: number, immediate?: Immediate]>> = {
  "br_if": [0x0d, "label"],
  "local.get": [0x20, "local"],
  "local.set": [0x21, "local"],
  "local.tee": [0x22, "local"],
  "f32.load": [0x2a, "word"],
  "f64.load": [0x2b, "double"],
  "f32.store": [0x38, "word"],
  "f64.store": [0x39, "double"],
  "i32.const": [0x41, "i32"],
  "i32.lt_u": [0x49],
  "i32.add": [0x6a],
  "i32.mul": [0x6c],
  "i32.shl": [0x74],
  "f32.add": [0x92],
  "f64.sub": [0xa1],
  "f64.mul": [0xa2],
  "f64.promote_f32": [0xbb],
  "v128.load": [VECTOR * 256 + 0, "quad"],
  "v128.load32_splat": [VECTOR * 256 + 9, "word"],
  "v128.store": [VECTOR * 256 + 11, "quad"],
  "v128.const": [VECTOR * 256 + 12, "vector"],
  "i8x16.shuffle": [VECTOR * 256 + 13, "lanes"],
  "f32x4.splat": [VECTOR * 256 + 19],
  "f32x4.extract_lane": [VECTOR * 256 + 31, "lane"],
  "f32x4.ceil": [VECTOR * 256 + 103],
  "i32x4.shl": [VECTOR * 256 + 171],
  "i32x4.add": [VECTOR * 256 + 174],
  "f32x4.sqrt": [VECTOR * 256 + 227],
  "f32x4.add": [VECTOR * 256 + 228],
  "f32x4.sub": [VECTOR * 256 + 229],
  "f32x4.mul": [VECTOR * 256 + 230],
  "f32x4.max": [VECTOR * 256 + 233],
  "f32x4.pmax": [VECTOR * 256 + 235],
  "f64x2.add": [VECTOR * 256 + 240],
  "f64x2.mul": [VECTOR * 256 + 242],
};

/**
 * The bytes of `(module (memory (export "…") pages) (func (export "…") (param …) (local …) …) …)`.
 *
 * @throws {SyntaxError} If a list is not closed, or a name is unknown.
 *
 * @example
 * ```ts
 * import { assemble } from "./assemble.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = assemble(`(module
 *   (memory (export "memory") 1)
 *   (func (export "add") (param $at i32) (param $x f32) ;; to the word at $at
 *     (f32.store (local.get $at) (f32.add (f32.load (local.get $at)) (local.get $x)))))`);
 * const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
 * const words = new Float32Array((exports.memory as WebAssembly.Memory).buffer);
 * (exports.add as (at: number, x: number) => void)(4, 1.5);
 * assertEquals([...words.subarray(0, 2)], [0, 1.5]);
 * ```
 */
export function assemble(text: string): Uint8Array<ArrayBuffer> {
  const [, ...fields] = parse(text);
  const memory = fields.filter(([name]) => name === "memory")[0]!;
  const functions = fields.filter(([name]) => name === "func").map(readFunction);
  const exports = [
    [...string(exported(memory)), 2, 0],
    ...functions.map(({ name }, i) => [...string(name), 0, ...unsigned(i)]),
  ];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, functions.map(({ parameters }) => [FUNCTION, ...vector(parameters), 0])),
    ...section(3, functions.map((_, i) => unsigned(i))),
    ...section(5, [[0, ...unsigned(Number(memory[2]))]]),
    ...section(7, exports),
    ...section(10, functions.map(({ body }) => [...unsigned(body.length), ...body])),
  ]);
}

/** The outermost list. */
function parse(text: string): readonly (readonly Item[])[] {
  const lists: Item[][] = [[]];
  for (const [token] of text.replaceAll(/;;.*/g, "").matchAll(/[()]|[^\s()]+/g)) {
    if (token === "(") lists.push([]);
    else if (token !== ")") lists.at(-1)!.push(token);
    else {
      const list = lists.pop()!;
      lists.at(-1)?.push(list);
    }
  }
  if (lists.length !== 1) throw new SyntaxError("Cannot assemble the text as its lists must be closed");
  return lists[0]![0] as readonly (readonly Item[])[];
}

function exported(field: readonly Item[]): string {
  return ((field[1] as readonly Item[])[1] as string).slice(1, -1);
}

/** A function, from `(func (export "…") …)`. */
function readFunction(field: readonly Item[]): { name: string; parameters: number[][]; body: number[] } {
  const names = new Map<Item, number>();
  const declared = (kind: string): number[][] =>
    field.slice(2).filter((item) => item[0] === kind).map(([, name, type]) => {
      names.set(name!, names.size);
      return [known(TYPES, type as string)];
    });
  const parameters = declared("param");
  const locals = declared("local").map((type) => [1, ...type]);
  const code = field.slice(2 + names.size) as readonly (readonly Item[])[];
  const body = [...vector(locals), ...code.flatMap((item) => instruction(item, { names, labels: [] })), END];
  return { name: exported(field), parameters, body };
}

interface Scope {
  readonly names: ReadonlyMap<Item, number>;
  /** Of the loops around, the innermost first. */
  readonly labels: readonly Item[];
}

/** An instruction behind its operands. */
function instruction([name, ...items]: readonly Item[], scope: Scope): number[] {
  const { names, labels } = scope;
  if (name === "loop") {
    const inside = { names, labels: [items[0]!, ...labels] };
    const body = items.slice(1).flatMap((item) => instruction(item as readonly Item[], inside));
    return [LOOP, NO_RESULT, ...body, END];
  }
  const [code, immediate] = known(INSTRUCTIONS, name as string);
  const operands = items.filter((item) => typeof item !== "string");
  const words = items.filter((item) => typeof item === "string");
  const number = code < 256 ? [code] : [VECTOR, ...unsigned(code - VECTOR * 256)];
  return [
    ...operands.flatMap((operand) => instruction(operand, scope)),
    ...number,
    ...encoded(immediate, words, {
      local: (word) => names.get(word) ?? -1,
      label: (word) => labels.indexOf(word),
    }),
  ];
}

function encoded(
  immediate: Immediate | undefined,
  words: readonly string[],
  index: Record<"local" | "label", (word: string) => number>,
): number[] {
  switch (immediate) {
    case "local":
    case "label": {
      const found = index[immediate](words[0]!);
      if (found < 0) throw new SyntaxError(`Cannot assemble the text as ${words[0]} is unknown`);
      return unsigned(found);
    }
    case "i32":
      return signed(Number(words[0]));
    case "word":
    case "double":
    case "quad": {
      const offset = words[0]?.replace("offset=", "") ?? "0";
      return [ALIGNMENTS[immediate], ...unsigned(Number(offset))];
    }
    case "vector": {
      const values = words.slice(1).map(Number);
      const four = words[0] === "f32x4" ? Float32Array.from(values) : Int32Array.from(values);
      return [...new Uint8Array(four.buffer)];
    }
    case "lane":
    case "lanes":
      return words.map(Number);
    default:
      return [];
  }
}

function known<Value>(table: Readonly<Record<string, Value>>, name: string): Value {
  const value = table[name];
  if (value === undefined) throw new SyntaxError(`Cannot assemble the text as "${name}" is unknown`);
  return value;
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  const content = vector(items);
  return [id, ...unsigned(content.length), ...content];
}

/** Things with their number in front. */
function vector(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function string(text: string): number[] {
  return [...unsigned(text.length), ...new TextEncoder().encode(text)];
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [value % 128 + 128, ...unsigned(Math.floor(value / 128))];
}

function signed(value: number): number[] {
  return value >= -64 && value < 64 ? [value & 127] : [value & 127 | 128, ...signed(value >> 7)];
}
