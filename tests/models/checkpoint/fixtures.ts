/**
 * The files that torch made, and what torch says is in them (see tests/fixtures/checkpoint/make.py).
 *
 * @module
 */

import expected from "../../fixtures/checkpoint/expected.json" with { type: "json" };

/** What torch says of one file. */
export interface ExpectedFile {
  /** `float32` is null where torch has no such values, or none that keep the whole number. */
  tensors: Record<string, { dtype: string; shape: number[]; bytes: string; float32: string | null }>;
  metadata: Record<string, unknown>;
}

export const expectedFiles: Readonly<Record<string, ExpectedFile>> = expected;

export function fixture(name: string): URL {
  return new URL(`../../fixtures/checkpoint/${name}`, import.meta.url);
}
