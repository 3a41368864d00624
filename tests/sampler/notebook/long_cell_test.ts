/**
 * Long cells, with a notebook that is made up. The interrupt button, which would end the tests, is pressed in
 * a real kernel: `tests/tools/notebooks/kernel_test.ts`.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { longCell, progressOutput } from "../../../sampler/notebook/long_cell.ts";
import { inNotebook } from "./frontend.ts";

/** What shows itself. */
function text(words: string): object {
  return { [Symbol.for("Jupyter.display")]: () => ({ "text/plain": words }) };
}

Deno.test("longCell: gives back what the work returns, and shows nothing outside of a notebook", async () => {
  const result = await longCell(async ({ signal, progress, show }) => {
    progress(1, 2);
    await show({ whatever: 1 });
    return signal.aborted;
  });
  assertEquals(result, false);
});

Deno.test("longCell: one display is drawn again and again, the last state in any case", async () => {
  const shown = await inNotebook(async () => {
    await longCell(async ({ progress, show }) => {
      await show(text("first"));
      await show(text("second"));
      for (let done = 0; done <= 50; done++) progress(done, 50);
    });
  });
  assertEquals(new Set(shown.map(({ id }) => id)).size, 1);
  assertEquals(shown.map(({ type }) => type).slice(0, 2), ["display_data", "update_display_data"]);
  assertEquals(shown.map(({ data }) => data["text/plain"]).slice(0, 2), ["first", "second"]);
  assertEquals(shown.at(-1)!.data, progressOutput(50, 50));
  // Of 51 states that come at once, few are drawn between the first and the last.
  assert(shown.length < 20, `${shown.length} drawings`);
});

Deno.test("longCell: two cells have displays of their own", async () => {
  const shown = await inNotebook(async () => {
    await longCell(({ progress }) => progress(1, 1));
    await longCell(({ progress }) => progress(1, 1));
  });
  assertEquals(shown.map(({ type }) => type), ["display_data", "display_data"]);
  assert(shown[0]!.id !== shown[1]!.id);
});

Deno.test("longCell: how far it came stays where work fails or is stopped", async () => {
  const shown = await inNotebook(async () => {
    await assertRejects(
      () =>
        longCell(({ progress }) => {
          progress(0, 9);
          progress(3, 9);
          throw new RangeError("no");
        }),
      RangeError,
      "no",
    );
  });
  assertEquals(shown.at(-1)!.data["text/plain"], "██████░░░░░░░░░░░░░░ 3 of 9");
});

Deno.test("longCell: what cannot be shown is said by show, and by nothing after it", async () => {
  const shown = await inNotebook(async () => {
    await longCell(async ({ show }) => {
      const bad = { [Symbol.for("Jupyter.display")]: () => Promise.reject(new TypeError("bad")) };
      await assertRejects(() => show(bad), TypeError, "bad");
      await show(text("good"));
    });
  });
  assertEquals(shown.map(({ data }) => data["text/plain"]), ["good"]);
});

Deno.test("longCell: seconds and a signal of one's own stop the work with their reason", async () => {
  const wait = (signal: AbortSignal): Promise<void> =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const late = await assertRejects(
    () => longCell(({ signal }) => wait(signal), { seconds: 0.01 }),
    DOMException,
  );
  assertEquals([late.name, late.message], ["TimeoutError", "The cell was stopped after 0.01 s"]);
  const controller = new AbortController();
  const own = longCell(({ signal }) => wait(signal), { seconds: 600, signal: controller.signal });
  controller.abort(new Error("own"));
  await assertRejects(() => own, Error, "own");
  let begun = false;
  await assertRejects(() => longCell(() => void (begun = true), { signal: controller.signal }), Error, "own");
  assertEquals(begun, false);
});

Deno.test("progressOutput: shares are shown as they are, and nothing beyond all", () => {
  assertEquals(progressOutput(0, 3)["text/plain"], "░░░░░░░░░░░░░░░░░░░░ 0 of 3");
  assertEquals(progressOutput(5, 3)["text/plain"], "████████████████████ 5 of 3");
  assertEquals(progressOutput(0, 0)["text/html"], '<progress value="1"></progress> 0 of 0');
  assertEquals(progressOutput(1, 4)["text/html"], '<progress value="0.25"></progress> 1 of 4');
});
