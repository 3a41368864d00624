/**
 * Other libraries that compute what kernels compute, as the report calls them. What one cannot do on a
 * machine, it says when it is opened; to see all of that at once:
 *
 *     deno run -A --no-lock bench/peers/mod.ts
 *
 * @module
 */

import type { Peer } from "../peer.ts";
import { jaxJs } from "./jax_js.ts";
import { libraryPeer } from "./library.ts";
import { onnxRuntime } from "./onnx_runtime.ts";
import { checkTask } from "./reference.ts";
import { tensorflowJs } from "./tensorflow_js.ts";

/** The libraries on each of their backends. */
export const PEERS: readonly Peer[] = [jaxJs, tensorflowJs, onnxRuntime].flatMap((library) => {
  return [libraryPeer(library("webgpu")), libraryPeer(library("wasm"))];
});

if (import.meta.main) {
  for (const peer of PEERS) {
    for (const kernel of peer.kernels) {
      try {
        await using _run = await peer.open(checkTask(kernel));
        console.log(`${peer.name}, ${kernel}: right`);
      } catch (error) {
        console.log(`${peer.name}, ${kernel}: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  // Workers and devices of the libraries would keep the process alive.
  Deno.exit();
}
