import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import { WebGpuDevice } from "../../kernels/device/webgpu_device.ts";
import { checkDevice, forecastsOf } from "../../models/device_check.ts";
import { FAMILIES } from "../../models/families.ts";
import type { Room } from "../../models/graphs/room.ts";
import { testOnDevices } from "../devices.ts";

const RATES = {
  roof: { gigabytesPerSecond: 100, gigaopsPerSecond: 1000 },
  rates: { products: { f32: 1000, f16: 900, q8: 500, q4: 400 }, convolutions: 800 },
};

testOnDevices("checkDevice: kernels, roof, rates and what fits, and nothing stays behind", async (device) => {
  const before = device.counters.liveArrays;
  const parts: string[] = [];
  const check = await checkDevice(device, { memory: 1e9, onProgress: (part) => parts.push(part) });
  assertEquals(parts, ["kernels", "roof", "rates"]);
  assert(check.kernels.every(({ passed }) => passed));
  assertEquals(check.device, device.name);
  const { roof, rates } = check;
  const halves = !(device instanceof WebGpuDevice) || device.gpu.features.has("shader-f16");
  assertEquals(Object.keys(rates.products), halves ? ["f32", "f16", "q8", "q4"] : ["f32", "q8", "q4"]);
  const measured = [...Object.values(rates.products), rates.convolutions, ...Object.values(roof)];
  assert(measured.every((rate) => rate > 0 && Number.isFinite(rate)), `${measured}`);
  assert(check.forecasts.length > 0 && check.forecasts.every(({ bytes }) => bytes <= 1e9));
  assertEquals(device.counters.liveArrays, before);
});

Deno.test("checkDevice: options are checked, and a signal ends it", async () => {
  using device = new CpuDevice();
  await assertRejects(() => checkDevice(device, { quick: true } as never), TypeError, "quick");
  await assertRejects(() => checkDevice(device, { memory: -1 }), RangeError, "memory");
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => checkDevice(device, { signal }), Error, "enough");
});

Deno.test("forecastsOf: all published models where there is room, by the rates of their weights", async () => {
  using device = new CpuDevice();
  const room: Room = { device, provider: "native", available: undefined, most: undefined };
  const all = await forecastsOf(room, RATES);
  const names = [...new Set(all.map(({ model }) => model))];
  assertEquals(names, [
    ...[16, 20, 24, 30, 36].map((depth) => `VAR-d${depth}`),
    ...[16, 20, 24].map((depth) => `FlexVAR-d${depth}`),
    ...["125M", "2B", "8B"].map((size) => `Infinity-${size}`),
  ]);
  assertEquals(all.length, 4 * names.length);
  const pictures = new Map(all.map(({ model, picture }) => [model, picture]));
  assertEquals(pictures.get("VAR-d30"), "256×256");
  assertEquals(pictures.get("VAR-d36"), "512×512");
  assertEquals(pictures.get("Infinity-2B"), "1024×1024");
  // 597 Gflop at 1000 Gop/s, as costs.ts counts them, and the decoder's; early scales wait for 0.8 GB each.
  const [f32] = all;
  assert(f32!.seconds > 0.6 && f32!.seconds < 1.3, `${f32!.seconds}`);
  for (const name of names) {
    const [wide, , , few] = all.filter(({ model }) => model === name);
    assert(wide!.bytes > few!.bytes && wide!.seconds < few!.seconds, name);
  }
  const some = await forecastsOf({ ...room, most: 2e9 }, RATES);
  assert(some.length < all.length && some.every(({ bytes }) => bytes <= 2e9));
  const halved = await forecastsOf(room, { ...RATES, rates: { ...RATES.rates, products: { q8: 1 } } });
  assertEquals(new Set(halved.map(({ dtype }) => dtype)), new Set(["q8"]));
});

Deno.test("forecastsOf: what the published models take is what their files hold and PyTorch counts", async () => {
  const published = await Promise.all(FAMILIES.map(({ published }) => published.models?.() ?? []));
  const models = new Map(published.flat().map((model) => [model.name, model]));
  // As costs.ts counts for two rows, by PyTorch's counter.
  const operations = models.get("VAR-d16")!.scales.reduce((sum, flops) => sum + flops);
  assertAlmostEquals(operations / 1e9, 597, 0.5);
  // Parameters of transformer and decoder, and 7 more words a pair of channels where a map is doubled.
  const parameters = {
    "Infinity-125M": 125_148_800 + 65_018_627,
    "Infinity-2B": 2_204_564_032 + 65_092_355,
    "Infinity-8B": 8_375_791_824 + 48_484_611,
  };
  for (const [name, count] of Object.entries(parameters)) {
    const doubled = name === "Infinity-8B" ? [512, 512, 256] : [512, 512, 512, 256];
    const enlarging = 7 * doubled.reduce((sum, width) => sum + width ** 2, 0);
    assertEquals(models.get(name)!.weights("f32", "native"), 4 * (count + enlarging));
  }
});
