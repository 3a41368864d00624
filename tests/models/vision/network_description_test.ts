import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { describedFiles, parseDescription } from "../../../models/vision/network_description.ts";

const encoded = (content: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(content));

const WHOLE = {
  name: "taste",
  network: "taste.onnx",
  image: {
    input: "pixels",
    size: [224, 112],
    resize: "lanczos",
    fit: "squash",
    mean: [0.5, 0.4, 0.3],
    std: [0.1, 0.2, 0.3],
  },
  text: { input: "ids", tokenizer: "tokenizer.json", length: 35, pad: 1, mask: "mask" },
  template: "a photo of a {label}",
  score: "score",
  features: { output: "tokens", layout: "tokens", channels: 768, skip: 5 },
  batch: 4,
  smallestEdge: 112,
  flops: 1e9,
};

Deno.test("parseDescription: a description is taken as it is, with what it leaves out as usual", () => {
  const { image, ...rest } = parseDescription(encoded(WHOLE), "taste.json");
  assertEquals(image, { ...WHOLE.image, size: { width: 224, height: 112 } } as unknown);
  assertEquals(rest as unknown, (({ image: _, ...others }) => others)(WHOLE));
  assertEquals(describedFiles(encoded(WHOLE), "taste.json"), ["taste.onnx", "tokenizer.json"]);
  const least = { network: "b.onnx", image: { input: "x", size: 8 }, classes: { output: "logits" } };
  assertEquals(parseDescription(encoded(least), "b.json"), {
    name: "b",
    network: "b.onnx",
    image: {
      input: "x",
      size: { width: 8, height: 8 },
      resize: "bicubic",
      fit: "crop",
      mean: [0, 0, 0],
      std: [1, 1, 1],
    },
    classes: { output: "logits", values: "logits" },
    batch: 8,
  });
  assertEquals(describedFiles(encoded(least), "b.json"), ["b.onnx"]);
});

Deno.test("parseDescription: what a description must not say is refused with what it should", () => {
  const { text: _, template: __, ...textless } = WHOLE;
  const cases: [content: unknown, words: string][] = [
    [[], "expected an object, found []"],
    [
      { ...WHOLE, network: "../taste.onnx" },
      'the plain name of a .onnx file as "network", found ../taste.onnx',
    ],
    [{ ...WHOLE, network: "taste.pt" }, 'the plain name of a .onnx file as "network"'],
    [{ ...WHOLE, network: undefined }, 'expected a text as "network", found nothing'],
    [{ ...WHOLE, name: "" }, 'a text as "name"'],
    [{ ...WHOLE, image: 3 }, 'an object "image", found 3'],
    [
      { ...WHOLE, image: { ...WHOLE.image, size: 0 } },
      'an edge or [width, height], integers from 1 to 4096 as "image.size"',
    ],
    [{ ...WHOLE, image: { ...WHOLE.image, size: [1, 2, 3] } }, '"image.size", found [1,2,3]'],
    [{ ...WHOLE, image: { ...WHOLE.image, size: 1e6 } }, '"image.size", found 1000000'],
    [
      { ...WHOLE, image: { ...WHOLE.image, resize: "box" } },
      '"bilinear" or "bicubic" or "lanczos" or "none" as "image.resize", found box',
    ],
    [{ ...WHOLE, image: { ...WHOLE.image, fit: "pad" } }, '"squash" or "crop" as "image.fit"'],
    [{ ...WHOLE, image: { ...WHOLE.image, mean: [1, 2] } }, 'three numbers as "image.mean"'],
    [{ ...WHOLE, image: { ...WHOLE.image, std: [1, 0, 1] } }, 'numbers other than 0 as "image.std"'],
    [{ ...WHOLE, image: { ...WHOLE.image, scale: 1 } }, 'no other fields than "image.size", "image.input"'],
    [{ ...WHOLE, text: { ...WHOLE.text, length: 0 } }, 'an integer >= 1 as "text.length", found 0'],
    [{ ...WHOLE, text: { ...WHOLE.text, pad: -1 } }, 'an integer >= 0 as "text.pad", found -1'],
    [{ ...WHOLE, template: "a photo" }, '"{label}" in "template", found a photo'],
    [{ ...textless, template: "a {label}" }, '"text" for the "template"'],
    [{ ...WHOLE, score: 5 }, 'a text as "score", found 5'],
    [(({ score: _, ...rest }) => rest)(WHOLE), '"score" where there is "text"'],
    [
      (({ score: _, features: __, ...rest }) => rest)(textless),
      '"score", "classes" or "features", found none of them',
    ],
    [{ ...textless, classes: { output: "logits" } }, 'either "score" or "classes", found both'],
    [
      { ...textless, score: undefined, classes: { output: "x", values: "odds" } },
      '"logits" or "probabilities" or "logProbabilities" as "classes.values"',
    ],
    [{ ...textless, classes: { output: "x", names: [] } }, 'a list of texts as "classes.names"'],
    [
      { ...WHOLE, features: { output: "x", layout: "grid" } },
      '"tokens" or "planes" or "vector" as "features.layout"',
    ],
    [
      { ...WHOLE, features: { output: "x", layout: "vector", skip: 1 } },
      '0 unless the layout is "tokens" as "features.skip"',
    ],
    [{ ...WHOLE, flops: "many" }, 'a number >= 0 as "flops", found many'],
    [{ ...WHOLE, makes: "verifier" }, 'found "makes"'],
  ];
  for (const [content, words] of cases) {
    const error = assertThrows(() => parseDescription(encoded(content), "taste.json"), ModelFileError);
    assertStringIncludes(error.message, words);
    assertEquals(error.file, "taste.json");
  }
  assertThrows(
    () => parseDescription(new TextEncoder().encode("{"), "taste.json"),
    ModelFileError,
    "expected JSON",
  );
});
