/**
 * Checkpoints of the other family: one matrix each, of numbers that a formula gives; and the dictionary, with
 * what lies beside it.
 *
 * @module
 */

import { writeSafetensors } from "../../models/checkpoint/mod.ts";
import { writeCheckpoint, writeShards } from "../models/checkpoint_files.ts";
import { BITS } from "./mosaic.ts";

/** A safetensors file of one matrix. */
export async function checkpoint(
  name: string,
  shape: readonly [number, number],
  seed: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const values = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.sin((i + 1) * seed));
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const file = new Response(readable).bytes();
  const bytes = (): Promise<Uint8Array> => Promise.resolve(new Uint8Array(values.buffer));
  await writeSafetensors(writable, [{ name, dtype: "F32", shape, bytes }]);
  return await file;
}

/** The words of the dictionary. */
export const WORDS = ["cat", "dog", "ships"];

/** The dictionary as one file, or as a folder of shards of either kind. */
export type DictionaryForm = "words.safetensors" | "model.safetensors" | "pytorch_model.bin";

/** What is odd about a dictionary. */
export interface DictionaryOptions {
  /** The list of words. */
  words?: readonly string[];
  /** Rows of the matrix. */
  rows?: number;
  /** Words that the notes tell of; there may be no notes. */
  noted?: number | "nothing";
}

/**
 * Writes a dictionary, the list of its words and notes. Beside the words are rhymes that nobody uses.
 *
 * @returns The name of the file in the folder, or of the index of its shards.
 */
export async function writeDictionary(
  folder: string,
  form: DictionaryForm,
  { words = WORDS, rows = words.length, noted = rows }: DictionaryOptions = {},
): Promise<string> {
  const tensors = ["rhymes.0", "words.weight", "rhymes.1"].map((name) => {
    const shape = [name === "words.weight" ? rows : 2, BITS];
    const values = Float32Array.from({ length: shape[0]! * BITS }, (_, i) => Math.sin((i + 1) * 37.719));
    return { name, shape, values };
  });
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(`${folder}/words.json`, JSON.stringify(words));
  if (noted !== "nothing") {
    await Deno.writeTextFile(`${folder}/notes.json`, JSON.stringify({ count: noted }));
  }
  const [base, format] = form.split(".") as [string, string];
  if (base === "words") {
    await writeCheckpoint(`${folder}/${form}`, tensors);
    return form;
  }
  const shards = [1, 2].map((i) => `${base}-0000${i}-of-00002.${format}`);
  const index = `${form}.index.json`;
  await writeShards(folder, tensors, { shards, index });
  return index;
}
