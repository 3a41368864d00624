/**
 * `varscale classify` on the CPU with the bundled models.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { classify, generate, loadModel } from "../../../mod.ts";
import { run, succeed, testInFolder } from "../run.ts";

testInFolder("varscale classify: a table for people, and JSON of what the library finds", async (folder) => {
  await using model = await loadModel("demo", { device: "cpu" });
  const { images } = await generate(model, { labels: ["red torus", "gray cube"], seed: 5, cfg: 3 });
  const files = images.map((_, i) => `${folder}/picture ${i}.png`);
  for (const [i, file] of files.entries()) await Deno.writeFile(file, images[i]!.png());
  const asked = ["--labels", "red torus,gray torus,3", "--labels", "gray cube", "--device", "cpu"];
  const stages = ["--stages", "3:2,6:1x2", "--seed", "4", "--noise", "0.2"];
  const { out } = await succeed("classify", ...files, ...asked, ...stages, "-q");
  const [head, heads, , first, second] = out.split("\n");
  assertMatch(head!, /^2 pictures: demo, on CPU .*FLOP, \d+ % of all labels on all scales$/);
  assertMatch(heads!, /^picture +shows +nats +before$/);
  assertMatch(first!, /picture 0\.png +red torus +\d+\.\d +/);
  assertMatch(second!, /picture 1\.png +gray cube +\d+\.\d +/);

  const { out: json } = await succeed("classify", ...files, ...asked, ...stages, "-q", "--json");
  const found = await classify(model, images, ["red torus", "gray torus", 3, "gray cube"], {
    stages: [{ scales: 3, keep: 2 }, { scales: 6, samples: 2 }],
    seed: 4,
    noise: 0.2,
  });
  const report = JSON.parse(json);
  assertEquals(report.images.map(({ file }: { file: string }) => file), files);
  assertEquals([report.flops, report.fullFlops], [found.flops, found.fullFlops]);
  for (const [i, { label, margin, ranking, stages }] of found.images.entries()) {
    const { file: _, ...told } = report.images[i];
    assertEquals(told, JSON.parse(JSON.stringify({ label, margin, ranking, stages })));
  }
});

testInFolder("varscale classify: refuses what it cannot do", async (folder) => {
  const refuse = async (args: readonly string[], message: string) => {
    const { code, err } = await run(["classify", ...args]);
    assertEquals(code, 2, err);
    assertStringIncludes(err, message);
  };
  const picture = `${folder}/dot.png`;
  await using model = await loadModel("demo", { device: "cpu" });
  const { images: [image] } = await generate(model, { labels: 0, until: 0 });
  await Deno.writeFile(picture, image!.png());
  await refuse([], "The pictures to classify are missing");
  await refuse([`${folder}/none.png`], "Cannot read");
  await refuse([picture, "--labels", "red torus,mauve cube"], "Cannot find the class");
  await refuse([picture, "--stages", "6"], 'like "6:10,10:3,10:1x3"');
  await refuse(
    [picture, "--model", "demo-t2i", "--device", "cpu"],
    "Option --labels is needed, at least twice",
  );
  await refuse([picture, "--labels", "3", "--device", "cpu"], "at least two different ones");
  await refuse(
    [picture, "--stages", "9:1", "--device", "cpu"],
    "stages[0].scales must be an integer from 1 to 6",
  );
  assert((await run(["classify", "--help"])).out.includes("--stages"));
});
