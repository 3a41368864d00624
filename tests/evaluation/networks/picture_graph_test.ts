import { assertEquals, assertRejects } from "@std/assert";
import { packPixels, PictureGraph } from "../../../evaluation/networks/picture_graph.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import type { DescribedImage } from "../../../models/vision/network_description.ts";
import { testOnDevices } from "../../devices.ts";

/** A network that gives the mean of each colour. */
function model(): Uint8Array {
  const graph = new GraphBuilder("means");
  const image = graph.input({ name: "image", type: "float32", shape: ["n", 3, 2, 2] });
  const means = graph.add("ReduceMean", [image], { axes: [2, 3], keepdims: 0 });
  graph.output({ name: "means", type: "float32", shape: ["n", 3] }, means);
  return graph.bytes();
}

const image: DescribedImage = {
  input: "image",
  size: { width: 2, height: 2 },
  resize: "bilinear",
  fit: "squash",
  mean: [0, 0, 0],
  std: [1, 1, 1],
};

const plain = (red: number, width: number, height = width) => ({
  ...{ width, height },
  data: Array.from({ length: width * height }, () => [red, 51, 255, 7]).flat(),
});

testOnDevices("PictureGraph: pictures of one size that follow one another run together", async (device) => {
  const before = device.counters.liveBytes;
  {
    await using graph = await PictureGraph.open({ model: model(), file: "means.onnx", image, batch: 2 }, {
      device,
    });
    const pictures = [plain(0, 2), plain(255, 2), plain(0, 2), plain(255, 4, 3)];
    const said = await Array.fromAsync(graph.look(pictures, ["means"]));
    assertEquals(said.map(({ count }) => count), [2, 1, 1]);
    const rows = said.flatMap(({ outputs }) => [...outputs.means].map((value) => value.toFixed(6)));
    const row = (red: number): string[] => [red, 0.2, 1].map((value) => value.toFixed(6));
    assertEquals(rows, [row(0), row(1), row(0), row(1)].flat());
    assertEquals(await Array.fromAsync(graph.look([], ["means"])), []);
    const signal = AbortSignal.abort(new Error("over"));
    await assertRejects(() => Array.fromAsync(graph.look(pictures, ["means"], { signal })), Error, "over");
  }
  assertEquals(device.counters.liveBytes, before);
});

Deno.test("PictureGraph: a picture that must be resized and may not is refused, and a model that is none", async () => {
  const parts = {
    model: model(),
    file: "means.onnx",
    image: { ...image, resize: "none" } as const,
    batch: 1,
  };
  await using graph = await PictureGraph.open(parts);
  await assertRejects(() => Array.fromAsync(graph.look([plain(0, 3)], ["means"])), RangeError, '"3×3"');
  using device = new CpuDevice();
  await assertRejects(
    () => PictureGraph.open({ ...parts, model: new Uint8Array(5) }, { device }),
    ModelFileError,
    "means.onnx",
  );
});

Deno.test("packPixels: words of red, green and blue, with alpha left out", () => {
  assertEquals([...packPixels([plain(1, 1), plain(2, 1)])], [0xffff3301, 0xffff3302]);
  assertEquals(packPixels([]).length, 0);
});
