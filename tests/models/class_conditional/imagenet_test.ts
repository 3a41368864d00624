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
  hint("golden retreiver", '"golden retriever"');
  hint("mountain bike race", '"mountain bike"');
  hint("great mountain lakes", '"mountain", "great egret", "Great Dane"');
  // Whole words: no caterpillar, no taxi ("cab"), no ox.
  hint("cat", '"tabby cat", "tiger cat", "Persian cat"');
  hint("fox", '"red fox", "kit fox", "Arctic fox"');
  assertThrows(() => resolveClass(model, "n00000001"), RangeError, 'class names are like "tench"');
});

Deno.test("classLabels: ImageNet's usual names are understood, however they are written", () => {
  const model = { name: "VAR-d16", labels: classLabels(1000, { published: true }) };
  // First names and whole lines as torchvision, Keras and the list of synsets of ILSVRC 2012 have them.
  const usual: Readonly<Record<string, number>> = {
    "n02099601": 207,
    "n02099601 golden retriever": 207,
    "n02106166 Border collie": 232,
    "N13133613": 998,
    "golden_retriever": 207,
    "collie": 231,
    "boxer": 242,
    "robin": 15,
    "tabby": 281,
    "Shih-Tzu": 155,
    "shih_tzu": 155,
    "wire-haired_fox_terrier": 188,
    "jack-o'-lantern": 607,
    "carpenter’s plane": 726,
    "sunglass": 836,
    "sunglasses": 837,
    "robin, American robin, Turdus migratorius": 15,
    "panda, giant panda, panda bear, coon bear, Ailuropoda melanoleuca": 388,
    "maillot, tank suit": 639,
    "Cardigan, Cardigan Welsh corgi": 264,
    "ruffed grouse, partridge, Bonasa umbellus": 82,
  };
  for (const [label, id] of Object.entries(usual)) assertEquals(resolveClass(model, label).id, id, label);
  // A name of ours comes before what WordNet calls another class, too.
  for (const name of ["partridge", "crayfish", "polecat", "tub", "gong", "harp", "missile"]) {
    assertEquals(resolveClass(model, name).name, name);
  }
  const { synonyms = [] } = model.labels;
  assertEquals(
    synonyms.map(([id]) => resolveClass(model, id!).id),
    Array.from({ length: 1000 }, (_, i) => i),
  );
  assertEquals(synonyms.map(([id]) => id), synonyms.map(([id]) => id).sort());
});

Deno.test("classLabels: a name of two classes is asked back", () => {
  const model = { name: "VAR-d16", labels: classLabels(1000, { published: true }) };
  const asked = {
    "crane": '"crane bird", "construction crane"',
    "cardigan": '"Cardigan corgi", "cardigan sweater"',
    "maillot": '"maillot tights", "maillot swimsuit"',
    "panda": '"red panda", "giant panda"',
    "Sus_scrofa": '"pig", "wild boar"',
  };
  for (const [label, names] of Object.entries(asked)) {
    assertThrows(
      () => resolveClass(model, label),
      RangeError,
      `Cannot tell which class is "${label}" in the model "VAR-d16"; did you mean ${names}?`,
    );
  }
});

Deno.test("resolveClass: names of one's own are found with underscores, and have no synonyms", () => {
  const names = ["red torus", "blue_cone", "a, b"];
  const model = { name: "own", labels: { kind: "classes", count: 3, names } as const };
  assertEquals(["Red_Torus", "blue cone", "blue-cone", "a, b"].map((name) => resolveClass(model, name).id), [
    0,
    1,
    1,
    2,
  ]);
  assertThrows(() => resolveClass(model, "n02099601"), RangeError, "Cannot find the class");
  assertThrows(
    () => resolveClass(model, "re\u001b[31md\n\u202e"),
    RangeError,
    'Cannot find the class "re\\u001b[31md\\n\\u202e" in the model',
  );
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
