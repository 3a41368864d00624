/**
 * The model folder: `model.json`, which says what the model is and lists every other file with its size and SHA-256; ONNX graphs; and
 * their weights as safetensors. A folder lies on disk, on a web server, or in memory; what is in the files is left to the families.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { pathToFileURL } from "node:url";
import { openSafetensors, type SafetensorsEntry, writeSafetensors } from "./checkpoint/safetensors.ts";
import { openSource } from "./checkpoint/source.ts";
import { openCheckpoint } from "./checkpoint/mod.ts";
import { type Dtype, DTYPES } from "./dtype.ts";
import type { ExternalFile } from "./graph_session.ts";
import { ModelFileError } from "./model_file_error.ts";
import type { ElementType, WeightPlaces } from "./onnx.ts";

/** Name of the file that describes a folder. */
export const MANIFEST = "model.json";
/** Version of the layout; a folder of another version is refused. */
export const FOLDER_VERSION = 2;

/** Size and checksum of a file in a model folder. */
export interface FileRecord {
  /** Size in bytes. */
  readonly bytes: number;
  /** SHA-256 in hexadecimal. */
  readonly sha256: string;
}

/** Content of `model.json`. */
export interface ModelManifest {
  /** Marks the file as ours. */
  readonly format: "varscale-model";
  /** Version of the layout. */
  readonly version: number;
  /** Model family, for example `"var"`. */
  readonly family: string;
  /** Name for people. */
  readonly name: string;
  /** How large weights are stored. */
  readonly dtype: Dtype;
  /** Sizes of the model, as its family defines them. */
  readonly config: unknown;
  /** Names of the classes in order, or none. */
  readonly classNames: readonly string[];
  /** Search settings that suit the model, where somebody has found some. */
  readonly tuning?: ModelTuning;
  /** Every other file. */
  readonly files: Readonly<Record<string, FileRecord>>;
}

/** Search settings that depend on a model's codebook and on how sure its logits are. */
export interface ModelTuning {
  /** VAR-Scaling's α at scale 1 with 50 candidates. */
  readonly alpha?: number;
  /** VAR-Scaling's conflict threshold: a distance in codebook units. */
  readonly conflictThreshold?: number;
}

/** Reads the files of one model folder. */
export interface ModelFolder {
  /** Path or URL, for messages. */
  readonly location: string;
  /** What the folder holds. */
  readonly manifest: ModelManifest;
  /**
   * Reads a file and checks its size and checksum.
   *
   * @throws {ModelFileError} If it is missing or not what the manifest says.
   */
  read(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Opens the weights of one part of the model, `transformer` for example: the safetensors file of that name or the numbered files it has
   * been split into.
   *
   * @throws {ModelFileError} If there are none, or they are not what the manifest says.
   */
  weights(part: string): Promise<WeightFiles>;
}

/** Weights of one part of a model, read when they are asked for. */
export interface WeightFiles extends Disposable {
  /** The files, as a graph session takes them. */
  readonly files: readonly ExternalFile[];
  /**
   * Reads a tensor as f32.
   *
   * @throws {ModelFileError} If there is no such tensor.
   */
  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>>;
}

/** Everything a new folder is told, its files' sizes and checksums apart. */
export type ManifestFacts = Omit<ModelManifest, "format" | "version" | "files">;

/** SHA-256 of bytes in hexadecimal. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/**
 * Opens a model folder on disk or on a web server.
 *
 * @param location Path or URL of the folder.
 * @throws {ModelFileError} If there is no model folder, or one of another version.
 */
export async function openModelFolder(
  location: string | URL,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<ModelFolder> {
  const { signal } = options;
  const base = folderUrl(location);
  const shown = (base.protocol === "file:" && typeof location === "string" ? location : base.href)
    .replace(/\/$/, "");
  const fetchFile = async (name: string): Promise<Uint8Array<ArrayBuffer>> => {
    const file = `${shown}/${name}`;
    signal?.throwIfAborted();
    try {
      if (base.protocol === "file:") {
        return await Deno.readFile(new URL(name, base), signal ? { signal } : {});
      }
      const response = await fetch(new URL(name, base), signal ? { signal } : {});
      if (response.ok) return new Uint8Array(await response.arrayBuffer());
      await response.body?.cancel();
      throw new Error(`The server answered ${response.status} ${response.statusText}`.trimEnd());
    } catch (cause) {
      signal?.throwIfAborted();
      if (cause instanceof Deno.errors.NotCapable) throw cause;
      const found = cause instanceof Deno.errors.NotFound ? "no such file" : (cause as Error).message;
      throw new ModelFileError("Cannot read a file of the model folder", { file, found, cause });
    }
  };
  const manifest = parseManifest(await fetchFile(MANIFEST), `${shown}/${MANIFEST}`);
  return new CheckedFolder(shown, manifest, fetchFile);
}

/** A folder whose files are in memory. */
export function memoryFolder(
  location: string,
  manifest: ModelManifest,
  files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
): ModelFolder {
  return new CheckedFolder(location, manifest, (name) => {
    const bytes = files.get(name);
    if (bytes !== undefined) return Promise.resolve(bytes);
    return Promise.reject(new ModelFileError("Cannot find a file of the model", { file: name }));
  });
}

class CheckedFolder implements ModelFolder {
  readonly location: string;
  readonly manifest: ModelManifest;
  readonly #fetch: (name: string) => Promise<Uint8Array<ArrayBuffer>>;

  constructor(
    location: string,
    manifest: ModelManifest,
    fetchFile: (name: string) => Promise<Uint8Array<ArrayBuffer>>,
  ) {
    this.location = location;
    this.manifest = manifest;
    this.#fetch = fetchFile;
  }

  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const file = `${this.location}/${name}`;
    const record = this.manifest.files[name];
    if (record === undefined) {
      throw new ModelFileError("Cannot find a file in the model's list", {
        file: `${this.location}/${MANIFEST}`,
        expected: `"${name}"`,
        found: Object.keys(this.manifest.files).map((known) => `"${known}"`).join(", ") || "no files",
      });
    }
    const bytes = await this.#fetch(name);
    if (bytes.length !== record.bytes) {
      throw new ModelFileError("Cannot use a file of the model as its size is wrong", {
        file,
        expected: `${record.bytes} bytes`,
        found: `${bytes.length}`,
      });
    }
    const found = await sha256(bytes);
    if (found !== record.sha256) {
      throw new ModelFileError("Cannot use a file of the model as its SHA-256 is wrong", {
        file,
        expected: record.sha256,
        found,
      });
    }
    return bytes;
  }

  async weights(part: string): Promise<WeightFiles> {
    const name = weightFileNames(this.manifest, part)[0] ?? `${part}.safetensors`;
    const data = await this.read(name);
    const checkpoint = await openCheckpoint(data);
    return {
      files: [{ path: name, data }],
      readFloat32: (tensor) => checkpoint.readFloat32(tensor),
      [Symbol.dispose]: () => checkpoint[Symbol.dispose](),
    };
  }
}

/** Names of a part's weight files among those of a folder, in order. */
export function weightFileNames(manifest: ModelManifest, part: string): string[] {
  const pattern = new RegExp(`^${part}(-\\d{5}-of-\\d{5})?\\.safetensors$`);
  return Object.keys(manifest.files).filter((name) => pattern.test(name)).sort();
}

function folderUrl(location: string | URL): URL {
  const text = location instanceof URL ? location.href : location;
  if (/^(https?|file):\/\//i.test(text)) return new URL(text.endsWith("/") ? text : `${text}/`);
  return pathToFileURL(text.replace(/\/?$/, "/"));
}

function parseManifest(bytes: Uint8Array, file: string): ModelManifest {
  const refuse = (expected: string, found: unknown, cause?: unknown): never => {
    throw new ModelFileError("Cannot read the description of a model", {
      file,
      expected,
      found: String(found),
      cause,
    });
  };
  let manifest: Partial<ModelManifest>;
  try {
    manifest = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    return refuse("JSON", (cause as Error).message, cause);
  }
  if (typeof manifest !== "object" || manifest === null || manifest.format !== "varscale-model") {
    return refuse('"format": "varscale-model"', JSON.stringify((manifest as ModelManifest | null)?.format));
  }
  if (manifest.version !== FOLDER_VERSION) {
    return refuse(`version ${FOLDER_VERSION}`, JSON.stringify(manifest.version));
  }
  const { family, name, dtype, config, classNames, files } = manifest;
  if (typeof family !== "string") return refuse('a text "family"', JSON.stringify(family));
  if (typeof name !== "string") return refuse('a text "name"', JSON.stringify(name));
  if (dtype === undefined || !DTYPES.includes(dtype)) {
    return refuse(`"dtype": ${DTYPES.map((known) => `"${known}"`).join(" or ")}`, JSON.stringify(dtype));
  }
  if (!Array.isArray(classNames) || classNames.some((item) => typeof item !== "string")) {
    return refuse('a list of texts "classNames"', JSON.stringify(classNames)?.slice(0, 80));
  }
  for (const key of ["alpha", "conflictThreshold"] as const) {
    const value = manifest.tuning?.[key] ?? 0;
    if (typeof value !== "number") return refuse(`a number "tuning.${key}"`, JSON.stringify(value));
  }
  if (typeof files !== "object" || files === null) return refuse('an object "files"', JSON.stringify(files));
  for (const [key, record] of Object.entries(files)) {
    // A file name is joined to the folder's URL, so it must not lead out of the folder.
    if (!/^[\w][\w.-]*$/.test(key)) return refuse("plain file names", JSON.stringify(key));
    const { bytes: size, sha256: hash } = record ?? {};
    if (!Number.isSafeInteger(size) || size < 0 || !/^[0-9a-f]{64}$/.test(String(hash))) {
      return refuse(`size and SHA-256 of "${key}"`, JSON.stringify(record));
    }
  }
  const facts = { family, name, dtype, config, classNames, tuning: manifest.tuning ?? {}, files };
  return { format: "varscale-model", version: FOLDER_VERSION, ...facts };
}

/** Writes the files of one model folder; nothing appears at its place before {@linkcode FolderWriter.finish}. */
export interface FolderWriter extends AsyncDisposable {
  /** Writes a file whole. */
  write(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Writes a safetensors file, one tensor in memory at a time, and tells where its tensors have come to lie. */
  writeTensors(name: string, entries: Iterable<SafetensorsEntry>): Promise<WeightPlaces>;
  /** Writes `model.json` and puts the folder in its place. */
  finish(facts: ManifestFacts): Promise<ModelFolder>;
}

const ELEMENT_TYPE_OF: Readonly<Record<string, ElementType>> = {
  F32: "float32",
  F16: "float16",
  I64: "int64",
};

async function weightPlaces(file: string, source: string | Uint8Array): Promise<WeightPlaces> {
  using tensors = await openSafetensors(await openSource(source));
  return (name) => {
    const { dtype, shape } = tensors.tensors.get(name)!;
    return { file, ...tensors.locate(name), type: ELEMENT_TYPE_OF[dtype]!, shape };
  };
}

/** Options of {@linkcode createModelFolder}. */
export interface CreateFolderOptions {
  /** Replace a folder that is there already; by default that is an error. */
  overwrite?: boolean;
  /** Ends the writing; nothing is left behind. */
  signal?: AbortSignal | undefined;
}

/** Whether nothing but a model would be lost: a mistaken path must not cost somebody a folder of other things. */
async function isReplaceable(place: string): Promise<boolean> {
  try {
    const names = await Array.fromAsync(Deno.readDir(place), ({ name }) => name);
    return names.length === 0 || names.includes(MANIFEST);
  } catch (error) {
    if (error instanceof Deno.errors.NotADirectory || error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Starts a new model folder on disk: files go to a temporary folder beside it, which takes its place at the end.
 *
 * @throws {Deno.errors.AlreadyExists} If something is there and `overwrite` is not set, or something is there that is no model folder.
 */
export async function createModelFolder(
  path: string,
  options: CreateFolderOptions = {},
): Promise<FolderWriter> {
  const { overwrite = false, signal } = options;
  const place = path.replace(/\/+$/, "");
  const exists = await Deno.lstat(place).then(() => true, () => false);
  if (exists && !overwrite) {
    throw new Deno.errors.AlreadyExists(
      `Cannot write the model folder as "${place}" exists; choose another path or overwrite it`,
    );
  }
  if (exists && !await isReplaceable(place)) {
    throw new Deno.errors.AlreadyExists(
      `Cannot overwrite "${place}" as it is no model folder; choose another path`,
    );
  }
  const temporary = `${place}.${crypto.randomUUID()}.tmp`;
  await Deno.mkdir(temporary, { recursive: true });
  const records: Record<string, FileRecord> = {};
  let finished = false;
  const record = async (name: string): Promise<void> => {
    // Web Crypto hashes whole buffers only, and weights may be larger than memory.
    const hash = createHash("sha256");
    let bytes = 0;
    using file = await Deno.open(`${temporary}/${name}`);
    for await (const chunk of file.readable) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    records[name] = { bytes, sha256: hash.digest("hex") };
  };
  return {
    async write(name, bytes) {
      signal?.throwIfAborted();
      await Deno.writeFile(`${temporary}/${name}`, bytes);
      await record(name);
    },
    async writeTensors(name, entries) {
      await writeSafetensors(`${temporary}/${name}`, entries, { signal });
      await record(name);
      return await weightPlaces(name, `${temporary}/${name}`);
    },
    async finish(facts) {
      signal?.throwIfAborted();
      const manifest: ModelManifest = {
        format: "varscale-model",
        version: FOLDER_VERSION,
        ...facts,
        files: records,
      };
      await Deno.writeTextFile(`${temporary}/${MANIFEST}`, `${JSON.stringify(manifest, null, 2)}\n`);
      const previous = exists ? `${place}.${crypto.randomUUID()}.tmp` : undefined;
      if (previous !== undefined) await Deno.rename(place, previous);
      try {
        await Deno.rename(temporary, place);
      } catch (error) {
        if (previous !== undefined) await Deno.rename(previous, place);
        throw error;
      }
      finished = true;
      if (previous !== undefined) await Deno.remove(previous, { recursive: true });
      return await openModelFolder(place);
    },
    async [Symbol.asyncDispose]() {
      if (!finished) await Deno.remove(temporary, { recursive: true });
    },
  };
}

/** Starts a model folder in memory. */
export function createMemoryFolder(location: string): FolderWriter {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const records: Record<string, FileRecord> = {};
  const write = async (name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> => {
    files.set(name, bytes);
    records[name] = { bytes: bytes.length, sha256: await sha256(bytes) };
  };
  return {
    write,
    async writeTensors(name, entries) {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const [bytes] = await Promise.all([
        new Response(readable).bytes(),
        writeSafetensors(writable, entries),
      ]);
      await write(name, bytes);
      return await weightPlaces(name, bytes);
    },
    finish: (facts) => {
      const manifest: ModelManifest = {
        format: "varscale-model",
        version: FOLDER_VERSION,
        ...facts,
        files: records,
      };
      return Promise.resolve(memoryFolder(location, manifest, files));
    },
    async [Symbol.asyncDispose]() {},
  };
}
