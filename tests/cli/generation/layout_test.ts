/** The names of a generation's files, before there is one. */

import { assertEquals, assertThrows } from "@std/assert";
import { Layout } from "../../../cli/generation/layout.ts";
import { UsageError } from "../../../cli/io.ts";
import type { ResolvedRequest } from "../../../mod.ts";

/** As much of a request as file names depend on. */
function request(images: number, facts: Partial<ResolvedRequest> = {}): ResolvedRequest {
  const labels = Array.from({ length: images }, () => ({ name: "Red Torus" }));
  return { labels, previews: new Set<number>(), ...facts } as ResolvedRequest;
}

const PLAIN = [{ name: "plain", hooks: [] }];
const BOTH = [...PLAIN, { name: "var-scaling", hooks: [] }];

Deno.test("Layout names images, previews, what is edited, and the grid", () => {
  assertEquals(new Layout(request(1), { variants: PLAIN, grid: undefined }).files(), ["000_red-torus.png"]);
  const previews = new Layout(request(1, { previews: new Set([0, 2]) }), { variants: BOTH, grid: undefined });
  assertEquals(previews.files(), [
    "000_red-torus_plain.png",
    "000_red-torus_plain_scale-0.png",
    "000_red-torus_plain_scale-2.png",
    "000_red-torus_var-scaling.png",
    "000_red-torus_var-scaling_scale-0.png",
    "000_red-torus_var-scaling_scale-2.png",
    "grid.png",
  ]);
  const edit = {} as NonNullable<ResolvedRequest["edit"]>;
  assertEquals(new Layout(request(1, { edit }), { variants: PLAIN, grid: undefined }).files(), [
    ...["000_red-torus.png", "source.png", "region.png"],
  ]);
});

Deno.test("Layout: there is a grid where it is wanted, or of 2 to 64 images", () => {
  const grid = (images: number, wanted?: boolean): boolean => {
    return new Layout(request(images), { variants: PLAIN, grid: wanted }).grid;
  };
  assertEquals([1, 2, 64, 65].map((images) => grid(images)), [false, true, true, false]);
  assertEquals([grid(1, true), grid(512, true), grid(2, false), grid(513, false)], [
    true,
    true,
    false,
    false,
  ]);
  const error = assertThrows(() => grid(513, true), UsageError);
  assertEquals(error.message, "Option --grid must be for at most 512 images: current number is 513");
});
