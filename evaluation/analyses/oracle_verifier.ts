/**
 * The judge of the bundled model of classes as a verifier: a second opinion on what a search by another
 * verifier has found.
 *
 * @module
 */

import type { Verifier } from "../../models/vision/verifier.ts";
import { mustBe } from "../../kernels/arguments.ts";
import { verifierOf } from "../../sampler/methods/own_verifier.ts";
import { ClassOracle } from "../judges/class_oracle.ts";
import type { PictureGraphOptions } from "../networks/picture_graph.ts";

/**
 * Opens it. Its score is the natural logarithm of the probability that it gives the wanted class.
 *
 * @param options Who computes.
 * @returns A verifier for pictures of 64 by 64 pixels and classes 0 to 63, to be disposed.
 *
 * @example
 * ```ts
 * import { oracleVerifier } from "./oracle_verifier.ts";
 * import { bestOfN, generate, loadModel } from "../../mod.ts";
 * import { assert } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * await using oracle = await oracleVerifier();
 * const search = bestOfN({ samples: 2, verifier: oracle });
 * const { images: [image] } = await generate(model, { labels: "red torus", hooks: [search] });
 * assert(image!.decisionsOf(search)[0]!.value.score < 0);
 * ```
 */
export async function oracleVerifier(options: PictureGraphOptions = {}): Promise<Verifier & AsyncDisposable> {
  const oracle = await ClassOracle.open(options);
  const verifier = verifierOf({
    name: "demo-oracle",
    async score(images, labels) {
      const classes = labels.map(({ id }) => {
        if (id !== null) return id;
        throw new TypeError(mustBe("a class", id, "each label", "judge pictures"));
      });
      return (await oracle.judge(images, classes)).map(({ logProbability }) => logProbability);
    },
  });
  return { ...verifier, [Symbol.asyncDispose]: () => oracle[Symbol.asyncDispose]() };
}
