/**
 * The tokenizer's networks as they run: what is fed, when the encoder is loaded, and that both are unloaded.
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { AutoencoderNetworks, type AutoencoderParts } from "../../../models/autoencoder/networks.ts";
import type { GraphSession, GraphTensor } from "../../../models/graphs/graph_session.ts";

const device = new CpuDevice();

/** A graph that notes what it is fed. */
class RecordingSession implements GraphSession {
  readonly fed: Record<string, GraphTensor>[] = [];
  disposed = false;
  readonly #output: string;

  constructor(output: string) {
    this.#output = output;
  }

  run(inputs: Readonly<Record<string, GraphTensor>>) {
    this.fed.push(inputs);
    return Promise.resolve({ [this.#output]: device.allocate(1) });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    return Promise.resolve();
  }
}

const LEVEL = { channels: 32, blocks: 1, attention: false };
/** Three levels: four pixels a side for each token. */
const CONFIG = { channels: 5, decoder: [LEVEL, LEVEL, LEVEL], encoder: [LEVEL, LEVEL, LEVEL] };

function networksOf(parts: Partial<AutoencoderParts>): AutoencoderNetworks {
  return new AutoencoderNetworks({
    model: "toy",
    config: CONFIG,
    decoder: undefined,
    loadEncoder: () => Promise.reject(new Error("There is none")),
    ...parts,
  });
}

/** The shapes that a graph was fed, and the shape that attention restores. */
function shapesOf(session: RecordingSession): unknown {
  return session.fed.map(({ map_shape, ...inputs }) => [
    ...Object.entries(inputs).map(([name, { shape }]) => [name, ...shape]),
    map_shape!.array,
  ]);
}

Deno.test("AutoencoderNetworks: features become pictures of as many pixels as the levels say", async () => {
  const decoder = new RecordingSession("image");
  await using networks = networksOf({ decoder });
  assertEquals([networks.decodes, networks.encodes], [true, true]);
  using array = device.allocate(1);
  using pictures = await networks.decode({ array, images: 2, width: 3, height: 6 });
  assertEquals([pictures.width, pictures.height], [12, 24]);
  assertEquals(shapesOf(decoder), [[["features", 2, 5, 6, 3], [0, -1, 6, 3]]]);
});

Deno.test("AutoencoderNetworks: the encoder is loaded once, when it is first needed, and again if that failed", async () => {
  const encoder = new RecordingSession("features");
  let loads = 0;
  const networks = networksOf({
    loadEncoder: () => {
      loads++;
      return loads === 1 ? Promise.reject(new Error("The disk is gone")) : Promise.resolve(encoder);
    },
  });
  using array = device.allocate(1);
  const pictures = { array, width: 12, height: 24 };
  assertEquals(loads, 0);
  await assertRejects(() => networks.encode(pictures, 1), Error, "The disk is gone");
  const both = await Promise.all([networks.encode(pictures, 2), networks.encode(pictures, 1)]);
  assertEquals(both.map(({ images, width, height }) => [images, width, height]), [[2, 3, 6], [1, 3, 6]]);
  assertEquals(loads, 2);
  assertEquals(shapesOf(encoder), [
    [["image", 2, 3, 24, 12], [0, -1, 6, 3]],
    [["image", 1, 3, 24, 12], [0, -1, 6, 3]],
  ]);
  for (const { array } of both) array[Symbol.dispose]();
  await networks[Symbol.asyncDispose]();
  assertEquals(encoder.disposed, true);
});

Deno.test("AutoencoderNetworks: unloading takes the decoder along, and loads no encoder for that", async () => {
  const decoder = new RecordingSession("image");
  await networksOf({ decoder })[Symbol.asyncDispose]();
  assertEquals(decoder.disposed, true);
});

Deno.test("AutoencoderNetworks: a network that is not there is missed by its name", async () => {
  await using networks = networksOf({ config: { ...CONFIG, encoder: null } });
  assertEquals([networks.decodes, networks.encodes], [false, false]);
  assertThrows(() => networks.requireDecoder(), TypeError, 'the model "toy" has no decoder');
  using array = device.allocate(1);
  await assertRejects(
    () => networks.encode({ array, width: 4, height: 4 }, 1),
    TypeError,
    'the model "toy" has no encoder',
  );
});
