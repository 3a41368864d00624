/**
 * Where the bytes of weights lie that stay outside the graphs that read them. Who writes the files, and what
 * a graph does with a weight, is left to others.
 *
 * @module
 */

/** Name of an element type. */
export type ElementType = "float32" | "uint8" | "int8" | "int64" | "float16";

/** Where the bytes of a weight lie. */
export interface ExternalWeight {
  /** File name, relative to the graph's. */
  readonly file: string;
  /** First byte. */
  readonly offset: number;
  /** Number of bytes. */
  readonly length: number;
  /** How the bytes are to be read. */
  readonly type: ElementType;
  /** Shape of the tensor. */
  readonly shape: readonly number[];
}

/** Tells where the bytes of a tensor lie. */
export type WeightPlaces = (name: string) => ExternalWeight;
