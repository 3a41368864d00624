import { assertEquals, assertThrows } from "@std/assert";
import { classLabels, IMAGENET_CLASSES } from "../../../models/class_conditional/imagenet.ts";
import { resolveClass } from "../../../models/label.ts";

/**
 * Class numbers that publications and libraries agree on, spread over the list, so that a name too many or
 * too few anywhere shifts some of them. Ends of families (the last snake, the first and the last dog) stand
 * closest to where an error would be.
 */
const KNOWN: Readonly<Record<number, string>> = {
  0: "tench",
  6: "stingray",
  9: "ostrich",
  22: "bald eagle",
  24: "great gray owl",
  29: "axolotl",
  50: "American alligator",
  68: "sidewinder",
  76: "tarantula",
  88: "macaw",
  99: "goose",
  105: "koala",
  130: "flamingo",
  134: "crane bird",
  150: "sea lion",
  151: "Chihuahua",
  207: "golden retriever",
  235: "German shepherd",
  250: "Siberian husky",
  268: "Mexican hairless dog",
  281: "tabby cat",
  291: "lion",
  323: "monarch butterfly",
  340: "zebra",
  355: "llama",
  387: "red panda",
  388: "giant panda",
  397: "pufferfish",
  398: "abacus",
  404: "airliner",
  437: "lighthouse",
  483: "castle",
  504: "coffee mug",
  517: "construction crane",
  555: "fire truck",
  562: "fountain",
  604: "hourglass",
  657: "missile",
  701: "parachute",
  717: "pickup truck",
  744: "projectile",
  779: "school bus",
  812: "space shuttle",
  850: "teddy bear",
  879: "umbrella",
  920: "traffic light",
  933: "cheeseburger",
  949: "strawberry",
  963: "pizza",
  970: "mountain",
  973: "coral reef",
  980: "volcano",
  985: "daisy",
  987: "corn",
  998: "ear of corn",
  999: "toilet paper",
};

Deno.test("IMAGENET_CLASSES: classes of ImageNet have their published numbers", () => {
  assertEquals(IMAGENET_CLASSES.length, 1000);
  const found = Object.fromEntries(Object.keys(KNOWN).map((id) => [id, IMAGENET_CLASSES[Number(id)]]));
  assertEquals(found, Object.fromEntries(Object.entries(KNOWN)));
});

Deno.test("IMAGENET_CLASSES: every name means one class", () => {
  const keys = new Set(IMAGENET_CLASSES.map((name) => name.toLowerCase()));
  assertEquals(keys.size, IMAGENET_CLASSES.length);
  // What a label may not look like: a number, or a list of the command line.
  assertEquals(IMAGENET_CLASSES.filter((name) => !/^[A-Za-z][A-Za-z '-]*[a-z]$/i.test(name)), []);
  assertEquals(IMAGENET_CLASSES.filter((name) => / {2}/.test(name)), []);
});

Deno.test("classLabels: labels are found by name or number, and near misses are named", () => {
  const model = { name: "VAR-d16", labels: classLabels(1000, { published: true }) };
  for (const label of ["golden retriever", "Golden Retriever", " 207 ", 207]) {
    assertEquals(resolveClass(model, label), { id: 207, name: "golden retriever" });
  }
  const hint = (label: string, expected: string): void => {
    assertThrows(() => resolveClass(model, label), RangeError, `did you mean ${expected}?`);
  };
  hint("crane", '"crane bird", "construction crane"');
  hint("maillot", '"maillot tights", "maillot swimsuit"');
  hint("sunglass", '"sunglass lens", "sunglasses"');
  hint("mountain bike race", '"mountain bike", "Greater Swiss mountain dog", "Bernese mountain dog"');
});

Deno.test("classLabels: as many classes of a published size have the names, others have none", () => {
  const names = (count: number, published: boolean): readonly string[] => {
    const labels = classLabels(count, { published });
    assertEquals([labels.kind, labels.count], ["classes", count]);
    return labels.names;
  };
  assertEquals(names(1000, true), IMAGENET_CLASSES);
  assertEquals(names(1000, false), []);
  for (const count of [0, 999, 1001]) assertEquals(names(count, true), []);
});
