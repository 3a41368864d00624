/**
 * A model in a thread of its own: what comes back is what the library makes on this thread, and however a job
 * ends, the next one finds the thread as it should be.
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { HostedEvent } from "../../../cli/hosting/hosted_job.ts";
import { HostedModel } from "../../../cli/hosting/hosted_model.ts";
import { UsageError } from "../../../cli/io.ts";
import { generate, loadModel, varScaling } from "../../../mod.ts";
import "../../native.ts";
import { succeed } from "../run.ts";
import { DEMO, eventsOf, only } from "./hosted_models.ts";

/** The graph runtime keeps its threads, so nothing is sanitized. */
function testThread(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

testThread("HostedModel: a job makes what the library makes, and the record repeats it", async () => {
  const notices: string[] = [];
  await using hosted = await HostedModel.open(DEMO, { onNotice: (line) => notices.push(line) });
  assertEquals(notices, ["loading demo"]);
  const { facts } = hosted;
  assertEquals([facts.name, facts.family, facts.device.provider], ["demo", "var", "wasm"]);
  assertEquals(facts.patchNumbers, [1, 2, 3, 4, 6, 8]);
  assertEquals(facts.pictureSize, { width: 64, height: 64 });
  assertEquals([facts.encodes, facts.decodes, facts.verifier], [true, true, true]);
  const job = {
    options: { seed: 2n ** 64n - 1n, cfg: 2, samples: 20, preview: [1], batch: 2 },
    labels: ["red torus", "blue cone", null],
    indices: [4, 4, 0],
  };
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const events = await eventsOf(hosted.generate(job));
  clearInterval(timer);
  // This thread was free all the time; held, it would have had no turn between the first and the last event.
  assert(ticks > 5, `${ticks} turns`);

  await using model = await loadModel("demo", { device: "cpu", cpuProvider: "wasm", threads: 1 });
  const { images } = await generate(model, {
    ...{ labels: job.labels, indices: job.indices, seed: 2n ** 64n - 1n, cfg: 2 },
    hooks: [varScaling({ samples: 20 })],
  });
  const made = only(events, "image");
  assertEquals(made.map(({ place, index, caption }) => [place, index, caption]), [
    [0, 4, "red torus #4"],
    [1, 4, "blue cone #4"],
    [2, 0, "null class #0"],
  ]);
  for (const [i, image] of images.entries()) {
    assertEquals(made[i]!.png, image.png());
    assertEquals(made[i]!.tokens, image.tokens);
    assertEquals(made[i]!.decisions, image.decisions);
  }
  assertEquals(
    events.map(({ type }) => type).join(" "),
    [
      "begun",
      ...["batch scale scale preview scale scale scale scale image image"],
      ...["batch scale scale preview scale scale scale scale image done"],
    ].join(" "),
  );
  const previews = only(events, "preview");
  assertEquals(previews.map(({ scale, images }) => [scale, images.map(({ place }) => place)]), [
    [1, [0, 1]],
    [1, [2]],
  ]);

  const { record } = only(events, "done")[0]!;
  const folder = await Deno.makeTempDir({ prefix: "varscale-hosted-" });
  try {
    await Deno.writeTextFile(
      `${folder}/run.json`,
      JSON.stringify(record, (_, value) => typeof value === "bigint" ? String(value) : value),
    );
    const again = [
      "generate",
      "--repeat",
      `${folder}/run.json`,
      "--device",
      "cpu",
      "-q",
      "--json",
      "--no-recipe",
    ];
    const { out } = await succeed(...again, "-o", `${folder}/again`);
    assertEquals(JSON.parse(out).repeat, { images: 3, sameTokens: 3, sameFiles: 3 });
    for (const { file, png } of made) assertEquals(await Deno.readFile(`${folder}/again/${file}`), png);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

testThread("HostedModel: jobs are done in order, and those that end early leave no trace", async () => {
  const hosted = await HostedModel.open(DEMO);
  const order: string[] = [];
  const first = hosted.generate({ options: {}, labels: ["red torus"] });
  const watched = (async () => {
    // Left in the middle.
    for await (const event of first) {
      order.push(`first ${event.type}`);
      if (event.type === "scale") break;
    }
  })();
  const controller = new AbortController();
  const waiting = assertRejects(
    () => eventsOf(hosted.generate({ options: {}, labels: ["red torus"] }, { signal: controller.signal })),
    Error,
    "not any more",
  );
  const wrong = assertRejects(
    () => eventsOf(hosted.generate({ options: { seed: 1 }, labels: ["red tors"] })),
    UsageError,
    'Cannot find the class "red tors" in the model "demo"; did you mean "red torus"?',
  );
  const last = (async () => {
    const events = await eventsOf(hosted.generate({ options: { seed: 5 }, labels: ["red torus"] }));
    order.push(...events.map(({ type }) => `last ${type}`));
    return only(events, "image")[0]!;
  })();
  controller.abort(new Error("not any more"));
  await Promise.all([watched, waiting, wrong]);
  const { sha256 } = await last;
  assertEquals(order.slice(0, 4), ["first begun", "first batch", "first scale", "last begun"]);

  // Ended by a signal in the middle: what follows is what it would have been.
  const ending = new AbortController();
  const seen: HostedEvent[] = [];
  await assertRejects(
    async () => {
      const events = hosted.generate({ options: { count: 8 }, labels: ["red torus"] }, {
        signal: ending.signal,
      });
      for await (const event of events) {
        seen.push(event);
        if (event.type === "scale") ending.abort(new Error("enough"));
      }
    },
    Error,
    "enough",
  );
  assertEquals(seen.at(-1)!.type, "aborted");
  assert(only(seen, "scale").length < 6, "it went on to the last scale");
  const again = await eventsOf(hosted.generate({ options: { seed: 5 }, labels: ["red torus"] }));
  assertEquals(only(again, "image")[0]!.sha256, sha256);

  // Closed in the middle.
  const closed = assertRejects(
    async () => {
      for await (const event of hosted.generate({ options: { count: 8 }, labels: ["red torus"] })) {
        if (event.type === "batch") hosted[Symbol.asyncDispose]();
      }
    },
    Error,
    "The model is closed",
  );
  await closed;
  await hosted[Symbol.asyncDispose]();
  await assertRejects(() => eventsOf(hosted.generate({ options: {}, labels: [] })), Error, "is closed");
});

testThread("HostedModel: a model that cannot be loaded is told as on this thread", async () => {
  await assertRejects(
    () => HostedModel.open({ ...DEMO, place: { folder: "/nowhere/at/all" } }),
    UsageError,
    "/nowhere/at/all",
  );
  await assertRejects(
    () => HostedModel.open({ ...DEMO, loading: { ...DEMO.loading, modelDepth: 5 } }),
    UsageError,
    "depth",
  );
  const controller = new AbortController();
  const opening = HostedModel.open(DEMO, { signal: controller.signal });
  controller.abort(new Error("not any more"));
  await assertRejects(() => opening, Error, "not any more");
});

testThread(
  "HostedModel: a thread that ends on its own fails its job, and the next one gets another",
  async () => {
    const module = new URL("./odd_thread.ts", import.meta.url);
    await using hosted = await HostedModel.open(DEMO, { module });
    for (const _ of [1, 2]) {
      const error = await assertRejects(() => eventsOf(hosted.generate({ options: {}, labels: [] })), Error);
      assertStringIncludes(error.message, "The thread of the model has ended: ");
      assertStringIncludes(error.message, "no memory left");
    }
    // What cannot be sent to it does it no harm.
    const wrong = { cfg: (() => 1) as unknown as number };
    await assertRejects(() => eventsOf(hosted.generate({ options: wrong, labels: [] })), DOMException);
  },
);
