/**
 * Names of the classes that the published VAR models know, whose checkpoints have none.
 *
 * @module
 */

import { PUBLISHED_PATCH_NUMBERS, type VarConfig } from "./config.ts";
import names from "./imagenet_classes.json" with { type: "json" };

/**
 * English names of the 1000 classes of ILSVRC 2012 ("ImageNet"), in the order of their WordNet synset ids, which is the order of the
 * published models' class embeddings. The names are short and differ in more than case: where WordNet calls two classes the same, a word
 * tells them apart ("crane bird" and "construction crane").
 *
 * @example
 * ```ts
 * import { IMAGENET_CLASSES } from "./imagenet.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(IMAGENET_CLASSES[207], "golden retriever");
 * assertEquals(IMAGENET_CLASSES.indexOf("volcano"), 980);
 * ```
 */
export const IMAGENET_CLASSES: readonly string[] = Object.freeze(names);

/** Names for the classes of a model that has none of its own: ImageNet's for the number of classes and the scales of a published model. */
export function publishedClassNames(config: Pick<VarConfig, "classes" | "patchNumbers">): readonly string[] {
  const { classes, patchNumbers } = config;
  const published = Object.values(PUBLISHED_PATCH_NUMBERS).some((sides) => `${sides}` === `${patchNumbers}`);
  return published && classes === IMAGENET_CLASSES.length ? IMAGENET_CLASSES : [];
}
