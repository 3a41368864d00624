/**
 * The model folder: `model.json`, which says what the model is and lists every other file with its size and
 * SHA-256; ONNX graphs; and their weights as safetensors. Here it is read, from disk or a web server;
 * `folder_writer.ts` writes it, `virtual_folder.ts` makes one that is stored nowhere. What is in the files is
 * left to the families.
 *
 * @module
 */

import { fileURLToPath, pathToFileURL } from "node:url";
import {
  type ByteSource,
  openSource,
  type OpenSourceOptions,
  sha256,
  sourceSha256,
} from "../checkpoint/source.ts";
import { WebAnswer } from "../checkpoint/web_answer.ts";
import { shown as quoted } from "../../kernels/arguments.ts";
import { suggestPlace } from "../hub/place.ts";
import { type Dtype, DTYPES } from "../weights/dtype.ts";
import { ModelFileError } from "../model_file_error.ts";
import { systemReason } from "../system_reason.ts";
import { isWeightFile, openWeightFiles, weightFileNames, type WeightFiles } from "../weights/weight_files.ts";

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
  readonly tuning?: FolderTuning;
  /** Every other file that is stored: of a virtual folder, all but the weights. */
  readonly files: Readonly<Record<string, FileRecord>>;
}

/**
 * Settings of VAR-Scaling that depend on a model's codebook and on how sure its logits are; what is left out
 * is that of the family.
 */
export interface ModelTuning {
  /** Scale on which to search, from 0 on. */
  readonly scale?: number;
  /** Candidates N per image. */
  readonly samples?: number;
  /** Threshold factor α at this scale with so many candidates; elsewhere it is as much higher or lower. */
  readonly alpha?: number;
  /** Conflict threshold: a distance in codebook units. */
  readonly conflictThreshold?: number;
}

/** Settings in a folder, with how they were found. */
export interface FolderTuning extends ModelTuning {
  /** What was tried on what, judged by whom, and what came of it: plain data for people. */
  readonly evidence?: Readonly<Record<string, unknown>>;
}

/**
 * Reads the files of one model folder. Disposing it closes what it reads from; a folder on disk or on a web
 * server keeps nothing open.
 */
export interface ModelFolder extends Disposable {
  /** Path or URL, for messages. */
  readonly location: string;
  /** What the folder holds. */
  readonly manifest: ModelManifest;
  /**
   * What tells the model from others: the SHA-256 of every file by name, but for the graphs, which follow
   * from the weights, and what is called `verifier…`, which only looks at pictures. The weights of a virtual
   * folder have none, as they are produced when they are read; there it is the SHA-256 of what they are
   * produced from, by part or file and type: `transformer as q4`.
   */
  readonly fingerprints: Readonly<Record<string, string>>;
  /** Whether there is a file of this name. */
  has(name: string): boolean;
  /**
   * Reads a file and checks its size and checksum.
   *
   * @throws {ModelFileError} If it is missing or not what the manifest says.
   */
  read(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Opens a file and checks its size and checksum, for which it is read once, piece by piece. The caller
   * closes it.
   *
   * @throws {ModelFileError} If it is missing or not what the manifest says.
   */
  open(name: string): Promise<ByteSource>;
  /** Whether there are weights of a part, `transformer` for example. */
  hasWeights(part: string): boolean;
  /**
   * Opens the weights of one part of the model, `transformer` for example: the safetensors file of that name
   * or the numbered files it has been split into. Their sizes and checksums are checked, for which they are
   * read once, piece by piece. The caller closes them.
   *
   * @throws {ModelFileError} If there are none, or they are not what the manifest says.
   */
  weights(part: string): Promise<WeightFiles>;
  /**
   * Lists the weights of one part of the model, for which only the beginnings of its files are read, and no
   * checksum is found out.
   *
   * @throws {ModelFileError} If there are none, or they are not as long as the manifest says.
   */
  tensors(part: string): Promise<WeightFiles["tensors"]>;
}

/** Everything a new folder is told, its files' sizes and checksums apart. */
export type ManifestFacts = Omit<ModelManifest, "format" | "version" | "files">;

/** What `model.json` holds for these facts and files. */
export function modelManifest(facts: ManifestFacts, files: ModelManifest["files"]): ModelManifest {
  return { format: "varscale-model", version: FOLDER_VERSION, ...facts, files };
}

/**
 * Opens a model folder on disk or on a web server.
 *
 * @param location Path or URL of the folder.
 * @throws {ModelFileError} If there is no model folder, or one of another version.
 *
 * @example
 * ```ts
 * import { openModelFolder } from "./model_folder.ts";
 * import { DEMO_MODEL } from "../load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using folder = await openModelFolder(DEMO_MODEL);
 * assertEquals(folder.manifest.family, "var");
 * using graph = await folder.open("decoder.onnx");
 * assertEquals(graph.size, folder.manifest.files["decoder.onnx"]?.bytes);
 * ```
 */
export async function openModelFolder(
  location: string | URL,
  options: OpenSourceOptions = {},
): Promise<ModelFolder> {
  const { signal } = options;
  const base = folderUrl(location);
  const shown = (base.protocol === "file:" && typeof location === "string" ? location : base.href)
    .replace(/\/$/, "");
  const meant = base.protocol === "file:" ? undefined : suggestPlace(base.href);
  if (meant !== undefined) {
    throw new ModelFileError("Cannot open the model folder", {
      file: shown,
      expected: `${quoted(meant)} for a repository of the Hugging Face hub`,
      found: "the address of its page",
    });
  }
  const access = async <Result>(name: string, get: (url: URL) => Promise<Result>): Promise<Result> => {
    signal?.throwIfAborted();
    try {
      return await get(new URL(name, base));
    } catch (error) {
      signal?.throwIfAborted();
      // It says which file it is, and what is wrong with it.
      if (error instanceof ModelFileError && error.cause === undefined) throw error;
      const cause = error instanceof ModelFileError ? error.cause ?? error : error;
      if (cause instanceof Deno.errors.NotCapable) throw cause;
      const none = cause instanceof Deno.errors.NotFound && name === MANIFEST;
      const found = `${systemReason(cause)}${none ? await hintFor(base) : ""}`;
      throw new ModelFileError("Cannot read a file of the model folder", {
        file: `${shown}/${name}`,
        found,
        cause,
      });
    }
  };
  const glance = (name: string, { bytes }: FileRecord): Promise<ByteSource> => {
    return access(name, (url) => openSource(url, { ...options, label: `${shown}/${name}`, bytes }));
  };
  /** A file from a web server, as far as it is not larger than it may be. */
  const fetchWhole = (name: string, most: number): Promise<Uint8Array<ArrayBuffer>> =>
    access(name, async (url) => {
      using answer = await WebAnswer.to(url, options);
      const { response: { ok, status, statusText } } = answer;
      if (!ok) throw new Error(`The server answered ${status} ${statusText}`.trimEnd());
      const bytes = await answer.body(most);
      if (bytes === undefined) throw tooLarge(`${shown}/${name}`, most, answer.told);
      return bytes;
    });
  const open = async (name: string, record: FileRecord): Promise<ByteSource> => {
    const { bytes } = record;
    // One request is quicker than many, and what was checked is then what is used.
    if (base.protocol !== "file:" && bytes <= WHOLE_BYTES) {
      return await openSource(await fetchWhole(name, bytes), { label: `${shown}/${name}`, bytes });
    }
    return await glance(name, record);
  };
  const describe = async (): Promise<Uint8Array<ArrayBuffer>> => {
    if (base.protocol !== "file:") return await fetchWhole(MANIFEST, MANIFEST_BYTES);
    return await access(MANIFEST, async (url) => {
      const label = `${shown}/${MANIFEST}`;
      using source = await openSource(url, { ...options, label });
      if (source.size > MANIFEST_BYTES) throw tooLarge(label, MANIFEST_BYTES, source.size);
      return await source.read(0, source.size);
    });
  };
  const manifest = parseManifest(await describe(), `${shown}/${MANIFEST}`);
  return new CheckedFolder(shown, manifest, { open, glance });
}

/**
 * A file up to this size is fetched whole from a web server; a larger one by ranges, after one reading that
 * checks it.
 */
const WHOLE_BYTES = 1 << 26;

/** Bytes that a description may have; the names of all of ImageNet's 21841 classes take one million. */
const MANIFEST_BYTES = 1 << 24;

function tooLarge(file: string, most: number, found: number | undefined): ModelFileError {
  return new ModelFileError("Cannot read a file of the model folder as it is too large", {
    file,
    expected: `at most ${most} bytes`,
    found: found === undefined ? "more" : `${found}`,
  });
}

/** Gets at the files of a folder, of which only the size is checked. */
interface FolderFiles {
  open(name: string, record: FileRecord): Promise<ByteSource>;
  /** Opens a file of which little will be read. */
  glance(name: string, record: FileRecord): Promise<ByteSource>;
}

class CheckedFolder implements ModelFolder {
  readonly location: string;
  readonly manifest: ModelManifest;
  readonly #files: FolderFiles;

  constructor(location: string, manifest: ModelManifest, files: FolderFiles) {
    this.location = location;
    this.manifest = manifest;
    this.#files = files;
  }

  get fingerprints(): Readonly<Record<string, string>> {
    const own = Object.entries(this.manifest.files).filter(([name]) => !/^verifier|\.onnx$/.test(name));
    return Object.fromEntries(own.map(([name, { sha256 }]) => [name, sha256]));
  }

  has(name: string): boolean {
    return Object.hasOwn(this.manifest.files, name);
  }

  hasWeights(part: string): boolean {
    return Object.keys(this.manifest.files).some((name) => isWeightFile(name, part));
  }

  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const record = this.#record(name);
    using source = await this.#files.open(name, record);
    const bytes = await source.read(0, source.size);
    requireSha256(source.file, record, await sha256(bytes));
    return bytes;
  }

  async open(name: string): Promise<ByteSource> {
    const record = this.#record(name);
    const source = await this.#files.open(name, record);
    try {
      requireSha256(source.file, record, await sourceSha256(source));
      return source;
    } catch (error) {
      source[Symbol.dispose]();
      throw error;
    }
  }

  weights(part: string): Promise<WeightFiles> {
    return this.#weights(part, (name) => this.open(name));
  }

  async tensors(part: string): Promise<WeightFiles["tensors"]> {
    using weights = await this.#weights(part, (name) => this.#files.glance(name, this.#record(name)));
    return weights.tensors;
  }

  async #weights(part: string, open: (name: string) => Promise<ByteSource>): Promise<WeightFiles> {
    using stack = new DisposableStack();
    const files: { path: string; source: ByteSource }[] = [];
    for (const path of weightFileNames(Object.keys(this.manifest.files), part, this.location)) {
      files.push({ path, source: stack.use(await open(path)) });
    }
    const weights = await openWeightFiles(`${this.location}/${part}`, files);
    stack.move();
    return weights;
  }

  [Symbol.dispose](): void {}

  #record(name: string): FileRecord {
    const record = this.manifest.files[name];
    if (record !== undefined) return record;
    throw new ModelFileError("Cannot find a file in the model's list", {
      file: `${this.location}/${MANIFEST}`,
      expected: `"${name}"`,
      found: Object.keys(this.manifest.files).map((known) => `"${known}"`).join(", ") || "no files",
    });
  }
}

function requireSha256(file: string, record: FileRecord, found: string): void {
  if (found === record.sha256) return;
  throw new ModelFileError("Cannot use a file of the model as its SHA-256 is wrong", {
    file,
    expected: record.sha256,
    found,
  });
}

/** What a person may have meant by a folder that is not there. */
async function hintFor(base: URL): Promise<string> {
  const isThere = await Deno.stat(base).then(() => true, () => false);
  const meant = isThere ? undefined : suggestPlace(fileURLToPath(base));
  return meant === undefined ? "" : `; did you mean ${quoted(meant)}?`;
}

function folderUrl(location: string | URL): URL {
  const text = location instanceof URL ? location.href : location;
  if (/^(https?|file):\/\//i.test(text)) return new URL(text.endsWith("/") ? text : `${text}/`);
  return pathToFileURL(text.replace(/\/?$/, "/"));
}

/** Bounds of settings of a search: those of the kernels, however many scales a model has. */
const TUNING_BOUNDS = {
  scale: { min: 0, max: 2 ** 20, integer: true },
  samples: { min: 1, max: 8192, integer: true },
  alpha: { min: 0, max: 2 ** 20, integer: false },
  conflictThreshold: { min: 0, max: 2 ** 40, integer: false },
};

/** What is wrong with settings of a search that a folder gives, or is to give, if anything is. */
export function wrongTuning(
  tuning: FolderTuning,
): { readonly expected: string; readonly found: string } | undefined {
  const isObject = (value: unknown): boolean => {
    return typeof value === "object" && value !== null && !Array.isArray(value);
  };
  const found = (value: unknown): string => {
    return typeof value === "number" ? String(value) : JSON.stringify(value)?.slice(0, 80) ?? String(value);
  };
  if (!isObject(tuning)) return { expected: 'an object "tuning"', found: found(tuning) };
  for (const key of ["scale", "samples", "alpha", "conflictThreshold"] as const) {
    const { min, max, integer } = TUNING_BOUNDS[key];
    const { [key]: value = min } = tuning;
    if (Number.isFinite(value) && value >= min && value <= max && (!integer || Number.isInteger(value))) {
      continue;
    }
    const number = integer ? "an integer" : "a number";
    return { expected: `${number} "tuning.${key}" from ${min} to ${max}`, found: found(value) };
  }
  const { evidence = {} } = tuning;
  return isObject(evidence) ? undefined : { expected: 'an object "tuning.evidence"', found: found(evidence) };
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
  const tuning = manifest.tuning ?? {};
  const wrong = wrongTuning(tuning);
  if (wrong !== undefined) return refuse(wrong.expected, wrong.found);
  if (typeof files !== "object" || files === null) return refuse('an object "files"', JSON.stringify(files));
  for (const [key, record] of Object.entries(files)) {
    // A file name is joined to the folder's URL, so it must not lead out of the folder.
    if (!/^[\w][\w.-]*$/.test(key)) return refuse("plain file names", JSON.stringify(key));
    const { bytes: size, sha256: hash } = record ?? {};
    if (!Number.isSafeInteger(size) || size < 0 || !/^[0-9a-f]{64}$/.test(String(hash))) {
      return refuse(`size and SHA-256 of "${key}"`, JSON.stringify(record));
    }
  }
  return modelManifest({ family, name, dtype, config, classNames, tuning }, files);
}
