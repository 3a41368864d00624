#!/usr/bin/env bash
# A session of ONNX Runtime's WebGPU provider that is released keeps its weights on the GPU as long as any
# other session is left on that device, and the next session does not use that memory again either: to load
# and release a model beside another costs its size each time, whether storageBufferCacheMode is "bucket" (the
# default), "simple" or "lazyRelease". The documentation of release() says that it releases "the underlying
# resources". We unload no parts of a model on a GPU (models/graphs/block_session.ts). Loads and releases
# three times a model with 1 MiB of weights that is never run, counts the buffers of that size that were made
# and not destroyed, and prints the counts; exits with 1 if they are not as described.
#
# Needs Node with npx. Installs deno@2.9.6 and onnxruntime-web@1.30.0 in a folder of its own and removes it;
# needs a Vulkan driver, software is enough (Debian: mesa-vulkan-drivers).
# Documentation: https://onnxruntime.ai/docs/api/js/interfaces/InferenceSession.html
# Not reported as far as we found.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export DENO_DIR="$folder/deno" NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$folder}"

cat >"$folder/release.ts" <<'TS'
// Prints how many buffers of 1 MiB are left after each release.
import * as ort from "npm:onnxruntime-web@1.30.0/jspi";

Object.assign(ort.env, { logLevel: "error" });
ort.env.wasm.numThreads = 1;

// A number and a field of a protobuf message; the latter is a number, a text, or bytes.
const varint = (number) => number < 128 ? [number] : [number % 128 + 128, ...varint(number >> 7)];
function field(id, value) {
  if (typeof value === "number") return [...varint(id << 3), ...varint(value)];
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return [...varint(id << 3 | 2), ...varint(bytes.length), ...bytes];
}
// A model that adds one number, "x", to `count` weights.
function model(count) {
  const floats = (name, length) => [
    ...field(1, name),
    ...field(2, field(1, [...field(1, 1), ...field(2, field(1, field(1, length)))])),
  ];
  const node = [...field(1, "x"), ...field(1, "weights"), ...field(2, "y"), ...field(4, "Add")];
  const weights = new Uint8Array(new Float32Array(count).fill(1).buffer);
  const graph = [
    ...field(1, node),
    ...field(2, "sums"),
    ...field(5, [...field(1, count), ...field(2, 1), ...field(8, "weights"), ...field(9, weights)]),
    ...field(11, floats("x", 1)),
    ...field(12, floats("y", count)),
  ];
  return Uint8Array.from([...field(1, 8), ...field(7, graph), ...field(8, field(2, 17))]);
}
const [small, large] = [model(4), model(2 ** 18)];

// Kept on globalThis, as ONNX Runtime asks a device for its adapter, which Deno does not keep alive itself.
const adapters = globalThis.adapters = [];
// A device, and the buffers of 1 MiB that were made on it and not destroyed.
async function countingDevice() {
  const adapter = await navigator.gpu.requestAdapter();
  adapters.push(adapter);
  const device = await adapter.requestDevice();
  const create = device.createBuffer.bind(device);
  const live = new Set();
  device.createBuffer = (descriptor) => {
    const buffer = create(descriptor);
    if (descriptor.size === 2 ** 20) live.add(buffer);
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      live.delete(buffer);
      destroy();
    };
    return buffer;
  };
  return { device, live };
}

async function count(name, storageBufferCacheMode, beside) {
  const { device, live } = await countingDevice();
  const options = {
    executionProviders: [{ name: "webgpu", device, storageBufferCacheMode }],
    logSeverityLevel: 3,
  };
  const load = (bytes) => ort.InferenceSession.create(bytes, options);
  const other = beside ? await load(small) : undefined;
  const counts = [];
  for (let time = 0; time < 3; time++) {
    const session = await load(large);
    const loaded = live.size;
    await session.release();
    // What is left to do on the device is done by the end of a run.
    await other?.run({ x: new ort.Tensor("float32", [1], [1]) });
    counts.push(`${loaded} then ${live.size}`);
  }
  await other?.release();
  console.log(`${name}: ${counts.join(", ")}; at the end ${live.size}`);
}
await count("alone", "bucket", false);
for (const mode of ["bucket", "simple", "lazyRelease"]) await count(`beside a session, ${mode}`, mode, true);
Deno.exit();
TS

deno() { npx --yes deno@2.9.6 "$@"; }
deno --version | head -n 1
found=$(deno run --quiet --no-check --no-lock --allow-all "$folder/release.ts")
echo "$found"

wanted="alone: 1 then 0, 1 then 0, 1 then 0; at the end 0
beside a session, bucket: 1 then 1, 2 then 2, 3 then 3; at the end 0
beside a session, simple: 1 then 1, 2 then 2, 3 then 3; at the end 0
beside a session, lazyRelease: 1 then 1, 2 then 2, 3 then 3; at the end 0"
if [ "$found" = "$wanted" ]; then
  echo "As described: weights of released sessions stay on the GPU until the last session there is released."
else
  echo "The behaviour has changed."
  exit 1
fi
