/**
 * Where the parts of a model lie in a checkpoint: trainers put names in front of those that were published
 * (`state_dict.model.`), wrappers put theirs in between (`_orig_mod.`, `module.`), and one file may hold
 * several sets of the same tensors, raw and averaged ones. What a part is, the families say.
 *
 * @module
 */

import { mustBe, shown } from "../kernels/arguments.ts";
import type { Checkpoint, TensorInfo } from "./checkpoint/mod.ts";
import type { CheckpointPart } from "./family.ts";
import { ModelFileError } from "./model_file_error.ts";

/** One set of a part's tensors in a checkpoint. */
export interface PartPlace {
  /** What stands in front of all their names in the file. */
  readonly prefix: string;
  /** The tensors by the names that they have in the part; each knows its name in the file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/**
 * What `DistributedDataParallel`, `torch.compile`, fully sharded training and activation checkpointing call
 * the module that they wrap. None of them means anything, wherever in a name it stands; but `module` before
 * a number is a list of the model's own.
 */
const WRAPPERS: readonly string[] = [
  "module",
  "_orig_mod",
  "_fsdp_wrapped_module",
  "_checkpoint_wrapped_module",
];
/** More sets of the same tensors than any trainer saves; what comes after them is not looked at. */
const MAX_PLACES = 32;

/**
 * Finds the parts of a model in a checkpoint.
 *
 * @param parts The parts that a model of a family has.
 * @param checkpoint The checkpoint.
 * @returns The sets of each part's tensors, in the order of the file; what has not half as many tensors as
 * the largest is none.
 *
 * @example
 * ```ts
 * import { partPlaces } from "./part_places.ts";
 * import { VAR } from "./var/family.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const names = ["ema.module.pos_start", "model._orig_mod.pos_start"];
 * const tensors = new Map(names.map((name) => [name, { name, dtype: "F32", shape: [1, 1, 64] } as const]));
 * const [sets] = partPlaces(VAR.parts, { tensors });
 * assertEquals(sets!.map(({ prefix }) => prefix), ["ema.module.", "model._orig_mod."]);
 * assertEquals(sets!.map(({ tensors }) => [...tensors.keys()]), [["pos_start"], ["pos_start"]]);
 * ```
 */
export function partPlaces(
  parts: readonly CheckpointPart[],
  { tensors }: Pick<Checkpoint, "tensors">,
): readonly (readonly PartPlace[])[] {
  const prefixes = parts.map((part) => prefixesOf(part, tensors));
  const all = [...new Set(prefixes.flat())];
  return parts.map((part, i) => {
    const found = prefixes[i]!.map((prefix): PartPlace => {
      // What lies deeper is another set: averages beside the weights, a tokenizer within a transformer.
      const deeper = all.filter((other) => other !== prefix && other.startsWith(prefix));
      return { prefix, tensors: tensorsBehind(prefix, tensors, { deeper, part }) };
    }).filter(({ tensors }) => part.isIn(tensors));
    // A few tensors of the same names, such as an optimizer keeps, are no set of weights; averages without
    // the buffers are.
    const most = Math.max(...found.map(({ tensors }) => tensors.size));
    return found.filter(({ tensors }) => 2 * tensors.size >= most);
  });
}

/** What stands in front of the landmark's name, wherever it is found. */
function prefixesOf(
  { landmark, nameOf = asStored }: CheckpointPart,
  tensors: Checkpoint["tensors"],
): string[] {
  const patterns = [landmark].flat().map((name) => {
    const wrapped = name.split(".").map(RegExp.escape).join(`\\.(?:(?:${WRAPPERS.join("|")})\\.)*`);
    return new RegExp(`^((?:.*\\.)?)${wrapped}$`, "s");
  });
  const prefixes = tensors.keys().flatMap((name) => {
    const own = nameOf(name);
    return patterns.flatMap((pattern) => pattern.exec(own)?.slice(1) ?? []);
  });
  return [...new Set(prefixes)].slice(0, MAX_PLACES);
}

function asStored(name: string): string {
  return name;
}

function tensorsBehind(
  prefix: string,
  tensors: Checkpoint["tensors"],
  { deeper, part: { nameOf = asStored } }: {
    readonly deeper: readonly string[];
    readonly part: CheckpointPart;
  },
): Map<string, TensorInfo> {
  const found = new Map<string, TensorInfo>();
  for (const [name, tensor] of tensors) {
    if (!name.startsWith(prefix) || deeper.some((other) => name.startsWith(other))) continue;
    const rest = name.slice(prefix.length);
    const segments = rest.split(".");
    const own = nameOf(segments.filter((_, i) => !isWrapper(segments, i)).join("."));
    const twin = found.get(own);
    // Of two spellings of a name the model's own is meant, so the other one is left over.
    if (twin !== undefined && rest === own) found.set(twin.name.slice(prefix.length), twin);
    found.set(twin === undefined || rest === own ? own : rest, tensor);
  }
  return found;
}

function isWrapper(segments: readonly string[], i: number): boolean {
  const [segment = "", next = ""] = segments.slice(i, i + 2);
  return WRAPPERS.includes(segment) && !(segment === "module" && /^\d+$/.test(next));
}

/** Names for people: `model`, without the dot behind it. */
function nameOf({ prefix }: PartPlace): string {
  return prefix.replace(/\.$/, "");
}

/** The names of several sets, as a person may say which. */
export function namesOfPlaces(places: readonly PartPlace[]): string[] {
  return places.map((place) => shown(nameOf(place)));
}

/** One of a part's sets, and what it is called where there are others. */
export interface ChosenPlace {
  /** The set. */
  readonly place: PartPlace;
  /** Its name, where there are several. */
  readonly name: string | undefined;
}

/**
 * Chooses one of the sets of each part.
 *
 * @param found The sets of each part, at least one each, and the file they are in.
 * @param weights Which one, by what stands in front of its names or by some of it: `ema` stands for
 * `ema.module.`, and where nothing is called so, for `model_ema.module.`. A part of which there is one set
 * only needs no choice.
 * @throws {ModelFileError} If there are several and nothing says which.
 * @throws {RangeError} If there is none of this name, or more than one, or nothing to choose from.
 */
export function choosePlaces(
  found: readonly {
    readonly part: CheckpointPart;
    readonly file: string;
    readonly places: readonly PartPlace[];
  }[],
  weights: string | undefined,
): ChosenPlace[] {
  const matches = found.map(({ places }) => weights === undefined ? [] : matching(places, weights));
  const isUnknown = weights !== undefined && matches.every(({ length }) => length === 0);
  const isChoice = found.some(({ places }) => places.length > 1);
  return found.map(({ part, file, places }, i) => {
    const [first, ...others] = matches[i]!;
    if (first !== undefined && others.length === 0) {
      return { place: first, name: places.length === 1 ? undefined : nameOf(first) };
    }
    if (places.length === 1 && (isChoice || !isUnknown)) return { place: places[0]!, name: undefined };
    if (places.length === 1) {
      throw new RangeError(
        `Cannot choose the weights ${
          shown(weights)
        } of ${part.title} in ${file}: the file has one set of weights; leave weights out`,
      );
    }
    const names = namesOfPlaces(places);
    if (weights === undefined) {
      throw new ModelFileError(
        `Cannot tell which weights of ${part.title} to take, as there are ${places.length} sets of them: say which by the option "weights"`,
        { file, expected: names.join(" or "), found: "no choice" },
      );
    }
    throw new RangeError(
      mustBe(`${names.join(" or ")} for ${part.title} in ${file}`, weights, "weights", "choose the weights"),
    );
  });
}

/** The set of exactly this prefix, or else those that have it in theirs, or else as a word in theirs. */
function matching(places: readonly PartPlace[], weights: string): readonly PartPlace[] {
  const wanted = weights.replace(/\.$/, "");
  const exact = places.filter((place) => nameOf(place) === wanted);
  if (exact.length > 0 || wanted === "") return exact;
  const dotted = places.filter(({ prefix }) => `.${prefix}`.includes(`.${wanted}.`));
  if (dotted.length > 0) return dotted;
  return places.filter(({ prefix }) => prefix.split(/[._-]/).includes(wanted));
}
