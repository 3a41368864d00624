/**
 * Names of the classes that the published class-conditional models know, whose checkpoints have none.
 *
 * @module
 */

import type { ClassLabels } from "../label.ts";
import classes from "./imagenet_classes.json" with { type: "json" };

/**
 * English names of the 1000 classes of ILSVRC 2012 ("ImageNet"), in the order of their WordNet synset ids,
 * which is the order of the published models' class embeddings. The names are short and differ in more than
 * case: where WordNet calls two classes the same, a word tells them apart ("crane bird" and "construction
 * crane").
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
export const IMAGENET_CLASSES: readonly string[] = Object.freeze(
  Object.values(classes).map(([name]) => name!),
);

/** WordNet's id of each class and what else WordNet 3.0 calls it, in the same order. */
const SYNONYMS: readonly (readonly string[])[] = Object.entries(classes).map(([id, [, ...others]]) => {
  return [id, ...others];
});

/** The same classes with what else ImageNet's are called, if they are those. */
export function withSynonyms(labels: ClassLabels): ClassLabels {
  const known = labels.names.length === IMAGENET_CLASSES.length &&
    labels.names.every((name, id) => name === IMAGENET_CLASSES[id]);
  return known ? { ...labels, synonyms: SYNONYMS } : labels;
}

/**
 * Classes of a model, by the names that it was given; checkpoints have none, and their classes are ImageNet's
 * if there are as many.
 *
 * @param published Whether a model of such sizes may have been trained with those, which is left to the
 * families.
 */
export function classLabels(
  count: number,
  { published, names }: { readonly published: boolean; readonly names?: readonly string[] | undefined },
): ClassLabels {
  const known = published && count === IMAGENET_CLASSES.length;
  return withSynonyms({ kind: "classes", count, names: names ?? (known ? IMAGENET_CLASSES : []) });
}
