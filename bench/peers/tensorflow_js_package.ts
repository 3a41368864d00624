/**
 * TensorFlow.js with the backends that run in Deno.
 *
 * @module
 */

// @ts-types="./tensorflow_js_package.d.ts"
import "npm:@tensorflow/tfjs-backend-wasm@4.22.0";
// @ts-types="./tensorflow_js_package.d.ts"
import "npm:@tensorflow/tfjs-backend-webgpu@4.22.0";

// @ts-types="./tensorflow_js_package.d.ts"
export * from "npm:@tensorflow/tfjs-core@4.22.0";
