/** The names of a generation's files, before there is one. */

import { assertEquals, assertThrows } from "@std/assert";
import { Layout } from "../../../cli/generation/layout.ts";
import { UsageError } from "../../../cli/io.ts";
import type { ResolvedRequest } from "../../../mod.ts";

/** As much of a request as file names depend on. */
function request(images: number, facts: Partial<ResolvedRequest> = {}): ResolvedRequest {
  const labels = Array.from({ length: images }, () => ({ name: "Red Torus" }));
  const indices = [...labels.keys()];
  return { labels, indices, previews: new Set<number>(), ...facts } as ResolvedRequest;
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

Deno.test("Layout names strips, and images by their own numbers", () => {
  const two = request(2, { indices: [7, 1000] });
  const layout = new Layout(two, { variants: PLAIN, grid: false, stepwise: true }, (_, scale) => {
    return scale === undefined ? 2 : 4;
  });
  assertEquals(layout.files(), [
    ...["007_red-torus_0.png", "007_red-torus_0_stepwise.png"],
    ...["007_red-torus_1.png", "007_red-torus_1_stepwise.png"],
    ...["1000_red-torus_0.png", "1000_red-torus_0_stepwise.png"],
    ...["1000_red-torus_1.png", "1000_red-torus_1_stepwise.png"],
  ]);
});

Deno.test("Layout: images that share a number are named by their places", () => {
  const layout = new Layout(request(2, { indices: [7, 7] }), { variants: PLAIN, grid: false });
  assertEquals(layout.files(), ["000_red-torus.png", "001_red-torus.png"]);
});

Deno.test("Layout: the only picture that is wanted is alone, and must be among those that are made", () => {
  const facts = { variants: PLAIN, grid: undefined, stepwise: true };
  const two = request(2, { indices: [7, 8] });
  const layout = new Layout(two, { ...facts, only: { index: 8, picture: 1 } }, () => 2);
  assertEquals(layout.files(), ["008_red-torus.png", "008_red-torus_stepwise.png"]);
  assertEquals([layout.cells, layout.grid], [1, false]);
  assertEquals([[1, 1], [1, 0], [0, 1]].map(([place, picture]) => layout.wants(place!, picture!)), [
    ...[true, false, false],
  ]);
  for (const only of [{ index: 9, picture: 0 }, { index: 7, picture: 2 }, { index: 7, picture: -1 }]) {
    const error = assertThrows(() => new Layout(two, { ...facts, only }, () => 2), UsageError);
    assertEquals(
      error.message,
      `Cannot make picture ${only.picture} of image ${only.index}: there are 2 of each of 2 images`,
    );
  }
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
