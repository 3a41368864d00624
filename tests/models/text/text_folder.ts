/**
 * Text encoders as model folders that are stored nowhere, for tests: a family of a text encoder alone.
 *
 * @module
 */

import type { Device } from "../../../kernels/device/device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { type Checkpoint, openCheckpoint, writeSafetensors } from "../../../models/checkpoint/mod.ts";
import type { Family } from "../../../models/family.ts";
import { createVirtualFolder } from "../../../models/folder/virtual_folder.ts";
import type { ModelFolder } from "../../../models/folder/model_folder.ts";
import { convertParts } from "../../../models/folder_conversion.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { keepHalves } from "../../../models/graphs/graph_file.ts";
import type { GraphSessionOptions } from "../../../models/graphs/graph_session.ts";
import { partPlaces } from "../../../models/part_places.ts";
import {
  distanceBuckets,
  embeddingName,
  inferT5,
  storedT5Dtype,
  type T5Config,
  t5Graph,
  t5Part,
  TEXT_ENCODER,
  TEXT_ENCODER_GRAPH,
} from "../../../models/text/t5_graph.ts";
import { TEXT_TOKENIZER } from "../../../models/text/text_encoder.ts";
import type { Dtype } from "../../../models/weights/dtype.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";

const fixtures = new URL("../../fixtures/text/", import.meta.url);

/** The text encoder of the bundled model. */
export const DEMO_ENCODER: URL = new URL(
  "../../../models/demo_t2i/text_encoder.safetensors",
  import.meta.url,
);

/** A file of the fixtures of texts. */
export function textFixture(name: string): URL {
  return new URL(name, fixtures);
}

/** What a family of a text encoder alone would say, as far as a conversion asks. */
const FAMILY = {
  name: "text",
  parts: [t5Part],
  infer: (weights) => Promise.resolve(inferT5(weights[TEXT_ENCODER]!.set)),
  labels: () => undefined,
  size: () => 1,
  modelName: () => "text",
  storedDtype: storedT5Dtype,
  graphs: (config, weights, places) => {
    const graph = t5Graph(config, weights[TEXT_ENCODER]!.set, places[TEXT_ENCODER]!);
    return new Map([[TEXT_ENCODER_GRAPH, graph]]);
  },
} as Partial<Family<T5Config>> as Family<T5Config>;

/** What becomes of a checkpoint. */
export interface EncoderFolderOptions {
  readonly dtype?: Dtype;
  readonly tokenizer?: Uint8Array<ArrayBuffer>;
  readonly fingerprints?: Readonly<Record<string, string>>;
}

/** A text encoder's checkpoint as a model folder. */
export async function encoderFolder(
  source: URL | Uint8Array,
  options: EncoderFolderOptions = {},
): Promise<ModelFolder> {
  const { dtype = "f32", tokenizer, fingerprints = {} } = options;
  await using writer = createVirtualFolder("encoder", { fingerprints: () => fingerprints });
  const checkpoint = writer.own(await openCheckpoint(source));
  if (tokenizer !== undefined) await writer.write(TEXT_TOKENIZER, tokenizer);
  const [[place] = []] = partPlaces([t5Part], checkpoint);
  const open = {
    checkpoints: { [TEXT_ENCODER]: checkpoint },
    places: { [TEXT_ENCODER]: place! },
    companions: [],
    defaults: {},
    origin: undefined,
  };
  return await convertParts(FAMILY, open, { dtype, writer });
}

/** Features of tokens, by the encoder of a folder. */
export async function featuresOf(
  folder: ModelFolder,
  device: Device,
  prompts: readonly (readonly number[])[],
  { halves = false, ...options }: GraphSessionOptions & { readonly halves?: boolean } = {},
): Promise<Float32Array<ArrayBuffer>[]> {
  using weights = await folder.weights(TEXT_ENCODER);
  const { width, buckets } = inferT5(new WeightSet(weights.file, weights.tensors));
  const bytes = await folder.read(TEXT_ENCODER_GRAPH);
  await using session = await createGraphSession(device, halves ? keepHalves(bytes) : bytes, {
    ...options,
    externalFiles: weights.files,
  });
  const found: Float32Array<ArrayBuffer>[] = [];
  for (const ids of prompts) {
    const { length } = ids;
    using embedded = device.upload(await weights.readRows(embeddingName(weights.tensors), ids));
    const { features } = await session.run({
      embedded: { array: embedded, shape: [1, length, width] },
      buckets: { array: distanceBuckets(length, buckets), shape: [length, length] },
    });
    using array = features!;
    found.push((await readFloats(array)).slice(0, length * width));
  }
  return found;
}

/** Tensors of a checkpoint as a file of floats, each renamed and changed, or left out. */
export async function repackedFloats(
  checkpoint: Pick<Checkpoint, "tensors" | "readFloat32">,
  change: (name: string) => readonly {
    readonly name: string;
    readonly shape?: readonly number[];
    readonly values?: (values: Float32Array<ArrayBuffer>) => Float32Array<ArrayBuffer>;
  }[],
): Promise<Uint8Array<ArrayBuffer>> {
  const entries = [...checkpoint.tensors.values()].flatMap((tensor) =>
    change(tensor.name).map(({ name, shape = tensor.shape, values = (all) => all }) => ({
      name,
      dtype: "F32" as const,
      shape,
      bytes: async () => new Uint8Array(values(await checkpoint.readFloat32(tensor.name)).slice().buffer),
    }))
  );
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const [file] = await Promise.all([new Response(readable).bytes(), writeSafetensors(writable, entries)]);
  return file;
}
