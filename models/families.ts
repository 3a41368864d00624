/**
 * The families of models that are known, and how it is told which one a name, a folder or checkpoints are of.
 *
 * @module
 */

import { mustBe, shown } from "../kernels/arguments.ts";
import type { Checkpoint } from "./checkpoint/mod.ts";
import type { CheckpointPart, Family } from "./family.ts";
import { FLEXVAR } from "./flexvar/family.ts";
import { INFINITY } from "./infinity/family.ts";
import { MANIFEST, type ModelFolder } from "./folder/model_folder.ts";
import { partNotFound } from "./folder_conversion.ts";
import { ModelFileError } from "./model_file_error.ts";
import { partPlaces } from "./part_places.ts";
import { VAR } from "./var/family.ts";

const families: Family[] = [VAR, FLEXVAR, INFINITY];

/** All families that are known, in the order in which a checkpoint is held against them. */
export const FAMILIES: readonly Family[] = families;

/**
 * Makes a family of one's own known: its checkpoints and folders are then recognised like those of any other.
 *
 * @throws {RangeError} If there is one of this name.
 *
 * @example
 * ```ts
 * import { familyNamed, registerFamily } from "./families.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * registerFamily({ ...familyNamed("var"), name: "mine", title: "Mine" });
 * assertEquals(familyNamed("mine").title, "Mine");
 * assertThrows(() => registerFamily(familyNamed("mine")), RangeError, "there is one");
 * ```
 */
export function registerFamily(family: Family): void {
  if (FAMILIES.some(({ name }) => name === family.name)) {
    throw new RangeError(`Cannot register the family "${family.name}" as there is one of this name`);
  }
  families.push(family);
}

/**
 * The family of a name.
 *
 * @param name Its name in `model.json`.
 * @throws {RangeError} If there is none.
 *
 * @example
 * ```ts
 * import { familyNamed } from "./families.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(familyNamed("flexvar").title, "FlexVAR");
 * ```
 */
export function familyNamed(name: string): Family {
  const found = FAMILIES.find((family) => family.name === name);
  if (found !== undefined) return found;
  throw new RangeError(mustBe(knownNames(), name, "its name", "find the family"));
}

/**
 * The family that a model folder is of.
 *
 * @param folder The folder.
 * @param action What cannot be done otherwise, for the message: `"load a model of this family"`.
 * @throws {ModelFileError} If it is of none that is known.
 */
export function familyOfFolder({ location, manifest }: ModelFolder, action: string): Family {
  const found = FAMILIES.find(({ name }) => name === manifest.family);
  if (found !== undefined) return found;
  throw new ModelFileError(`Cannot ${action}`, {
    file: `${location}/${MANIFEST}`,
    expected: knownNames(),
    found: `"${manifest.family}"`,
  });
}

function knownNames(): string {
  return FAMILIES.map(({ name }) => `"${name}"`).join(" or ");
}

/** The families whose models are made from these parts: all that they need, and no others. */
export function familiesOfParts(names: readonly string[]): readonly Family[] {
  return FAMILIES.filter(({ parts }) => {
    return names.every((name) => parts.some((part) => part.name === name)) &&
      parts.every(({ name, optional = false }) => optional || names.includes(name));
  });
}

/** The parts that models are made from, as they are written in a program: `{ var, vae }`. */
export function knownParts(): string {
  const written = FAMILIES.map(({ parts }) => {
    const names = parts.map(({ name, optional = false }) => optional ? `${name}?` : name);
    return `{ ${names.join(", ")} }`;
  });
  return [...new Set(written)].join(" or ");
}

/**
 * The parts of a family that are left out.
 *
 * @param without Their names.
 * @throws {RangeError} If a model of the family cannot do without one of them.
 *
 * @example
 * ```ts
 * import { familyNamed, partsLeftOut } from "./families.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * assertEquals(partsLeftOut(familyNamed("var"), []), []);
 * assertThrows(() => partsLeftOut(familyNamed("var"), ["vae"]), RangeError, "empty");
 * ```
 */
export function partsLeftOut(
  { title, parts }: Family,
  without: readonly string[],
): readonly CheckpointPart[] {
  const optional = parts.filter((part) => part.optional);
  const odd = without.find((name) => !optional.some((part) => part.name === name));
  if (odd === undefined) return optional.filter(({ name }) => without.includes(name));
  const names = optional.map(({ name }) => shown(name)).join(" and ");
  const wanted = names === "" ? "empty" : `some of ${names}`;
  throw new RangeError(mustBe(`${wanted} for ${title}`, without, "without", "make the model"));
}

/** The parts of a family that a checkpoint holds. */
export function partsIn({ parts }: Family, checkpoint: Checkpoint): readonly CheckpointPart[] {
  const places = partPlaces(parts, checkpoint);
  return parts.filter((_, i) => places[i]!.length > 0);
}

/**
 * The family that checkpoints are of, as their tensors tell.
 *
 * @param checkpoints The checkpoints by the names of the parts that they should hold.
 * @throws {ModelFileError} If one of them holds no such part of any family, or they are of different
 * families.
 */
export function familyOfCheckpoints(checkpoints: Readonly<Record<string, Checkpoint>>): Family {
  const candidates = familiesOfParts(Object.keys(checkpoints));
  const holds = (family: Family, name: string): boolean => {
    return partsIn(family, checkpoints[name]!).some((part) => part.name === name);
  };
  const names = Object.keys(checkpoints);
  const whole = candidates.find((family) => names.every((name) => holds(family, name)));
  if (whole !== undefined) return whole;
  const owners = new Map(names.map((name) => [name, candidates.filter((family) => holds(family, name))]));
  for (const [name, known] of owners) {
    if (known.length > 0) continue;
    // What the other files hold tells what this one should.
    const likely = new Set([...owners.values()].flat());
    const landmarks = [...likely.size > 0 ? likely : candidates].flatMap((family) =>
      partNamed(family, name).landmark
    );
    throw partNotFound(checkpoints[name]!, [...new Set(landmarks)]);
  }
  const [first, ...others] = names as [string, ...string[]];
  const family = owners.get(first)![0]!;
  const odd = others.find((name) => !owners.get(name)!.includes(family))!;
  const other = owners.get(odd)![0]!;
  throw new ModelFileError("Cannot make a model of parts of different families", {
    file: checkpoints[odd]!.file,
    expected: `${partNamed(family, odd).title} of ${family.title}, as ${partNamed(family, first).title} in ${
      checkpoints[first]!.file
    } is`,
    found: `${partNamed(other, odd).title} of ${other.title}`,
  });
}

function partNamed({ parts }: Family, name: string): CheckpointPart {
  return parts.find((part) => part.name === name)!;
}
