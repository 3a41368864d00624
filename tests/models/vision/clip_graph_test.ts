import { assertEquals } from "@std/assert";
import {
  causalMask,
  CLIP_LAYOUTS,
  type ClipConfig,
  clipFlops,
  clipPictureTensors,
  clipTextTensors,
  inferClip,
  PLACES,
  WORDS,
} from "../../../models/vision/clip_graph.ts";
import { nameHere, nameInFile } from "../../../models/vision/network_weights.ts";
import { elementsOf, type ModelTensor } from "../../../models/weights/model_tensor.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { PUBLISHED } from "./published_networks.ts";

const BLOCKS = { epsilon: 1e-5, layerScale: false } as const;
const PICTURES = {
  prefix: "visual.",
  classToken: true,
  registers: 0,
  patchBias: false,
  firstNorm: true,
} as const;

/** ViT-L/14 of OpenAI. */
const LARGE: ClipConfig = {
  visual: {
    ...{ ...BLOCKS, ...PICTURES, activation: "quick-gelu", joined: false },
    ...{ layers: 24, width: 1024, heads: 16, hidden: 4096, patch: 14, grid: 16 },
  },
  text: {
    ...{ ...BLOCKS, prefix: "text.", activation: "quick-gelu", joined: false },
    ...{ layers: 12, width: 768, heads: 12, hidden: 3072, vocabulary: 49408, length: 77 },
  },
  channels: 768,
  transposed: true,
};
/** ViT-H/14 of OpenCLIP, and of HPS v2.1. */
const HUGE: ClipConfig = {
  visual: {
    ...{ ...BLOCKS, ...PICTURES, activation: "gelu", joined: true },
    ...{ layers: 32, width: 1280, heads: 16, hidden: 5120, patch: 14, grid: 16 },
  },
  text: {
    ...{ ...BLOCKS, prefix: "text.", activation: "gelu", joined: true },
    ...{ layers: 24, width: 1024, heads: 16, hidden: 4096, vocabulary: 49408, length: 77 },
  },
  channels: 1024,
  transposed: false,
};

function tensorsOf(config: ClipConfig): ModelTensor[] {
  const { width, vocabulary, length } = config.text;
  return [
    ...clipPictureTensors(config),
    ...clipTextTensors(config),
    { name: WORDS, shape: [vocabulary, width] },
    { name: PLACES, shape: [length, width] },
  ];
}

Deno.test("inferClip: the published sizes are read, and have the published numbers of parameters", () => {
  // The logarithm of the scale is a parameter, too.
  for (const [config, parameters] of [[LARGE, 427_616_513], [HUGE, 986_109_441]] as const) {
    const tensors = tensorsOf(config);
    assertEquals(elementsOf(tensors) + 1, parameters);
    const set = new WeightSet("", new Map(tensors.map(({ name, shape }) => [name, { shape, dtype: "F32" }])));
    assertEquals(inferClip(set, { activation: config.visual.activation as "gelu" }), config);
  }
});

Deno.test("clipFlops: of ViT-L/14 they are what its sizes say", () => {
  const [tokens, width] = [257, 1024];
  const block = 2 * tokens * 12 * width * width + 4 * tokens * tokens * width;
  assertEquals(clipFlops(LARGE), 24 * block + 2 * 256 * 588 * width + 2 * width * 768);
});

Deno.test("CLIP_LAYOUTS: every name of the published files has its place and comes back", () => {
  for (const [i, network] of ["clip_hf", "open_clip"].entries()) {
    const layout = CLIP_LAYOUTS[i]!;
    for (const name of Object.keys(PUBLISHED.files[network]!.shapes)) {
      assertEquals(nameInFile(layout, nameHere(layout, name)), name);
    }
  }
});

Deno.test("causalMask: a token sees itself and those before it", () => {
  const none = -Infinity;
  assertEquals([...causalMask(3)], [0, none, none, 0, 0, none, 0, 0, 0]);
});
