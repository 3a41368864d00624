/**
 * What a finished ONNX model file holds: its outline, where the weights outside it lie, and the same model
 * with half-precision weights that stay halves, or with files of their own for weights that lie far out.
 * Writing a graph is left to `graph_builder.ts`.
 *
 * @module
 */

import { BinaryReader, BinaryWriter } from "npm:@bufbuild/protobuf@2.17.0/wire";
import type { ElementType, ExternalWeight } from "../weights/weight_places.ts";
import {
  type Dimension,
  ELEMENT_TYPES,
  externalPlace,
  type GraphValue,
  tag,
  valueInfo,
} from "./graph_builder.ts";

/**
 * A model whose half-precision weights stay halves where it runs: each is declared as an input, too, whose
 * default the weight is, so the runtime cannot fold the cast behind it and casts in each run. Memory is
 * halved; a run reads and writes as many bytes more as the casts take, which matters where few rows meet many
 * weights.
 *
 * @throws {SyntaxError} If the bytes are no ONNX model.
 */
export function keepHalves(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  // A message that appears twice is merged by protobuf's rules, so what the graph gains is appended.
  const graph = new BinaryWriter();
  for (const [field, weight] of fields(graphOf(bytes))) {
    if (field !== 5 || !(weight instanceof Uint8Array)) continue;
    const found = new Map(fields(weight));
    if (found.get(2) !== ELEMENT_TYPES.float16) continue;
    const shape: number[] = [];
    const sizes = new BinaryReader(found.get(1) as Uint8Array);
    while (sizes.pos < sizes.len) shape.push(Number(sizes.int64()));
    graph.uint32(tag(11, 2)).bytes(valueInfo({ name: text(found.get(8)), type: "float16", shape }));
  }
  const model = new BinaryWriter().raw(bytes).uint32(tag(7, 2)).bytes(graph.finish());
  return new Uint8Array(model.finish());
}

/**
 * A model that gives one of its outputs as floats, too, whatever they are: the runtimes hand over nothing
 * else.
 *
 * @returns The model, and the name of the floats.
 * @throws {SyntaxError} If the bytes are no ONNX model.
 *
 * @example
 * ```ts
 * import { describeGraph, withFloats } from "./graph_file.ts";
 * import { GraphBuilder } from "./graph_builder.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = new GraphBuilder("two labels");
 * graph.output({ name: "labels", type: "int64", shape: [2] }, graph.constant("int64", [3, 7]));
 * const { model, name } = withFloats(graph.bytes(), "labels");
 * assertEquals(describeGraph(model).outputs.at(-1), { name, type: "float32", shape: [2] });
 * ```
 */
export function withFloats(
  bytes: Uint8Array,
  output: string,
): { readonly model: Uint8Array<ArrayBuffer>; readonly name: string } {
  const { shape = [] } = describeGraph(bytes).outputs.find(({ name }) => name === output) ?? {};
  const name = `${output} as floats`;
  const to = new BinaryWriter().uint32(tag(1, 2)).string("to").uint32(tag(3, 0)).int64(ELEMENT_TYPES.float32)
    .uint32(tag(20, 0)).int32(2).finish();
  const cast = new BinaryWriter().uint32(tag(1, 2)).string(output).uint32(tag(2, 2)).string(name)
    .uint32(tag(4, 2)).string("Cast").uint32(tag(5, 2)).bytes(to).finish();
  // As above: what the graph gains is appended.
  const graph = new BinaryWriter().uint32(tag(1, 2)).bytes(cast)
    .uint32(tag(12, 2)).bytes(valueInfo({ name, type: "float32", shape })).finish();
  const model = new BinaryWriter().raw(bytes).uint32(tag(7, 2)).bytes(graph);
  return { model: new Uint8Array(model.finish()), name };
}

/** A model whose halves have been widened, and what is to be widened for it. */
export interface WidenedModel {
  /** The model. */
  readonly model: Uint8Array;
  /** For each file that the model has in addition the halves whose floats it holds, by its name. */
  readonly files: ReadonlyMap<string, readonly ExternalRange[]>;
}

/**
 * A model that takes floats from a file where it had halves and casts behind them. Halves that are used
 * otherwise, too, or that {@linkcode keepHalves} keeps, stay what they are.
 *
 * @throws {SyntaxError} If the bytes are no ONNX model.
 */
export function widenHalves(bytes: Uint8Array): WidenedModel {
  const graph = fields(graphOf(bytes));
  const messages = graph.filter((field): field is [number, Uint8Array] => field[1] instanceof Uint8Array);
  const isHalf = ([field, value]: Field): boolean => field === 2 && value === ELEMENT_TYPES.float16;
  const halves = new Map(messages.flatMap(([field, weight]): [string, Uint8Array][] => {
    return field === 5 && fields(weight).some(isHalf) ? [[nameOf(weight, 8), weight]] : [];
  }));
  const casts = new Map<string, Uint8Array>();
  const kept = new Set<string>();
  for (const [field, node] of messages) {
    // An input whose default they are: they are to stay halves.
    if (field === 11) kept.add(nameOf(node, 1));
    if (field !== 1) continue;
    const inputs = fields(node).flatMap(([number, value]) => number === 1 ? [text(value)] : []);
    const isCast = nameOf(node, 4) === "Cast" && halves.has(inputs[0]!) && !casts.has(inputs[0]!);
    if (isCast) casts.set(inputs[0]!, node);
    else for (const input of inputs) kept.add(input);
  }
  const files = new Map<string, ExternalRange[]>();
  const gone = new Set<Uint8Array>();
  const floats = new BinaryWriter();
  for (const [name, cast] of casts) {
    const weight = halves.get(name)!;
    const range = rangeOf(weight);
    if (range === undefined || kept.has(name)) continue;
    const file = `${range.file} as floats`;
    const before = files.get(file) ?? [];
    const offset = before.reduce((sum, { length }) => sum + 2 * length, 0);
    files.set(file, [...before, range]);
    gone.add(weight).add(cast);
    const widened = new BinaryWriter();
    for (const part of fields(weight)) if (![2, 8, 13].includes(part[0])) writeField(widened, part);
    widened.uint32(tag(2, 0)).int32(ELEMENT_TYPES.float32).uint32(tag(8, 2)).string(nameOf(cast, 2));
    widened.raw(externalPlace({ file, offset, length: 2 * range.length }));
    floats.uint32(tag(5, 2)).bytes(widened.finish());
  }
  if (files.size === 0) return { model: bytes, files };
  for (const field of graph) if (!gone.has(field[1] as Uint8Array)) writeField(floats, field);
  return { model: withGraph(bytes, floats.finish()), files };
}

/** A model with another graph. */
function withGraph(bytes: Uint8Array, graph: Uint8Array): Uint8Array {
  const model = new BinaryWriter();
  for (const field of fields(bytes)) if (field[0] !== 7) writeField(model, field);
  return model.uint32(tag(7, 2)).bytes(graph).finish();
}

/** The first text in a field. */
function nameOf(message: Uint8Array, field: number): string {
  return text(fields(message).find(([number]) => number === field)?.[1]);
}

/**
 * Where the weights lie that are outside a model.
 *
 * @throws {SyntaxError} If the bytes are no ONNX model.
 */
export function externalRanges(bytes: Uint8Array): ExternalRange[] {
  return fields(graphOf(bytes)).flatMap(([field, weight]) => {
    const range = field === 5 && weight instanceof Uint8Array ? rangeOf(weight) : undefined;
    return range === undefined ? [] : [range];
  });
}

/** Where a weight lies. */
export type ExternalRange = Pick<ExternalWeight, "file" | "offset" | "length">;

/**
 * A model in which each weight that ends beyond `limit` bytes of its file has a file of its own, for a
 * runtime that counts bytes in 32 bits.
 *
 * @returns The model, and what the new files are by their names.
 * @throws {SyntaxError} If the bytes are no ONNX model.
 */
export function separateFarWeights(
  bytes: Uint8Array,
  limit: number,
): { model: Uint8Array; files: Map<string, ExternalRange> } {
  const files = new Map<string, ExternalRange>();
  const model = moveWeights(bytes, (range) => {
    if (range.offset + range.length <= limit) return range;
    const name = `${range.file} from ${range.offset}`;
    files.set(name, range);
    return { ...range, file: name, offset: 0 };
  });
  return { model, files };
}

/**
 * The same model with weights that lie elsewhere.
 *
 * @param placeOf Where the weight of a range lies; the range itself if it stays there.
 * @throws {SyntaxError} If the bytes are no ONNX model.
 */
export function moveWeights(
  bytes: Uint8Array,
  placeOf: (range: ExternalRange) => ExternalRange,
): Uint8Array {
  const graph = new BinaryWriter();
  let moved = false;
  for (const [field, value] of fields(graphOf(bytes))) {
    const range = field === 5 && value instanceof Uint8Array ? rangeOf(value) : undefined;
    const place = range === undefined ? undefined : placeOf(range);
    if (place === range || place === undefined) {
      writeField(graph, [field, value]);
      continue;
    }
    moved = true;
    const weight = new BinaryWriter();
    for (const part of fields(value as Uint8Array)) if (part[0] !== 13) writeField(weight, part);
    weight.raw(externalPlace(place));
    graph.uint32(tag(5, 2)).bytes(weight.finish());
  }
  return moved ? withGraph(bytes, graph.finish()) : bytes;
}

function writeField(writer: BinaryWriter, [field, value]: Field): void {
  if (value instanceof Uint8Array) writer.uint32(tag(field, 2)).bytes(value);
  else writer.uint32(tag(field, 0)).int64(value);
}

function rangeOf(weight: Uint8Array): ExternalRange | undefined {
  const entries = fields(weight).filter(([number]) => number === 13);
  const place = Object.fromEntries(
    entries.map(([, entry]) => fields(entry as Uint8Array).map(([, value]) => text(value as Uint8Array))),
  );
  if (place.location === undefined) return undefined;
  return { file: place.location, offset: Number(place.offset), length: Number(place.length) };
}

/** What {@linkcode describeGraph} finds in a model file. */
export interface GraphDescription {
  /** Name of the graph. */
  name: string;
  /** Number of nodes per operator, in order of first use. */
  operators: Record<string, number>;
  /** Inputs that are fed. */
  inputs: GraphValue[];
  /** Outputs that can be fetched. */
  outputs: GraphValue[];
}

/**
 * Reads the outline of an ONNX model: its inputs, outputs and operators.
 *
 * @throws {SyntaxError} If the bytes are no ONNX model.
 *
 * @example
 * ```ts
 * import { describeGraph } from "./graph_file.ts";
 * import { DEMO_MODEL } from "../load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { outputs } = describeGraph(await Deno.readFile(new URL("decoder.onnx", DEMO_MODEL)));
 * assertEquals(outputs, [{ name: "image", type: "float32", shape: ["images", 3, "height", "width"] }]);
 * ```
 */
export function describeGraph(bytes: Uint8Array): GraphDescription {
  const description: GraphDescription = { name: "", operators: {}, inputs: [], outputs: [] };
  const graph = graphOf(bytes);
  try {
    for (const [field, value] of fields(graph)) {
      if (!(value instanceof Uint8Array)) continue;
      if (field === 1) {
        const operator = text(fields(value).find(([f]) => f === 4)?.[1]);
        description.operators[operator] = (description.operators[operator] ?? 0) + 1;
      } else if (field === 2) description.name = text(value);
      else if (field === 11) description.inputs.push(readValueInfo(value));
      else if (field === 12) description.outputs.push(readValueInfo(value));
    }
  } catch (cause) {
    throw new SyntaxError("Cannot read the ONNX model", { cause });
  }
  return description;
}

/** The graph of a model; one that is there in pieces is whole when they are put together. */
function graphOf(bytes: Uint8Array): Uint8Array {
  try {
    const pieces = fields(bytes).flatMap(([field, value]) => {
      return field === 7 && value instanceof Uint8Array ? [value] : [];
    });
    if (pieces.length === 0) throw new SyntaxError("No graph found");
    return pieces.reduce((graph, piece) => new BinaryWriter().raw(graph).raw(piece).finish());
  } catch (cause) {
    throw new SyntaxError("Cannot read the ONNX model", { cause });
  }
}

type Field = [field: number, value: Uint8Array | number];

function fields(bytes: Uint8Array): Field[] {
  const reader = new BinaryReader(bytes);
  const found: Field[] = [];
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (wire === 2) found.push([field, reader.bytes()]);
    else if (wire === 0) found.push([field, Number(reader.int64())]);
    else reader.skip(wire, field);
  }
  return found;
}

function text(value: Uint8Array | number | undefined): string {
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : "";
}

function readValueInfo(bytes: Uint8Array): GraphValue {
  const child = (parent: Uint8Array, field: number): Uint8Array => {
    const value = fields(parent).find(([f]) => f === field)?.[1];
    return value instanceof Uint8Array ? value : new Uint8Array();
  };
  const tensor = child(child(bytes, 2), 1);
  const number = fields(tensor).find(([field]) => field === 1)?.[1];
  const type = Object.entries(ELEMENT_TYPES).find(([, n]) => n === number)?.[0] ?? String(number);
  const shape = fields(child(tensor, 2)).map(([, dimension]): Dimension => {
    const [field, value] = fields(dimension as Uint8Array)[0] ?? [2, new Uint8Array()];
    return field === 1 ? value as number : text(value);
  });
  return { name: text(child(bytes, 1)), type: type as ElementType, shape };
}
