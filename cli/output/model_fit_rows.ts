/**
 * What a model takes and where it fits, in rows of words.
 *
 * @module
 */

import type { ModelFit, ModelNeeds, TypeFit } from "../../mod.ts";
import { duration, size } from "./units.ts";

/** A model before it is loaded, and the places where it could be. */
export interface ModelReport {
  readonly needs: Pick<ModelNeeds, "name" | "family" | "picture" | "stored">;
  readonly places: readonly ModelFit[];
}

/** Names with what is to be said of them. */
export function modelFitRows({ needs, places }: ModelReport): [string, string][] {
  const { name, family, picture: { width, height }, stored } = needs;
  const measured = places.some(({ types }) => types.some(({ seconds }) => seconds !== undefined));
  return [
    ["model", `${name}: ${family}, pictures of ${width}×${height}, weights stored as ${stored}`],
    [
      "a picture takes",
      `weights, and memory with one guided picture${measured ? "; seconds at the least" : ""}`,
    ],
    ...places.flatMap(placeRows),
  ];
}

function placeRows({ device, provider, available, types }: ModelFit): [string, string][] {
  const where = provider === "webgpu" ? device : `${device}, ${provider}`;
  const free = available === undefined ? "how much is free, nothing tells" : `${size(available)} free`;
  return [
    [`  ${provider}`, `${where}: ${free}`],
    ...types.map((fit): [string, string] => [
      `    ${fit.dtype}`,
      describeFit(fit),
    ]),
  ];
}

function describeFit({ weights, bytes, fits, reason, seconds }: TypeFit): string {
  const facts = [
    `${fits ? "✓" : "✗"} ${size(weights)}, ${size(bytes)}`,
    ...(seconds === undefined ? [] : [duration(1000 * seconds)]),
    ...(reason === undefined ? [] : [reason]),
  ];
  return facts.join("; ");
}
