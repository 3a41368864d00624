import { assertEquals } from "@std/assert";
import { fastConvolutions, winogradPays } from "../../../models/autoencoder/convolutions.ts";

Deno.test("fastConvolutions: only WebAssembly saves products by Winograd's algorithm", () => {
  assertEquals((["wasm", "native", "webgpu"] as const).map(fastConvolutions), [
    "winograd",
    "phases",
    "phases",
  ]);
});

Deno.test("winogradPays: channels on both sides decide, and more of them on maps of tokens", () => {
  const pays = (inputs: number, outputs: number, factor: number): boolean => {
    return winogradPays({ inputs, outputs, factor });
  };
  assertEquals([pays(128, 128, 2), pays(320, 160, 8)], [true, true]);
  assertEquals([pays(160, 3, 16), pays(64, 64, 8)], [false, false]);
  assertEquals([pays(512, 512, 1), pays(128, 128, 1), pays(32, 640, 1)], [true, false, false]);
});
