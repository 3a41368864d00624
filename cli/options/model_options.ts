/**
 * The options that name a model and a device, what is loaded by them, and what records say of both; shared by
 * the commands that load a model. Which checkpoints it is made from, the families say: each part has an
 * option.
 *
 * @module
 */

import {
  BUNDLED_MODELS,
  type CacheDtype,
  type Checkpoints,
  type Compute,
  type CpuProvider,
  type DeviceKind,
  type Dtype,
  FAMILIES,
  type Family,
  hubNotice,
  type HubPlace,
  loadModel,
  type Model,
  type ModelOutline,
  type ModelSize,
  type Provider,
  whyNoGpu,
  whyNotNative,
} from "../../mod.ts";
import { type Io, say, untilEnded, UsageError } from "../io.ts";
import { Transfer } from "../output/transfer.ts";
import { list } from "../output/words.ts";
import { readClassNames, readPlaces } from "./given_files.ts";
import { choice, flag, integer, text, texts } from "./kinds.ts";
import { type Option, optionName, type OptionTable, section } from "./options.ts";
import { absolute, hubPlace } from "./place.ts";

/** Key of a part's checkpoint, in tables of options and in records. */
type CheckpointKey = `${string}Ckpt`;

function checkpointKey(part: string): CheckpointKey {
  return `${part}Ckpt`;
}

/** Names of the parts that models are made from. */
const PARTS: readonly string[] = [...new Set(FAMILIES.flatMap(({ parts }) => parts.map(({ name }) => name)))];

/** An option for each of them. */
export const CHECKPOINT_OPTIONS: OptionTable = Object.fromEntries(
  PARTS.map((name): [string, Option<string>] => {
    const parts = FAMILIES.flatMap(({ parts }) => parts.filter((part) => part.name === name));
    const titles = [...new Set(parts.map(({ title }) => title))];
    const end = parts.every(({ optional }) => optional) ? "; may be left out" : "";
    const help = `Checkpoint of ${
      list(titles, "or")
    }, .pth or .safetensors, by its index or folder if it is in several files, path or URL${end}`;
    return [checkpointKey(name), { kind: text("FILE"), help }];
  }),
);

/** Names of the options of these parts. */
function checkpointOptions(parts: readonly string[]): string[] {
  return parts.map((name) => optionName(checkpointKey(name)));
}

/** Depth: an option of all commands that need a model. */
export const DEPTH_OPTION: Option<number> = {
  kind: integer("N", 1),
  help: "Depth that the model must have: which one of a repository with several, and a check otherwise",
  aliases: ["depth"],
};

/** Size by name: the same for a family that tells its models by names. */
export const SIZE_OPTION: Option<string> = {
  kind: text("NAME"),
  help: "Name of the size that the model must have, like 2B, where models are told by names and not by depth",
  aliases: ["size-name"],
};

/** Which weights: an option of all commands that read checkpoints. */
export const WEIGHTS_OPTION: Option<string> = {
  kind: text("NAME"),
  help:
    "Which weights of a checkpoint that holds several sets, by some of what stands in front of their names, like ema",
  defaultText: "the only ones",
};

/** What the help of an option ends with that only some families take when a model is loaded. */
function forThose(choice: Family["loading"][number]): string {
  const titles = FAMILIES.filter(({ loading }) => loading.includes(choice)).map(({ title }) => title);
  return titles.length === 0 ? "" : `; for ${list(titles, "and")}`;
}

/** Parts that some model can do without. */
const OPTIONAL: readonly string[] = [
  ...new Set(
    FAMILIES.flatMap(({ parts }) => parts.filter(({ optional }) => optional))
      .map(({ name, title }) => `${name} (${title})`),
  ),
];

/** What to leave out: an option of all commands that need a model. */
export const WITHOUT_OPTION: Option<readonly string[]> = {
  kind: texts,
  help: `Leave out parts that a model can do without${
    OPTIONAL.length === 0 ? "" : `: ${list(OPTIONAL, "or")}`
  }; they are not downloaded either`,
  defaultText: "none",
};

/** Which model. */
export const MODEL_OPTIONS = section("Model", {
  model: {
    kind: text("PLACE"),
    short: "m",
    help:
      'Model folder, as a path or URL; "hf:OWNER/NAME" for a repository of the Hugging Face hub, which is downloaded once; or "demo" or "demo-t2i" for a bundled model, of classes or of texts',
    defaultText: "demo",
  },
  ...CHECKPOINT_OPTIONS,
  weights: WEIGHTS_OPTION,
  classNames: {
    kind: text("FILE"),
    help: "JSON list of class names, for checkpoints, which have none",
    defaultText: "those of ImageNet for published sizes",
  },
  modelDepth: DEPTH_OPTION,
  modelSize: SIZE_OPTION,
  without: WITHOUT_OPTION,
  dtype: {
    kind: choice(["auto", "f32", "f16", "q8", "q4"]),
    help: "Type of the large weights; auto is the most precise one that fits",
    default: "auto",
  },
  compute: {
    kind: choice(["f32", "int8"]),
    help:
      `How large products are computed; int8 rounds both sides to integers, which takes less than half of the time on processors made for it, by the native provider${
        forThose("compute")
      }`,
    defaultText: "f32",
  },
  cacheDtype: {
    kind: choice(["f32", "f16"]),
    help: `Type in which keys and values are kept between two scales; f16 takes half the memory${
      forThose("cacheDtype")
    }`,
    defaultText: "f32",
  },
  offload: {
    kind: choice(["none", "blocks"]),
    help:
      `Which weights are read whenever they are used, so that they need not be in memory together, on the CPU only${
        forThose("offload")
      }`,
    defaultText: "none",
  },
  keepTextEncoder: {
    kind: flag,
    help: `Leave the text encoder loaded after its use${forThose("keepTextEncoder")}`,
  },
});

/** Where to run. */
export const DEVICE_OPTIONS = section("Device", {
  device: {
    kind: choice(["auto", "webgpu", "cpu"]),
    help: "Where to run; auto takes a GPU if there is a real one, and the CPU otherwise",
    default: "auto",
  },
  threads: { kind: integer("N", 1, 1024), help: "Threads on the CPU", defaultText: "all cores" },
  cpuProvider: {
    kind: choice(["auto", "wasm", "native"]),
    help:
      'Who computes on the CPU: native is ONNX Runtime\'s own library, several times as fast as WebAssembly; auto takes it where it is there, for which "varscale setup native" sees, and allowed',
    default: "auto",
  },
});

/** What a record says of where a model ran. */
export interface DeviceRecord {
  /** CPU or GPU. */
  readonly kind: DeviceKind;
  /** Which one. */
  readonly name: string;
  /** Who computed on the CPU; records made before there was a choice are without it. */
  readonly cpuProvider?: CpuProvider;
  /**
   * The provider of ONNX Runtime on which every node of every graph ran: a graph with a node that it does not
   * take is refused when it is loaded. Records made before this was written down are without it.
   */
  readonly provider?: Provider;
}

/** Writes down where a model runs. */
export function deviceRecord({ device: { kind, name }, provider }: Model): DeviceRecord {
  return { kind, name, ...(provider === "webgpu" ? {} : { cpuProvider: provider }), provider };
}

/**
 * Who is to compute where a record says who did: the same, unless somebody else is asked for. A library that
 * is not there any more is not fetched for it.
 */
export function providerAgain(
  asked: CpuProvider | "auto",
  recorded: DeviceRecord | undefined,
): CpuProvider | "auto" {
  if (asked !== "auto" || recorded?.kind !== "cpu") return asked;
  return recorded.cpuProvider === "native" ? "auto" : "wasm";
}

/** A device in a few words. */
export function describeDevice({ name, cpuProvider }: DeviceRecord): string {
  return cpuProvider === "native" ? `${name}, native` : name;
}

/** Checkpoints by part: `{ varCkpt, vaeCkpt }`. */
export interface CheckpointPlace {
  readonly [key: CheckpointKey]: string;
  /** Which of several sets of weights. */
  readonly weights?: string;
  /** File with the names of the classes. */
  readonly classNames?: string;
  /** Parts that are left out. */
  readonly without?: readonly string[];
}

/** A model that is named as a whole. */
export interface WholePlace {
  /** `"demo"`, a model folder, or a repository. */
  readonly folder: string;
  /** Parts that are left out. */
  readonly without?: readonly string[];
}

/** What names a model on the command line and in the record of a run. */
export type ModelPlace = WholePlace | CheckpointPlace;

/** A place with another text for each of its places; names of parts stay. */
export function mapPlace(place: ModelPlace, change: (place: string) => string): ModelPlace {
  const changed = Object.entries(place).map(([name, value]) => {
    const isPlace = typeof value === "string" && name !== "weights";
    return [name, isPlace ? change(value) : value];
  });
  return Object.fromEntries(changed);
}

/** Values of the options that name a model, those of {@linkcode CHECKPOINT_OPTIONS} among them. */
export interface ModelValues {
  readonly model?: string | undefined;
  readonly weights?: string | undefined;
  readonly classNames?: string | undefined;
  readonly without?: readonly string[] | undefined;
}

/**
 * Which model the options name, with absolute paths, or `undefined` if none of them was given.
 *
 * @throws {UsageError} If they contradict each other, or name too little of a model.
 */
export function modelPlace(values: ModelValues): ModelPlace | undefined {
  const { model, weights, classNames } = values;
  const without = values.without === undefined ? {} : { without: values.without };
  const given = PARTS.filter((name) => Reflect.get(values, checkpointKey(name)) !== undefined);
  if (given.length > 0) {
    if (model !== undefined) {
      throw new UsageError(`Options --model and ${list(checkpointOptions(PARTS), "or")} exclude each other`);
    }
    requireWhole(given);
    const paths = given.map((name): [CheckpointKey, string] => {
      return [checkpointKey(name), absolute(Reflect.get(values, checkpointKey(name)))];
    });
    return {
      ...Object.fromEntries(paths),
      ...(weights === undefined ? {} : { weights }),
      ...(classNames === undefined ? {} : { classNames: absolute(classNames) }),
      ...without,
    };
  }
  if (weights !== undefined) {
    throw new UsageError(
      `Option --weights goes with ${
        list(checkpointOptions(PARTS), "or")
      }: a model folder has one set of them`,
    );
  }
  if (classNames !== undefined) {
    throw new UsageError(
      `Option --class-names goes with ${list(checkpointOptions(PARTS), "or")}: a model folder has its own`,
    );
  }
  if (model === undefined && values.without !== undefined) {
    throw new UsageError(`Option --without goes with --model or ${list(checkpointOptions(PARTS), "or")}`);
  }
  if (model === undefined) return undefined;
  const isName = Object.hasOwn(BUNDLED_MODELS, model) || hubPlace(model) !== undefined;
  return { folder: isName ? model : absolute(model), ...without };
}

/** Refuses checkpoints that are not all parts of a model of some family. */
function requireWhole(given: readonly string[]): void {
  const families = FAMILIES.map(({ parts }) => parts)
    .filter((parts) => given.every((name) => parts.some((part) => part.name === name)));
  if (families.length === 0) {
    throw new UsageError(
      `Options ${list(checkpointOptions(given), "and")} do not go together: no model is made of these`,
    );
  }
  const lacking = families.map((parts) => {
    return parts.filter(({ name, optional }) => !optional && !given.includes(name)).map(({ name }) => name);
  });
  const fewest = Math.min(...lacking.map(({ length }) => length));
  if (fewest === 0) return;
  const ways = lacking.filter(({ length }) => length === fewest)
    .map((parts) => list(checkpointOptions(parts), "and"));
  const [noun, verb] = fewest === 1 ? ["Option", "is"] : ["Options", "are"];
  throw new UsageError(
    `${noun} ${list([...new Set(ways)], "or")} ${verb} needed too: a model has several checkpoints`,
  );
}

/** The checkpoints of a place, for the library. */
export function checkpointsOf(
  { weights: _weights, classNames: _names, without: _without, ...checkpoints }: CheckpointPlace,
): Checkpoints {
  return Object.fromEntries(
    Object.entries(checkpoints).map(([key, path]) => [key.replace(/Ckpt$/, ""), path]),
  );
}

/** Values of the options that say how to load a model. */
export interface LoadValues {
  readonly device: DeviceKind | "auto";
  readonly dtype: Dtype | "auto";
  readonly cpuProvider: CpuProvider | "auto";
  readonly threads?: number | undefined;
  readonly memory?: number | undefined;
  readonly compute?: Compute | undefined;
  readonly cacheDtype?: CacheDtype | undefined;
  readonly offload?: "none" | "blocks" | undefined;
  readonly keepTextEncoder?: boolean | undefined;
  readonly modelDepth?: number | undefined;
  /** Name of the size, of a family that tells its models by such. */
  readonly modelSize?: string | undefined;
  /** Whether to say nothing on the way. */
  readonly quiet?: boolean | undefined;
}

/**
 * Loads a model where the options say, and says so.
 *
 * @param check Refuses what is known to be impossible before anything large is loaded, which takes minutes.
 * @throws {UsageError} If the model is of another depth or does not fit.
 */
export async function load(
  place: ModelPlace,
  values: LoadValues,
  io: Io,
  check: (outline: ModelOutline) => void,
): Promise<Model> {
  const { device, dtype, threads, memory, modelDepth, modelSize, quiet = false } = values;
  const { compute, cacheDtype, offload, keepTextEncoder } = values;
  const notice = (text: string): void => {
    if (!quiet) say(io, text);
  };
  const kind = device === "auto" ? await chooseDevice(notice) : device;
  const cpuProvider = kind === "cpu" ? await chooseProvider(values.cpuProvider, notice) : values.cpuProvider;
  using transfer = new Transfer(io);
  const common = {
    device: kind,
    check,
    dtype,
    cpuProvider,
    ...(quiet ? {} : { onProgress: transfer.report }),
    ...(threads === undefined ? {} : { threads }),
    ...(memory === undefined ? {} : { memory }),
    ...(compute === undefined ? {} : { compute }),
    ...(cacheDtype === undefined ? {} : { cacheDtype }),
    ...(offload === undefined ? {} : { offload }),
    ...(keepTextEncoder ? { keepTextEncoder } : {}),
    ...(modelDepth === undefined ? {} : { depth: modelDepth }),
    ...(modelSize === undefined ? {} : { size: modelSize }),
    ...(place.without === undefined ? {} : { without: place.without }),
  };
  const { source, weights, classNames } = "folder" in place
    ? { source: place.folder }
    : { source: checkpointsOf(place), weights: place.weights, classNames: place.classNames };
  const hub = typeof source === "string" ? hubPlace(source) : undefined;
  if (hub !== undefined) sayHubNotice(hub, io, { quiet });
  notice(`loading ${typeof source === "string" ? source : list(Object.values(source).map(String), "and")}`);
  try {
    const names = classNames === undefined ? {} : { classNames: await readClassNames(classNames) };
    const places = typeof source === "string" ? [source] : Object.values(source).map(String);
    const chosen = weights === undefined ? {} : { weights };
    const loading = readPlaces(places, () => loadModel(source, { ...common, ...names, ...chosen }));
    const model = await untilEnded(io.signal, loading);
    if (dtype === "auto" && model.dtype !== "f32") {
      notice(`weights as ${model.dtype}, the most precise type that fits; see --dtype and --memory`);
    }
    return model;
  } catch (error) {
    // A depth or type that the model cannot have.
    if (error instanceof RangeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/**
 * Says what is to be known of a repository before one of its files is fetched or used. Limits of a licence
 * are said in any case.
 */
export function sayHubNotice(place: HubPlace, io: Io, { quiet }: { readonly quiet: boolean }): void {
  const known = hubNotice(place);
  if (known === undefined) return;
  const { title, licence, commercial, use } = known;
  const text = `${title}, licence ${licence}; ${use}`;
  if (!commercial) say(io, `warning: ${text}; the licence does not permit commercial use`);
  else if (!quiet) say(io, text);
}

/** How a model is kept in memory. */
export interface MemoryRecord {
  /** Type of the large weights; records made before there was a choice are without it. */
  readonly dtype?: Dtype;
  /** Type that they have where they lie; records made before it was noted are without it. */
  readonly storedDtype?: Dtype;
  /** How large products were computed; f32 where it is not noted. */
  readonly compute?: Compute;
  /** Type of keys and values; f32 where it is not noted. */
  readonly cacheDtype?: CacheDtype;
  /** Which weights were read whenever they were used; none where it is not noted. */
  readonly offload?: "none" | "blocks";
}

/** How a model is kept in memory, as records hold it; of what a family has no choice of, nothing. */
export function memoryRecord(
  { dtype, storedDtype = dtype, compute, cacheDtype, offload }: Model,
): MemoryRecord & { readonly dtype: Dtype } {
  return {
    dtype,
    storedDtype,
    ...(compute === undefined || compute === "f32" ? {} : { compute }),
    ...(cacheDtype === undefined ? {} : { cacheDtype }),
    ...(offload === undefined ? {} : { offload }),
  };
}

/** The size of a model as records hold it: a depth, or the name of a size. */
export function sizeRecord(size: ModelSize): { readonly depth: number } | { readonly size: string } {
  return typeof size === "number" ? { depth: size } : { size };
}

/** The device of `--device auto`, which is told. */
export async function chooseDevice(notice: (text: string) => void): Promise<DeviceKind> {
  const reason = await whyNoGpu();
  if (reason === undefined) return "webgpu";
  notice(`${reason}; running on the CPU`);
  return "cpu";
}

/** Who computes on the CPU, which is told where nobody has said. */
export async function chooseProvider(
  choice: CpuProvider | "auto",
  notice: (text: string) => void,
): Promise<CpuProvider> {
  if (choice !== "auto") return choice;
  const reason = await whyNotNative();
  notice(reason === undefined ? "computing natively" : `computing in WebAssembly; ${reason}`);
  return reason === undefined ? "native" : "wasm";
}
