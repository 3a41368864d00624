import { assert, assertEquals, assertRejects } from "@std/assert";
import { openDescribed } from "../../../evaluation/networks/described_network.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { testOnDevices } from "../../devices.ts";

/** A network that gives back its pictures as planes and as tokens, and probabilities from their means. */
function graph(): Uint8Array {
  const builder = new GraphBuilder("echo");
  const image = builder.input({ name: "image", type: "float32", shape: ["n", 3, 2, 2] });
  builder.output({ name: "planes", type: "float32", shape: ["n", 3, 2, 2] }, image);
  const flat = builder.reshape(image, [-1, 3, 4]);
  const tokens = builder.add("Transpose", [flat], { perm: [0, 2, 1] });
  builder.output({ name: "tokens", type: "float32", shape: ["n", 4, 3] }, tokens);
  const means = builder.add("ReduceMean", [flat], { axes: [2], keepdims: 0 });
  builder.output({ name: "logits", type: "float32", shape: ["n", 3] }, means);
  builder.output(
    { name: "odds", type: "float32", shape: ["n", 3] },
    builder.add("Softmax", [means], { axis: 1 }),
  );
  return builder.bytes();
}

async function described(description: object): Promise<{ readonly place: string } & AsyncDisposable> {
  const folder = await Deno.makeTempDir();
  await Deno.writeFile(`${folder}/echo.onnx`, graph());
  const content = {
    network: "echo.onnx",
    image: { input: "image", size: 2, resize: "none" },
    ...description,
  };
  await Deno.writeTextFile(`${folder}/own.json`, JSON.stringify(content));
  return {
    place: `${folder}/own.json`,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** Three pictures of 2×2, whose levels are multiples of 51, so that they are fifths. */
const WORDS = Uint32Array.from(
  { length: 12 },
  (_, i) => 51 * (i % 6) | 51 * (i % 4) << 8 | 51 * (i % 3) << 16,
);
const MEANS = [0, 1, 2].flatMap((n) => {
  return [6, 4, 3].map((base) => [0, 1, 2, 3].reduce((sum, p) => sum + (4 * n + p) % base / 5, 0) / 4);
});

/** A sum of four levels in f32, each off by 2^-25, and what a softmax and a logarithm add. */
const TOLERANCE = 1e-6;

function assertClose(found: ArrayLike<number>, wanted: readonly number[]): void {
  assertEquals(found.length, wanted.length);
  for (const [i, value] of wanted.entries()) {
    assert(Math.abs(found[i]! - value) <= TOLERANCE, `${i}: ${found[i]}`);
  }
}

for (const layout of ["planes", "tokens"] as const) {
  testOnDevices(
    `openDescribed: ${layout} become their mean, beside logits of the same run`,
    async (device) => {
      await using own = await described({
        features: { output: layout, layout, channels: 3 },
        classes: { output: "logits", names: ["red", "green", "blue"] },
        flops: 12,
        batch: 2,
      });
      await using network = await openDescribed(device, own.place);
      assertEquals([network.name, network.flops, network.outputs], ["echo", 12, ["features", "logits"]]);
      assertEquals(network.classes, ["red", "green", "blue"]);
      using array = device.upload(WORDS);
      const { liveArrays } = device.counters;
      const pictures = { array, count: 3, width: 2, height: 2 };
      const { logits, features } = await network.look(pictures, ["logits", "features"]);
      assertEquals([features!.count, features!.dimensions, logits!.dimensions], [3, 3, 3]);
      assertClose(features!.values, MEANS);
      assertClose(logits!.values, MEANS);
      assertEquals(Object.keys(await network.look(pictures, ["logits"])), ["logits"]);
      assertEquals(device.counters.liveArrays, liveArrays);
    },
  );
}

Deno.test("openDescribed: tokens that are skipped do not count, and probabilities become logarithms", async () => {
  using device = new CpuDevice();
  await using own = await described({
    features: { output: "tokens", layout: "tokens", skip: 3 },
    classes: { output: "odds", values: "probabilities" },
  });
  await using network = await openDescribed(device, own.place);
  using array = device.upload(WORDS);
  const pictures = { array, count: 3, width: 2, height: 2 };
  const { features, logits } = await network.look(pictures, network.outputs);
  assertClose(features!.values, [3, 7, 11].flatMap((p) => [p % 6 / 5, p % 4 / 5, p % 3 / 5]));
  const wanted = [0, 3, 6].flatMap((at) => {
    const row = MEANS.slice(at, at + 3);
    const total = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
    return row.map((value) => value - total);
  });
  assertClose(logits!.values, wanted);
});

Deno.test("openDescribed: a probability that has become 0 is the smallest there is", async () => {
  using device = new CpuDevice();
  await using own = await described({ classes: { output: "logits", values: "probabilities" } });
  await using network = await openDescribed(device, own.place);
  using array = device.upload(new Uint32Array(4).fill(0xff000000));
  const { logits } = await network.look({ array, count: 1, width: 2, height: 2 }, ["logits"]);
  assertEquals(logits!.values, new Float32Array(3).fill(Math.log(2 ** -149)));
});

Deno.test("openDescribed: a network that only gives scores is refused, and so are pictures of another size", async () => {
  using device = new CpuDevice();
  await using scores = await described({ score: "logits" });
  await assertRejects(
    () => openDescribed(device, scores.place),
    ModelFileError,
    'expected "features" or "classes", found none of them',
  );
  await using own = await described({ features: { output: "logits", layout: "vector" } });
  await using network = await openDescribed(device, own.place);
  using array = device.upload(WORDS);
  await assertRejects(
    () => network.look({ array, count: 2, width: 3, height: 2 }, ["features"]),
    RangeError,
    "must be 2×2 pixels",
  );
  assertEquals(device.counters.liveArrays, 1);
});
