/**
 * A model folder that is stored nowhere: its graphs are in memory, and its weights are produced when they are
 * read. So a checkpoint can be used as a model without a second copy of it on disk or in memory.
 *
 * @module
 */

import type { SafetensorsEntry } from "../checkpoint/safetensors.ts";
import { type ByteSource, openSource, sha256 } from "../checkpoint/source.ts";
import { VirtualSource } from "../checkpoint/virtual_source.ts";
import {
  type FileRecord,
  MANIFEST,
  type ModelFolder,
  type ModelManifest,
  modelManifest,
} from "./model_folder.ts";
import type { FolderWriter } from "./folder_writer.ts";
import { ModelFileError } from "../model_file_error.ts";
import {
  openWeightFiles,
  type PlannedFile,
  planWeightFiles,
  type WeightFiles,
  weightPlaces,
} from "../weights/weight_files.ts";

/** Options of {@linkcode createVirtualFolder}. */
export interface VirtualFolderOptions {
  /** Finds out what tells the model from others; nothing by default. Asked once, when somebody wants it. */
  fingerprints?: () => Readonly<Record<string, string>>;
  /** A folder that has the files which nobody writes here; it stays the caller's and open. */
  beside?: ModelFolder;
  /** Ends the making of the folder and every later reading. */
  signal?: AbortSignal | undefined;
}

/**
 * Starts a virtual model folder. What is handed to `own` stays open until the finished folder is disposed.
 *
 * @param location What messages call it.
 *
 * @example
 * ```ts
 * import { createVirtualFolder } from "./virtual_folder.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const facts = { family: "var", dtype: "f32", config: {}, classNames: [], tuning: {} } as const;
 * await using writer = createVirtualFolder("in memory");
 * const bytes = () => new Uint8Array(new Float32Array([1, 2]).buffer);
 * await writer.writeTensors("decoder", [{ name: "bias", dtype: "F32", shape: [2], bytes }]);
 * using folder = await writer.finish({ ...facts, name: "small" });
 * const weights = await folder.weights("decoder");
 * assertEquals(weights.tensors.get("bias")?.shape, [2]);
 * weights[Symbol.dispose]();
 * ```
 */
export function createVirtualFolder(location: string, options: VirtualFolderOptions = {}): FolderWriter {
  const { fingerprints = () => ({}), beside, signal } = options;
  const owned = new DisposableStack();
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const records: Record<string, FileRecord> = {};
  const parts = new Map<string, PlannedFile[]>();
  return {
    own: (resource) => owned.use(resource),
    async write(name, bytes) {
      files.set(name, bytes);
      records[name] = { bytes: bytes.length, sha256: await sha256(bytes) };
    },
    writeTensors(part, entries: Iterable<SafetensorsEntry>) {
      const plans = planWeightFiles(part, entries);
      parts.set(part, plans);
      return Promise.resolve(weightPlaces(plans));
    },
    finish(facts) {
      return Promise.try(() => {
        signal?.throwIfAborted();
        const open = { fingerprints, files, parts, beside, signal, owned: owned.move() };
        return new VirtualFolder(location, modelManifest(facts, records), open);
      });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(owned.dispose()),
  };
}

interface VirtualFolderParts {
  readonly fingerprints: () => Readonly<Record<string, string>>;
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  readonly parts: ReadonlyMap<string, readonly PlannedFile[]>;
  readonly beside: ModelFolder | undefined;
  readonly signal: AbortSignal | undefined;
  readonly owned: Disposable;
}

class VirtualFolder implements ModelFolder {
  readonly location: string;
  readonly manifest: ModelManifest;
  readonly #parts: VirtualFolderParts;
  #fingerprints: Readonly<Record<string, string>> | undefined;

  constructor(location: string, manifest: ModelManifest, parts: VirtualFolderParts) {
    this.location = location;
    this.manifest = manifest;
    this.#parts = parts;
  }

  get fingerprints(): Readonly<Record<string, string>> {
    return this.#fingerprints ??= this.#parts.fingerprints();
  }

  has(name: string): boolean {
    const { files, parts, beside } = this.#parts;
    const plans = [...parts.values()].flat();
    return files.has(name) || plans.some((plan) => plan.name === name) || (beside?.has(name) ?? false);
  }

  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    using source = await this.open(name);
    return await source.read(0, source.size);
  }

  async open(name: string): Promise<ByteSource> {
    const { files, parts, beside, signal } = this.#parts;
    const label = `${this.location}/${name}`;
    const bytes = files.get(name);
    if (bytes !== undefined) return await openSource(bytes, { label, signal });
    const plans = [...parts.values()].flat();
    const plan = plans.find((candidate) => candidate.name === name);
    if (plan !== undefined) return new VirtualSource(label, plan.layout, signal);
    if (beside?.has(name)) return await beside.open(name);
    throw new ModelFileError("Cannot find a file in the model's list", {
      file: `${this.location}/${MANIFEST}`,
      expected: `"${name}"`,
      found: [...files.keys(), ...plans.map((known) => known.name)].map((known) => `"${known}"`).join(", "),
    });
  }

  hasWeights(part: string): boolean {
    return this.#parts.parts.has(part);
  }

  async weights(part: string): Promise<WeightFiles> {
    const names = this.#parts.parts.get(part)?.map(({ name }) => name) ?? [`${part}.safetensors`];
    const files = await Promise.all(names.map(async (path) => ({ path, source: await this.open(path) })));
    return await openWeightFiles(`${this.location}/${part}`, files);
  }

  async tensors(part: string): Promise<WeightFiles["tensors"]> {
    using weights = await this.weights(part);
    return weights.tensors;
  }

  [Symbol.dispose](): void {
    this.#parts.owned[Symbol.dispose]();
  }
}
