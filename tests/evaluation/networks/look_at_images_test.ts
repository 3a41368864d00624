import { assertEquals, assertRejects } from "@std/assert";
import {
  type HostImage,
  lookAtImages,
  type LookOptions,
} from "../../../evaluation/networks/look_at_images.ts";
import type { MetricNetwork, MetricOutput } from "../../../evaluation/networks/metric_network.ts";
import { metricNetworkOf } from "../../../evaluation/networks/own_network.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { readWords } from "../../../kernels/device/device.ts";

/** A network that says of a picture its first pixel's colours and its size, and notes what it is shown. */
function firstPixels(device: CpuDevice, shown: string[] = []): MetricNetwork {
  return metricNetworkOf({
    ...{ name: "first", fingerprint: "1", outputs: ["features"], device },
    async look({ array, count, width, height }) {
      shown.push(`${count} of ${width}×${height}`);
      const words = await readWords(array);
      const rows = Array.from({ length: count }, (_, i) => {
        const word = words[i * width * height]!;
        return [word & 255, word >> 8 & 255, word >> 16 & 255, width, height];
      });
      return { features: { values: Float32Array.from(rows.flat()), count, dimensions: 5 } };
    },
  });
}

function image(red: number, width: number, height: number): HostImage {
  const data = new Uint8ClampedArray(4 * width * height).fill(9);
  data.set([red, red + 1, red + 2, 0]);
  return { width, height, data };
}

Deno.test("lookAtImages: rows are in the order of the pictures, whatever their sizes", async () => {
  using device = new CpuDevice();
  const shown: string[] = [];
  await using network = firstPixels(device, shown);
  const sizes = [[2, 1], [1, 2], [2, 1], [2, 1], [3, 3], [1, 2]] as const;
  const images = sizes.map(([width, height], i) => image(10 * i, width, height));
  const done: number[] = [];
  const options = { batch: 2, onProgress: (count: number) => void done.push(count) };
  const { features } = await lookAtImages(network, images, ["features"], options);
  assertEquals(features!.count, 6);
  assertEquals(
    [...features!.values],
    sizes.flatMap(([width, height], i) => [10 * i, 10 * i + 1, 10 * i + 2, width, height]),
  );
  assertEquals(shown, ["2 of 2×1", "2 of 1×2", "1 of 2×1", "1 of 3×3"]);
  assertEquals(done, [2, 4, 5, 6]);
  assertEquals(device.counters.liveArrays, 0);
});

Deno.test("lookAtImages: pictures may come as they are made, and no more of them than a batch waits", async () => {
  using device = new CpuDevice();
  const shown: string[] = [];
  await using network = firstPixels(device, shown);
  const waiting: number[] = [];
  async function* made(): AsyncGenerator<HostImage> {
    for (let i = 0; i < 130; i++) {
      waiting.push(i - 64 * shown.length);
      yield await Promise.resolve(image(i, 1, 1));
    }
  }
  const { features } = await lookAtImages(network, made(), ["features"]);
  assertEquals(features!.count, 130);
  assertEquals(Array.from({ length: 130 }, (_, i) => features!.values[5 * i]), waiting.map((_, i) => i));
  assertEquals(Math.max(...waiting), 63);
});

Deno.test("lookAtImages: a network that says of no device looks at pictures on the host", async () => {
  using device = new CpuDevice();
  await using network = firstPixels(device);
  const { device: _device, ...elsewhere } = network;
  const { features } = await lookAtImages(elsewhere, [image(7, 1, 1)], ["features"]);
  assertEquals([...features!.values], [7, 8, 9, 1, 1]);
});

Deno.test("lookAtImages: what is no picture, no output and no option is refused", async () => {
  using device = new CpuDevice();
  await using network = firstPixels(device);
  const good = image(0, 2, 2);
  const refused = async (
    message: string,
    { images = [good], wanted = ["features"], options = {} }: {
      images?: readonly HostImage[];
      wanted?: readonly string[];
      options?: object;
    },
  ): Promise<void> => {
    const looking = () => lookAtImages(network, images, wanted as MetricOutput[], options as LookOptions);
    await assertRejects(looking, Error, message);
  };
  await refused("the pictures must be at least one", { images: [] });
  await refused("the data of picture 1 must be 16 bytes: current value is 15", {
    images: [good, { ...good, data: new Uint8Array(15) }],
  });
  await refused("the width of picture 0 must be an integer >= 1", { images: [{ ...good, width: 0 }] });
  await refused('what is wanted of "first" must be "features"', { wanted: ["logits"] });
  await refused('the option "batches" is unknown', { options: { batches: 2 } });
  await refused("batch must be an integer >= 1", { options: { batch: 0 } });
  assertEquals(device.counters.liveArrays, 0);
});

Deno.test("lookAtImages: an abort ends it between batches", async () => {
  using device = new CpuDevice();
  const shown: string[] = [];
  await using network = firstPixels(device, shown);
  const controller = new AbortController();
  const reason = new Error("enough");
  const images = Array.from({ length: 6 }, (_, i) => image(i, 1, 1));
  const options: LookOptions = {
    batch: 2,
    signal: controller.signal,
    onProgress: (done) => done === 4 && controller.abort(reason),
  };
  assertEquals(await assertRejects(() => lookAtImages(network, images, ["features"], options)), reason);
  assertEquals(shown.length, 2);
});
