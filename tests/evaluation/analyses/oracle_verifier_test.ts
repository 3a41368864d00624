import { assert, assertEquals, assertRejects } from "@std/assert";
import { noteScores } from "../../../evaluation/analyses/looks.ts";
import { oracleVerifier } from "../../../evaluation/analyses/oracle_verifier.ts";
import { ClassOracle } from "../../../evaluation/judges/class_oracle.ts";
import { generate } from "../../../sampler/generate.ts";
import { VerifierError } from "../../../sampler/judging.ts";
import { sharedModel } from "../../sampler/models.ts";

Deno.test({
  name: "oracleVerifier: says of lanes what the oracle says of their pictures",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const model = await sharedModel("demo", "cpu");
    await using verifier = await oracleVerifier();
    const look = noteScores(verifier, [5]);
    const { images } = await generate(model, { labels: ["red torus", "blue cone"], hooks: [look] });
    await using oracle = await ClassOracle.open();
    const verdicts = await oracle.judge(images, images.map(({ label }) => label.id!));
    const scores = images.map((image) => image.decisionsOf(look)[0]!.value);
    assertEquals(scores, verdicts.map(({ logProbability }) => logProbability));
    assert(scores.every((score) => score < 0));
    await assertRejects(
      () => generate(model, { labels: [null], hooks: [look] }),
      VerifierError,
      "each label must be a class",
    );
  },
});
