/**
 * Loading a network that judges or describes pictures by whatever names it: the name of a known kind, whose
 * published files lie on the hub, a place where such files lie, or the description of an ONNX network.
 *
 * @module
 */

import { join } from "node:path";
import {
  mustBe,
  requireChoice,
  requireInteger,
  requireObject,
  requireOptions,
  shown,
} from "../../kernels/arguments.ts";
import type { Device } from "../../kernels/device/device.ts";
import { addressOf, isOnWeb, isThere, openSource, placeBeside } from "../checkpoint/source.ts";
import { resolveCpuProvider } from "../graphs/cpu_provider.ts";
import type { CpuProvider } from "../graphs/graph_session.ts";
import {
  type DownloadProgress,
  HubError,
  hubFile,
  type HubOptions,
  type HubPlace,
  parseHubPlace,
} from "../hub/mod.ts";
import type { Model } from "../model.ts";
import { ModelFileError } from "../model_file_error.ts";
import { ONNX } from "./described_network.ts";
import type { Network, NetworkFile, NetworkKind, OpenNetworkOptions } from "./network_kind.ts";
import { NETWORKS } from "./networks.ts";
import type { FeatureExtractor, Verifier } from "./verifier.ts";

/** Options of {@linkcode loadVerifier} and {@linkcode loadFeatures}. */
export interface LoadNetworkOptions {
  /** The model whose pictures it will see: the network runs where the model does. */
  readonly model?: Model;
  /** Where it runs, instead of a model; it stays the caller's. */
  readonly device?: Device;
  /**
   * The text for a class, in which `{label}` stands for its name, for a network that compares pictures with
   * texts: `"a photo of a {label}"`.
   */
  readonly template?: string;
  /** Threads on the CPU; all cores by default. */
  readonly threads?: number;
  /** Who computes on the CPU; by default `"auto"`, whoever does so for the model, or as for `loadModel()`. */
  readonly cpuProvider?: CpuProvider | "auto";
  /** Cache, token and endpoint for files of the hub; by default what the environment says. */
  readonly hub?: Omit<HubOptions, "signal" | "onProgress">;
  /** Called as files are downloaded. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Ends the loading. */
  readonly signal?: AbortSignal | undefined;
}

/** What finding files takes of the options. */
export type FindFilesOptions = Pick<LoadNetworkOptions, "hub" | "onProgress" | "signal">;

/** Names of all options, to tell a misspelt one. */
const OPTIONS = [
  "model",
  "device",
  "template",
  "threads",
  "cpuProvider",
  "hub",
  "onProgress",
  "signal",
] as const satisfies (keyof LoadNetworkOptions)[];

/** What a network can be loaded as, in messages. */
const MAKES = { verifier: "load the verifier", features: "load the feature extractor" } as const;

/**
 * Loads a network that judges pictures.
 *
 * @param place `NAME` of a known kind, for its published files on the hub; `NAME:PLACE` for files that lie in
 * a folder, on a web server or in `hf:owner/name`; or the place of the description of an ONNX network, as
 * `docs/verifiers.md` says how to write one.
 * @throws {TypeError} If the place names none, an option is of the wrong type, or the network only describes
 * pictures.
 * @throws {ModelFileError} If a file is not there or not what it should be.
 * @throws {HubError} If a file cannot be downloaded.
 *
 * @example
 * ```ts
 * import { loadVerifier } from "./load.ts";
 * import { CpuDevice } from "../../kernels/device/cpu_device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * const place = new URL("../demo_t2i/verifier.json", import.meta.url);
 * await using verifier = await loadVerifier(place, { device });
 * assertEquals([verifier.name, verifier.needsPrompt], ["demo-t2i reward", true]);
 * ```
 */
export async function loadVerifier(
  place: string | URL,
  options: LoadNetworkOptions,
): Promise<Verifier & AsyncDisposable> {
  return await loadAs("verifier", place, options) as Verifier & AsyncDisposable;
}

/**
 * Loads a network that describes pictures.
 *
 * @param place As for {@linkcode loadVerifier}.
 * @throws {TypeError} If the place names none, an option is of the wrong type, or the network only judges
 * pictures.
 * @throws {ModelFileError} If a file is not there or not what it should be.
 * @throws {HubError} If a file cannot be downloaded.
 *
 * @example
 * ```ts
 * import { loadFeatures } from "./load.ts";
 * import { CpuDevice } from "../../kernels/device/cpu_device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * const place = new URL("../demo_t2i/verifier.json", import.meta.url);
 * await using extractor = await loadFeatures(place, { device });
 * using array = device.allocate(2 * 64 * 64);
 * using features = await extractor.features({ array, count: 2, width: 64, height: 64 });
 * assertEquals([features.tokens, features.channels], [64, 64]);
 * ```
 */
export async function loadFeatures(
  place: string | URL,
  options: LoadNetworkOptions,
): Promise<FeatureExtractor & AsyncDisposable> {
  return await loadAs("features", place, options) as FeatureExtractor & AsyncDisposable;
}

async function loadAs(
  makes: keyof typeof MAKES,
  place: string | URL,
  options: LoadNetworkOptions,
): Promise<Network> {
  const action = MAKES[makes];
  const device = requireLoadOptions(options, action);
  const { kind, at } = await kindAt(place, makes);
  const files = await networkFiles(kind, at, options);
  const { template, threads, signal } = options;
  const cpuProvider = device.kind === "cpu" ? await resolveCpuProvider(askedProvider(options)) : undefined;
  const given = Object.entries({ template, threads, cpuProvider, signal }).filter(([, value]) =>
    value !== undefined
  );
  await using stack = new AsyncDisposableStack();
  const network = stack.use(await kind.open(device, files, Object.fromEntries(given) as OpenNetworkOptions));
  signal?.throwIfAborted();
  if (!(makes === "verifier" ? "score" in network : "features" in network)) {
    const other = makes === "verifier"
      ? "describes pictures only: load it by loadFeatures()"
      : "judges pictures only";
    throw new TypeError(`Cannot ${action} ${shown(String(place))} as it ${other}`);
  }
  if (template !== undefined && !("needsPrompt" in network && network.needsPrompt)) {
    throw new TypeError(`Cannot ${action} ${shown(String(place))} with a template as it takes no texts`);
  }
  stack.move();
  return network;
}

/**
 * Checks the options.
 *
 * @returns Where the network is to run.
 */
function requireLoadOptions(options: LoadNetworkOptions, action: string): Device {
  requireOptions(options, OPTIONS, action);
  const { model, device, template, threads, cpuProvider } = options;
  if ((model === undefined) === (device === undefined)) {
    throw new TypeError(
      mustBe("given, or a device instead", model === undefined ? model : "both", "the option model", action),
    );
  }
  if (template !== undefined && !(typeof template === "string" && template.includes("{label}"))) {
    throw new TypeError(mustBe('a text with "{label}"', template, "template", action));
  }
  if (threads !== undefined) requireInteger(threads, "threads", action, { min: 1 });
  if (cpuProvider !== undefined) {
    requireChoice(cpuProvider, ["auto", "wasm", "native"], "cpuProvider", action);
  }
  if (model !== undefined) return requireObject(model, "model", action, "a model that is loaded").device;
  return requireObject(device!, "device", action, "a device");
}

/** Who is to compute on the CPU: whoever does so for the model, unless something else is asked for. */
function askedProvider({ model, cpuProvider = "auto" }: LoadNetworkOptions): CpuProvider | "auto" {
  const provider = model?.provider ?? "webgpu";
  return cpuProvider !== "auto" || provider === "webgpu" ? cpuProvider : provider;
}

/** The kind that a place names, and where its files lie. */
async function kindAt(
  place: string | URL,
  makes: keyof typeof MAKES,
): Promise<{ readonly kind: NetworkKind; readonly at: string | URL }> {
  const action = MAKES[makes];
  const kinds = NETWORKS.filter((kind) => kind.makes.includes(makes));
  const names = kinds.filter((kind) => kind !== ONNX).map(({ name }) => `"${name}"`);
  const wanted = [...names, "the place of a description"].join(", ");
  if (!(place instanceof URL) && (typeof place !== "string" || place === "")) {
    throw new TypeError(mustBe(wanted, place, "its place", action));
  }
  const [, name, rest] = /^([\w-]+)(?::(.*))?$/s.exec(String(place)) ?? [];
  const kind = NETWORKS.find((known) => known.name === name);
  // What looks like a name is a misspelt one, unless a file or folder is called so.
  if (kind === undefined && (name !== place || await isThere(place))) return { kind: ONNX, at: place };
  if (kind === undefined || !kinds.includes(kind)) {
    throw new TypeError(mustBe(wanted, place, "its place", action));
  }
  const at = rest || kind.place;
  if (at !== undefined) return { kind, at };
  const { names: [file] } = kind.files[0];
  throw new TypeError(mustBe(`"${kind.name}:" and the place of ${file}`, place, "its place", action));
}

/**
 * Finds the files of a network; those on the hub are brought to this machine.
 *
 * @param at Where they lie.
 * @returns Path or address of each, by its role.
 * @throws {ModelFileError} If one is not there.
 * @throws {HubError} If one cannot be downloaded.
 */
export async function networkFiles(
  kind: Pick<NetworkKind, "title" | "files" | "others">,
  at: string | URL,
  options: FindFilesOptions,
): Promise<Record<string, string | URL>> {
  const { signal } = options;
  const files: Record<string, string | URL> = {};
  let from = await openPlace(at, options);
  for (const [i, file] of kind.files.entries()) {
    const found = await from.find(file, i === 0) ??
      (file.place === undefined ? undefined : await (await openPlace(file.place, options)).find(file, false));
    if (found !== undefined) files[file.role] = found;
    else if (!file.optional) {
      throw new ModelFileError(`Cannot find a file of ${kind.title}`, {
        file: String(at),
        expected: file.names.map((name) => `"${name}"`).join(" or "),
        found: "none",
      });
    }
    // All of one commit, whatever is pushed meanwhile.
    from = from.pinned();
  }
  for (const name of await kind.others?.(files, { signal }) ?? []) await from.bring(name);
  return files;
}

/** Where files are looked for. */
interface OpenPlace {
  /** The file, if it is there; the first one of a network may be the place itself. */
  find(file: NetworkFile, isFirst: boolean): Promise<string | URL | undefined>;
  /** Makes sure that a file is there which another one asks for. */
  bring(name: string): Promise<void>;
  /** The same place as it was when the last file was found. */
  pinned(): OpenPlace;
}

async function openPlace(at: string | URL, options: FindFilesOptions): Promise<OpenPlace> {
  const hub = typeof at === "string" ? parseHubPlace(at) : undefined;
  if (hub?.file !== undefined) {
    throw new TypeError(
      `Cannot find a network in a file of a repository: leave out what is behind its owner and name in "${at}"`,
    );
  }
  return hub === undefined ? await openDiskOrWeb(at, options) : openHub(hub, options);
}

function openHub(place: HubPlace, options: FindFilesOptions): OpenPlace {
  const { hub, onProgress, signal } = options;
  const settings: HubOptions = { ...hub, signal, ...(onProgress === undefined ? {} : { onProgress }) };
  let revision = place.revision;
  return {
    async find({ names, optional = false, place: elsewhere }) {
      let absent: HubError | undefined;
      for (const name of names) {
        try {
          const { path, commit } = await hubFile(place, name, settings);
          revision = commit;
          return path;
        } catch (error) {
          if (!(error instanceof HubError) || error.reason !== "missing") throw error;
          absent ??= error;
        }
      }
      if (optional || elsewhere !== undefined) return undefined;
      throw absent;
    },
    async bring(name) {
      await hubFile(place, name, settings);
    },
    pinned: () =>
      revision === place.revision ? openHub(place, options) : openHub({ ...place, revision }, options),
  };
}

async function openDiskOrWeb(at: string | URL, { signal }: FindFilesOptions): Promise<OpenPlace> {
  const isFolder = await leadsToFolder(at);
  const address = addressOf(at);
  const placeOf = (name: string): string | URL => {
    if (!isFolder) return placeBeside(at, name);
    if (address === undefined) return join(String(at), name);
    return new URL(encodeURIComponent(name), address.href.endsWith("/") ? address : `${address.href}/`);
  };
  const place: OpenPlace = {
    async find({ names }, isFirst) {
      if (isFirst && !isFolder) {
        // Before others are looked for, on the hub perhaps.
        if (address === undefined || !isOnWeb(address)) (await openSource(at))[Symbol.dispose]();
        return at;
      }
      for (const name of names) if (await isThere(placeOf(name), { signal })) return placeOf(name);
      return undefined;
    },
    // Whoever reads it says if it is not.
    bring: () => Promise.resolve(),
    pinned: () => place,
  };
  return place;
}

async function leadsToFolder(at: string | URL): Promise<boolean> {
  const address = addressOf(at);
  if (address !== undefined && isOnWeb(address)) return address.pathname.endsWith("/");
  try {
    return (await Deno.stat(address ?? at)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
