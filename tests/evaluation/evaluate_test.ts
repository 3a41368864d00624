/** Pictures evaluated from files to values, beside NumPy's and SciPy's numbers. */

import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { evaluatePictures, type EvaluateRequest } from "../../evaluation/evaluate.ts";
import { openPictures } from "../../evaluation/pictures/source.ts";
import { openReference } from "../../evaluation/reference.ts";
import type { METRICS } from "../../evaluation/measure.ts";
import { RgbaImage } from "../../sampler/mod.ts";
import { fixture, testInFolder } from "../cli/run.ts";
import { deno } from "../deno_process.ts";
import expected from "../fixtures/evaluation/evaluate/expected.json" with { type: "json" };
import { levelNetwork, textLevelNetwork } from "./level_network.ts";

const own = fixture("evaluation/evaluate/own.npz");
const real = fixture("evaluation/evaluate/real.npz");
const statistics = fixture("evaluation/evaluate/statistics.npz");

/** Sums of f32 features in f64 there and here: the last digits of f32 are 6e-8 of values below 16. */
const TOLERANCE = 1e-5;

Deno.test("evaluatePictures: all metrics are NumPy's and SciPy's", async () => {
  await using network = levelNetwork();
  const { values, metrics, count, each, reference } = await evaluatePictures({
    pictures: await openPictures(own),
    network,
    reference: await openReference(real),
    metrics: ["fid", "is", "kid", "pr", "accuracy", "diversity"],
    inceptionScore: { splits: 4 },
  });
  assertEquals(count, 40);
  assertEquals(reference, { place: real, count: 28 });
  const { deviation, ...wanted } = expected;
  assertEquals(metrics.map(({ key }) => key), Object.keys(wanted));
  for (const [key, value] of Object.entries(wanted)) {
    assertAlmostEquals(values[key]!.value, value, TOLERANCE, key);
  }
  assert(metrics[1]!.note?.startsWith(`mean of 4 parts ± ${deviation.toFixed(2)}`), metrics[1]!.note);
  assertEquals(each.accuracy?.length, 40);
  for (const key of ["fid", "kid", "accuracy", "diversity"]) {
    const { value, low, high } = values[key]!;
    assert(low! < value && value < high!, `${key}: ${low} ${value} ${high}`);
  }
  // Each picture once, and those of the reference.
  assertEquals(network.looks.pictures, 40 + 28);
});

Deno.test("evaluatePictures: without being asked it takes what there is", async () => {
  await using network = levelNetwork();
  const pictures = await openPictures(own);
  const keys = async (more: Partial<EvaluateRequest>): Promise<string[]> => {
    return Object.keys((await evaluatePictures({ pictures, network, ...more })).values);
  };
  assertEquals(await keys({}), ["is", "accuracy"]);
  assertEquals(await keys({ reference: await openReference(statistics) }), ["fid", "is", "accuracy"]);
  await using features = levelNetwork({ outputs: ["features"] });
  assertEquals(await keys({ network: features, metrics: ["diversity"] }), ["diversity"]);
  await assertRejects(() => keys({ network: features }), RangeError, "there is no metric that needs neither");
});

Deno.test("evaluatePictures: of many pictures moments stay in memory, not rows", async () => {
  const program = "tests/evaluation/many_pictures.ts";
  const { success, out, output } = await deno([
    ...["run", "--quiet", "--no-lock", "--no-check", "--v8-flags=--expose-gc", program],
  ]);
  assert(success, output);
  const { taken, rows, fid } = JSON.parse(out);
  assertEquals(taken.length, 17);
  // Moments are half a megabyte, and a batch a few of its kind; all rows are 16.
  const grown = Math.max(...taken) - taken[0];
  assert(grown < rows / 4, `${grown} of ${rows} bytes`);
  // Numbers from 0 to 1: their mean is 1/2, and 1/√12 their deviation instead of 1.
  assertAlmostEquals(fid, 256 * (1 / 4 + (1 - Math.sqrt(1 / 12)) ** 2), 1);
});

Deno.test("evaluatePictures: statistics without a name are taken on trust, which is told", async () => {
  await using network = levelNetwork();
  const { values, notes, reference } = await evaluatePictures({
    pictures: await openPictures(own),
    network,
    reference: await openReference(statistics),
    metrics: ["fid"],
  });
  assertAlmostEquals(values.fid!.value, expected.fid, TOLERANCE);
  assertEquals(notes, [
    `${statistics} does not say which network it is of; that it is levels is taken on trust`,
  ]);
  assertEquals(reference, { place: statistics });
});

Deno.test("evaluatePictures: what was kept gives the same values without looking", async () => {
  await using network = levelNetwork();
  const pictures = await openPictures(own);
  const first = await evaluatePictures({ pictures, network, keep: ["features"], moments: ["features"] });
  assertEquals(Object.keys(first.kept.rows).sort(), ["features", "logits"]);
  assertEquals(first.kept.labels, pictures.labels);
  assertEquals(first.statistics.features?.count, 40);
  assertEquals(network.looks.pictures, 40);
  const again = await evaluatePictures({ pictures, network, kept: first.kept, moments: ["features"] });
  assertEquals(again.values, first.values);
  assertEquals(again.statistics.features?.covariance, first.statistics.features?.covariance);
  assertEquals(network.looks.pictures, 40);
  const { logits: _, ...rows } = first.kept.rows;
  await assertRejects(
    () => evaluatePictures({ pictures, network, kept: { ...first.kept, rows } }),
    RangeError,
    "the kept rows have no logits",
  );
  await using other = levelNetwork({ name: "other" });
  await assertRejects(
    () => evaluatePictures({ pictures, network: other, kept: first.kept }),
    Error,
    "another network made it",
  );
});

Deno.test("evaluatePictures: a metric that lacks something is refused before anything is looked at", async () => {
  await using network = levelNetwork();
  const pictures = await openPictures(own);
  const { labels: _, ...unlabelled } = pictures;
  const refused = async (more: Partial<EvaluateRequest>, message: string): Promise<void> => {
    await assertRejects(() => evaluatePictures({ pictures, network, ...more }), Error, message);
  };
  await refused({ metrics: ["fid"] }, "by fid as it compares with real pictures: a reference is needed");
  await refused({ metrics: ["sfid"] }, "by sfid as levels says no spatial, but features, logits");
  await refused({ metrics: ["clip"] }, "by clip as levels does not read texts");
  await refused(
    { metrics: ["accuracy"], pictures: unlabelled },
    "nothing says which class each picture should show",
  );
  await refused(
    { metrics: ["kid"], reference: await openReference(statistics) },
    "has no features of single pictures, and no pictures to take them of",
  );
  const pytorch = fixture("evaluation/npz/pytorch_fid.npz");
  await refused({ labels: [1, 2] }, "labels must be one for each of 40 pictures: current value is 2");
  await refused({ metrics: ["is"], inceptionScore: { chunk: 30 } }, "a multiple of the chunk, 30");
  // Whoever says how pictures are parted wants the score, whether or not it is named.
  await refused({ inceptionScore: { chunk: 30 } }, "a multiple of the chunk, 30");
  await refused({ inceptionScore: { splits: 50 } }, "at least the 50 splits");
  await refused({ metrics: ["accuracy"], labels: new Array(40).fill(4) }, "below the 4 of levels");
  await refused(
    { metrics: ["diversity"], labels: pictures.names.map((_, i) => i) },
    "at least two of one subject",
  );
  const few = { values: new Float32Array(18), count: 3, dimensions: 6 };
  await refused(
    { metrics: ["pr"], reference: { place: "few.npz", statistics: { rows: few, count: 3 } } },
    "by pr as the number of real pictures must be at least 4: current value is 3",
  );
  await refused({ metrics: ["iz" as "is"] }, 'each metric must be one of "fid"');
  await refused({ metric: ["is"] } as Partial<EvaluateRequest>, 'the option "metric" is unknown');
  await refused(
    { metrics: ["fid"], reference: await openReference(pytorch) },
    "the reference has 4 features a picture, and levels has 6: it is of another network",
  );
  // Only that is known when a batch has been looked at.
  assertEquals(network.looks.pictures, 40);
  const { statistics: taken } = await evaluatePictures({ pictures, network, moments: ["features"] });
  const reference = {
    place: "other.npz",
    statistics: { ...taken, network: { name: "other", fingerprint: "" } },
  };
  await refused(
    { metrics: ["fid"], reference },
    "Cannot use the reference as another network made it: other.npz",
  );
});

testInFolder("evaluatePictures: too few pictures for a metric", async (folder) => {
  await Deno.writeFile(`${folder}/1.png`, new RgbaImage(2, 2).png());
  await using network = levelNetwork();
  const pictures = await openPictures(folder);
  const reference = await openReference(real);
  const refused = async (metric: typeof METRICS[number], message: string): Promise<void> => {
    await assertRejects(
      () => evaluatePictures({ pictures, network, reference, metrics: [metric] }),
      RangeError,
      message,
    );
  };
  await refused("fid", "by fid as the number of pictures must be at least 2: current value is 1");
  await refused("kid", "by kid as the number of pictures must be at least 2: current value is 1");
  await refused("pr", "by pr as the number of pictures must be at least 4: current value is 1");
  await refused("is", "at least the 10 splits");
  await assertRejects(
    () => evaluatePictures({ pictures, network, moments: ["features"] }),
    RangeError,
    "Cannot take mean and covariance as the number of pictures must be at least 2: current value is 1",
  );
  await refused("diversity", "by diversity as the number of pictures must be at least 2: current value is 1");
});

testInFolder("evaluatePictures: the picture of which a network makes a NaN is named", async (folder) => {
  for (const red of [1, 2, 3]) {
    const image = new RgbaImage(2, 2);
    image.data[0] = red;
    await Deno.writeFile(`${folder}/${red}.png`, image.png());
  }
  await using network = levelNetwork({ broken: 2 });
  const pictures = await openPictures(folder);
  await assertRejects(
    () => evaluatePictures({ pictures, network, metrics: ["diversity"] }),
    RangeError,
    "levels makes NaN of 2.png: its features",
  );
});

testInFolder("evaluatePictures: folders that are called like classes have these", async (folder) => {
  for (const [name, channel] of [["red", 0], ["blue", 2]] as const) {
    await Deno.mkdir(`${folder}/${name}`);
    for (const level of [200, 255]) {
      const image = new RgbaImage(1, 1);
      image.data[channel] = level;
      await Deno.writeFile(`${folder}/${name}/${level}.png`, image.png());
    }
  }
  await using network = levelNetwork();
  const { values } = await evaluatePictures({ pictures: await openPictures(folder), network });
  assertEquals(values.accuracy?.value, 1);
});

Deno.test("evaluatePictures: progress is told from none to all, and a signal ends it", async () => {
  await using network = levelNetwork();
  const pictures = await openPictures(own);
  const told: string[] = [];
  await evaluatePictures({
    pictures,
    network,
    reference: await openReference(real),
    metrics: ["fid"],
    onProgress: ({ of, done, total }) => told.push(`${of} ${done}/${total}`),
  });
  assertEquals(told, ["reference 0/28", "reference 28/28", "pictures 0/40", "pictures 40/40"]);
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => evaluatePictures({ pictures, network, signal }), Error, "enough");
});

testInFolder(
  "evaluatePictures: pictures are compared with their prompts, each described once",
  async (folder) => {
    const prompts = ["red", "blue", "red"];
    for (const [i, levels] of [[255, 0, 0], [255, 0, 0], [255, 255, 0]].entries()) {
      const image = new RgbaImage(1, 1);
      image.data.set(levels);
      await Deno.writeFile(`${folder}/${i}.png`, image.png());
    }
    const told: string[] = [];
    await using network = textLevelNetwork(told);
    const pictures = await openPictures(folder);
    const { values, each } = await evaluatePictures({ pictures, network, prompts, metrics: ["clip"] });
    assertEquals(told, ["red", "blue"]);
    // (1, 0, 0, 1, 0, 0) is 45° from red and 90° from blue, (1, 1, 0, 1, 1, 0) is 60° from red.
    const wanted = [100 * Math.SQRT1_2, 0, 50];
    for (const [i, score] of each.clip!.entries()) assertAlmostEquals(score, wanted[i]!, 1e-5);
    assertAlmostEquals(values.clip!.value, (wanted[0]! + wanted[2]!) / 3, 1e-5);
    await assertRejects(
      () => evaluatePictures({ pictures, network, metrics: ["clip"] }),
      RangeError,
      "nothing says which prompt each picture should show",
    );
  },
);

testInFolder("evaluatePictures: interrupted work goes on, and comes to the same values", async (folder) => {
  for (let i = 0; i < 600; i++) {
    const image = new RgbaImage(1, 1);
    image.data.set([i % 256, 7 * i % 256, 31 * i % 256]);
    await Deno.writeFile(`${folder}/${i}.png`, image.png());
  }
  const journal = `${folder}/rows.part`;
  const pictures = await openPictures(folder);
  const reference = await openReference(statistics);
  await using network = levelNetwork();
  const request: EvaluateRequest = { pictures, network, reference, metrics: ["fid", "is"] };
  const whole = await evaluatePictures(request);
  const controller = new AbortController();
  await assertRejects(
    () =>
      evaluatePictures({
        ...request,
        journal,
        signal: controller.signal,
        onProgress: ({ done }) => done >= 512 && controller.abort(new Error("enough")),
      }),
    Error,
    "enough",
  );
  const told: number[] = [];
  network.looks.pictures = 0;
  const again = await evaluatePictures({ ...request, journal, onProgress: ({ done }) => told.push(done) });
  assertEquals([told, network.looks.pictures], [[512, 576, 600], 88]);
  assertEquals(again.values, whole.values);
  // It is there until the caller has kept what came of it.
  network.looks.pictures = 0;
  await evaluatePictures({ ...request, journal });
  assertEquals(network.looks.pictures, 0);
});
