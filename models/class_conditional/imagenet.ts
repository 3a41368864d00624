/**
 * Names of the classes that the published class-conditional models know, whose checkpoints have none.
 *
 * @module
 */

import names from "./imagenet_classes.json" with { type: "json" };

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
export const IMAGENET_CLASSES: readonly string[] = Object.freeze(names);

/**
 * Names for the classes of a model whose checkpoints have none: ImageNet's if there are as many. Whether a
 * model of such sizes was trained with those is left to the families.
 */
export function imagenetClassNames(classes: number): readonly string[] {
  return classes === IMAGENET_CLASSES.length ? IMAGENET_CLASSES : [];
}
