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
  assertEquals([pays(64, 64, 2), pays(64, 32, 16), pays(160, 3, 16), pays(63, 640, 2)], [
    true,
    false,
    false,
    false,
  ]);
  assertEquals([pays(512, 512, 1), pays(128, 128, 1), pays(32, 640, 1)], [true, false, false]);
});
