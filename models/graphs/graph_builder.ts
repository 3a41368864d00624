/**
 * A small writer of ONNX graphs: nodes are added in order, each returns the name of its result, weights stay
 * outside the model in a safetensors file that the graph refers to by offset. Only what visual autoregressive
 * models need; the bytes are written by the wire format of protobuf
 * (https://onnx.ai/onnx/intro/concepts.html, field numbers of onnx.proto3).
 *
 * @module
 */

import { BinaryWriter } from "npm:@bufbuild/protobuf@2.17.0/wire";
import type { ElementType, ExternalWeight } from "../weights/weight_places.ts";

/** ONNX operator set of the standard domain; 17 brought LayerNormalization. */
const OPSET = 17;
/** ONNX file format version that goes with {@linkcode OPSET}. */
const IR_VERSION = 8;
/** The domain of ONNX Runtime's own operators. */
export const MICROSOFT = "com.microsoft";

/** Element types with their numbers in `TensorProto.DataType`. */
export const ELEMENT_TYPES: Readonly<Record<ElementType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int64: 7,
  float16: 10,
};

/** A dimension: a fixed size, or the name of one that is known when the graph runs. */
export type Dimension = number | string;

/** An attribute of a node: integer, float (wrapped, since `1` is both), text, or a list of integers. */
export type Attribute = number | string | readonly number[] | { readonly float: number };

/** An input or output of a graph. */
export interface GraphValue {
  /** Name under which it is fed or fetched. */
  readonly name: string;
  /** Element type. */
  readonly type: ElementType;
  /** Shape. */
  readonly shape: readonly Dimension[];
}

/**
 * Builds one graph.
 *
 * @example Doubling a vector
 * ```ts
 * import { GraphBuilder } from "./graph_builder.ts";
 * import { describeGraph } from "./graph_file.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = new GraphBuilder("double");
 * const x = graph.input({ name: "x", type: "float32", shape: ["n"] });
 * graph.output({ name: "y", type: "float32", shape: ["n"] }, graph.add("Add", [x, x]));
 * assertEquals(describeGraph(graph.bytes()).inputs, [{ name: "x", type: "float32", shape: ["n"] }]);
 * ```
 */
export class GraphBuilder {
  readonly #name: string;
  /**
   * What is computed from weights and inputs alone comes before all other nodes: ONNX Runtime orders nodes
   * from the outputs back and, of a node's inputs, follows the one of the latest node first, so it casts each
   * weight right before its use and not all of them at the start.
   */
  #first: Uint8Array[] = [];
  #nodes: Uint8Array[] = [];
  /** Groups of nodes that end in outputs, the latest group first, behind all other nodes. */
  #soon: Uint8Array[][] = [];
  #weights: Uint8Array[] = [];
  #inputs: GraphValue[] = [];
  #outputs: GraphValue[] = [];
  #sized: GraphValue[] = [];
  #known = new Map<string, string>();
  #count = 0;

  /** @param name Name of the graph, for tools that show it. */
  constructor(name: string) {
    this.#name = name;
  }

  /** Declares an input and returns its name. */
  input(value: GraphValue): string {
    this.#inputs.push(value);
    return value.name;
  }

  /** Declares that `result` is an output, under the name of `value`. */
  output(value: GraphValue, result: string): void {
    this.#nodes.push(this.#node("Identity", [result], [value.name], {}, ""));
    this.#outputs.push(value);
  }

  /**
   * Adds a node and returns the name of its first result.
   *
   * @param operator ONNX operator; a prefix `com.microsoft.` selects ONNX Runtime's domain.
   * @param inputs Names of its inputs; an empty name leaves an optional one out.
   */
  add(operator: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    return this.addMany(operator, inputs, 1, attributes)[0]!;
  }

  /** Adds a node with several results and returns their names. */
  addMany(
    operator: string,
    inputs: readonly string[],
    results: number,
    attributes: Record<string, Attribute> = {},
  ): string[] {
    const domain = operator.startsWith(`${MICROSOFT}.`) ? MICROSOFT : "";
    const type = domain === "" ? operator : operator.slice(MICROSOFT.length + 1);
    const names = Array.from({ length: results }, () => `${type}_${this.#count++}`);
    this.#nodes.push(this.#node(type, inputs, names, attributes, domain));
    return names;
  }

  /**
   * Tells how large a value is, of which the runtime knows only that from the nodes before. Values whose
   * dimensions have the same names share memory, and each value of unknown size is compared with all values
   * behind it when the runtime plans that: of the bundled decoder's 583 nodes loading takes 15 instead of 40
   * ms then, of a published one's 3000 by Winograd's algorithm 0.09 instead of 0.5 s.
   *
   * @param shape Its dimensions, or nothing where they have no names.
   * @returns The value.
   */
  sized(value: string, shape: readonly (number | string)[] | undefined): string {
    if (shape !== undefined) this.#sized.push({ name: value, type: "float32", shape });
    return value;
  }

  /**
   * A weight outside the model. Half-precision ones are followed by a cast, which the runtime folds when it
   * loads the graph, unless {@linkcode keepHalves} forbids it.
   */
  weight(name: string, place: ExternalWeight): string {
    return this.#once(`weight ${name}`, () => {
      const writer = new BinaryWriter();
      writer.uint32(tag(1, 2)).fork();
      for (const size of place.shape) writer.int64(size);
      writer.join().uint32(tag(2, 0)).int32(ELEMENT_TYPES[place.type]).uint32(tag(8, 2)).string(name);
      writer.raw(externalPlace(place));
      this.#weights.push(writer.uint32(tag(14, 0)).int32(1).finish());
      if (place.type !== "float16") return name;
      return this.addFirst("Cast", name, { to: ELEMENT_TYPES.float32 });
    });
  }

  /** A constant inside the model. */
  constant(
    type: "float32" | "int64" | "uint8",
    values: readonly number[],
    shape: readonly number[] = [values.length],
  ): string {
    return this.#once(`constant ${type} ${shape} ${values}`, () => {
      const name = `constant_${this.#count++}`;
      const raw = type === "float32"
        ? new Float32Array(values)
        : type === "uint8"
        ? new Uint8Array(values)
        : new BigInt64Array(values.map(BigInt));
      const writer = new BinaryWriter();
      writer.uint32(tag(1, 2)).fork();
      for (const size of shape) writer.int64(size);
      writer.join().uint32(tag(2, 0)).int32(ELEMENT_TYPES[type]).uint32(tag(8, 2)).string(name);
      this.#weights.push(writer.uint32(tag(9, 2)).bytes(new Uint8Array(raw.buffer)).finish());
      return name;
    });
  }

  /** Reshapes; 0 keeps a dimension, -1 takes the rest. */
  reshape(x: string, shape: readonly number[]): string {
    return this.add("Reshape", [x, this.constant("int64", shape)]);
  }

  /** Splits a value into equal parts along an axis. */
  split(x: string, parts: number, axis: number): string[] {
    return this.addMany("Split", [x], parts, { axis });
  }

  /**
   * Adds a node whose input is one of the graph's, or was added so, and returns the name of its result. It is
   * run right before the result is used, so that where there are many of them only a few results are alive.
   */
  addFirst(operator: string, input: string, attributes: Record<string, Attribute> = {}): string {
    const name = `${operator}_${this.#count++}`;
    this.#first.push(this.#node(operator, [input], [name], attributes, ""));
    return name;
  }

  /**
   * Adds nodes that end in outputs, to be run before whatever else is made of their inputs. ONNX Runtime
   * begins with the latest node that ends in an output, so those of other outputs would be run after all
   * layers, and what they are made of would be kept until then.
   */
  soon(add: () => void): void {
    const others = this.#nodes;
    this.#nodes = [];
    add();
    this.#soon.unshift(this.#nodes);
    this.#nodes = others;
  }

  /** The serialised model. */
  bytes(): Uint8Array<ArrayBuffer> {
    const graph = new BinaryWriter();
    for (const node of [...this.#first, ...this.#nodes, ...this.#soon.flat()]) {
      graph.uint32(tag(1, 2)).bytes(node);
    }
    graph.uint32(tag(2, 2)).string(this.#name);
    for (const weight of this.#weights) graph.uint32(tag(5, 2)).bytes(weight);
    for (const value of this.#inputs) graph.uint32(tag(11, 2)).bytes(valueInfo(value));
    for (const value of this.#outputs) graph.uint32(tag(12, 2)).bytes(valueInfo(value));
    for (const value of this.#sized) graph.uint32(tag(13, 2)).bytes(valueInfo(value));
    const model = new BinaryWriter();
    model.uint32(tag(1, 0)).int64(IR_VERSION).uint32(tag(2, 2)).string("varscale");
    model.uint32(tag(7, 2)).bytes(graph.finish());
    for (const [domain, version] of [["", OPSET], [MICROSOFT, 1]] as const) {
      model.uint32(tag(8, 2)).fork();
      if (domain !== "") model.uint32(tag(1, 2)).string(domain);
      model.uint32(tag(2, 0)).int64(version).join();
    }
    return new Uint8Array(model.finish());
  }

  #once(key: string, make: () => string): string {
    let name = this.#known.get(key);
    if (name === undefined) this.#known.set(key, name = make());
    return name;
  }

  #node(
    type: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Record<string, Attribute>,
    domain: string,
  ): Uint8Array {
    const writer = new BinaryWriter();
    for (const name of inputs) writer.uint32(tag(1, 2)).string(name);
    for (const name of outputs) writer.uint32(tag(2, 2)).string(name);
    writer.uint32(tag(3, 2)).string(`${type}_${this.#count++}`).uint32(tag(4, 2)).string(type);
    for (const [name, value] of Object.entries(attributes)) {
      writer.uint32(tag(5, 2)).fork().uint32(tag(1, 2)).string(name);
      if (typeof value === "number") writer.uint32(tag(3, 0)).int64(value).uint32(tag(20, 0)).int32(2);
      else if (typeof value === "string") {
        writer.uint32(tag(4, 2)).string(value).uint32(tag(20, 0)).int32(3);
      } else if ("float" in value) writer.uint32(tag(2, 5)).float(value.float).uint32(tag(20, 0)).int32(1);
      else {
        for (const item of value) writer.uint32(tag(8, 0)).int64(item);
        writer.uint32(tag(20, 0)).int32(7);
      }
      writer.join();
    }
    if (domain !== "") writer.uint32(tag(7, 2)).string(domain);
    return writer.finish();
  }
}

/** A protobuf tag: field number and wire type (0 varint, 2 length-delimited, 5 four bytes). */
export function tag(field: number, wire: 0 | 2 | 5): number {
  return field << 3 | wire;
}

/** The fields of a `TensorProto` that say where its bytes lie. */
export function externalPlace(
  { file, offset, length }: Pick<ExternalWeight, "file" | "offset" | "length">,
): Uint8Array {
  const writer = new BinaryWriter();
  for (const [key, value] of Object.entries({ location: file, offset, length })) {
    writer.uint32(tag(13, 2)).fork().uint32(tag(1, 2)).string(key);
    writer.uint32(tag(2, 2)).string(String(value)).join();
  }
  return writer.finish();
}

/** An input, output or default as `ValueInfoProto`. */
export function valueInfo(value: GraphValue): Uint8Array {
  const writer = new BinaryWriter();
  writer.uint32(tag(1, 2)).string(value.name).uint32(tag(2, 2)).fork().uint32(tag(1, 2)).fork();
  writer.uint32(tag(1, 0)).int32(ELEMENT_TYPES[value.type]).uint32(tag(2, 2)).fork();
  for (const size of value.shape) {
    writer.uint32(tag(1, 2)).fork();
    if (typeof size === "number") writer.uint32(tag(1, 0)).int64(size);
    else writer.uint32(tag(2, 2)).string(size);
    writer.join();
  }
  return writer.join().join().join().finish();
}
