import { assertEquals } from "@std/assert";
import {
  CONVOLUTIONS,
  fastConvolutions,
  savesProducts,
  winogradPays,
} from "../../../models/autoencoder/convolutions.ts";

Deno.test("fastConvolutions: products are saved on the CPU, with WebAssembly on maps of tokens, too", () => {
  assertEquals((["wasm", "native", "webgpu"] as const).map(fastConvolutions), [
    "winograd throughout",
    "winograd",
    "phases",
  ]);
});

Deno.test("winogradPays: channels on both sides decide, and more of them the smaller the map", () => {
  const pays = (inputs: number, outputs: number, factor: number): boolean[] => {
    return CONVOLUTIONS.map((way) => winogradPays({ inputs, outputs, factor }, way));
  };
  const [never, always] = [[false, false, false, false], [false, false, true, true]];
  assertEquals([pays(128, 128, 4), pays(320, 160, 8), pays(256, 256, 2)], [always, always, always]);
  assertEquals([pays(160, 3, 16), pays(64, 64, 8), pays(255, 256, 2)], [never, never, never]);
  assertEquals(pays(512, 512, 1), [false, false, false, true]);
  assertEquals([pays(128, 128, 1), pays(32, 640, 1)], [never, never]);
});

Deno.test("savesProducts: the finest level decides", () => {
  const saves = (channels: readonly number[]): boolean => {
    return savesProducts({ decoder: channels.map((channels) => ({ channels })) }, "winograd");
  };
  assertEquals([saves([160, 160, 320]), saves([64, 320, 640]), saves([512])], [true, false, false]);
  assertEquals(savesProducts({ decoder: null }, "winograd"), false);
  assertEquals(savesProducts({ decoder: [{ channels: 160 }, { channels: 640 }] }, "phases"), false);
});
