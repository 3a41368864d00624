#!/usr/bin/env bash
# ONNX Runtime's WebGPU provider gives wrong values, and no error, for a convolution that is padded only at
# the end (below or to the right) if the kernel has the size of the map, or is 1x1 with stride 1: it
# multiplies the map by the kernel as if nothing were padded. By ONNX's definition of Conv the padding counts,
# and the WebAssembly provider of the same package counts it. We attach such zeros to the map before the
# convolution (models/autoencoder/enlarging.ts). Runs convolutions by both and prints what they give; exits
# with 1 if other ones than described are wrong.
#
# Needs Node with npx. Installs deno@2.9.6 and onnxruntime-web@1.30.0 in a folder of its own and removes it;
# needs a Vulkan driver, software is enough (Debian: mesa-vulkan-drivers).
# Definition: https://onnx.ai/onnx/operators/onnx__Conv.html
# Not reported as far as we found; near it is what auto_pad did together with strides:
# https://github.com/microsoft/onnxruntime/issues/26734
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export DENO_DIR="$folder/deno" NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$folder}"

cat >"$folder/convolve.ts" <<'TS'
// Convolves maps of 1, 2, 3… with kernels of ones, and prints a line each:
// "kernel, map, padding: values by WebAssembly, right or wrong by WebGPU (values)".
import * as ort from "npm:onnxruntime-web@1.30.0/jspi";

Object.assign(ort.env, { logLevel: "error" });
ort.env.wasm.numThreads = 1;

// A number and a field of a protobuf message; the latter is a number, a text, or bytes.
const varint = (number) => number < 128 ? [number] : [number % 128 + 128, ...varint(number >> 7)];
function field(id, value) {
  if (typeof value === "number") return [...varint(id << 3), ...varint(value)];
  const bytes = typeof value === "string" ? [...new TextEncoder().encode(value)] : value;
  return [...varint(id << 3 | 2), ...varint(bytes.length), ...bytes];
}
// An attribute that is a list of integers, or a text; and the type of an input or output.
function attribute(name, value) {
  if (typeof value === "string") return [...field(1, name), ...field(4, value), ...field(20, 3)];
  return [...field(1, name), ...value.flatMap((item) => field(8, item)), ...field(20, 7)];
}
function floats(name, shape) {
  const sides = shape.flatMap((side) => field(1, typeof side === "number" ? field(1, side) : field(2, side)));
  return [...field(1, name), ...field(2, field(1, [...field(1, 1), ...field(2, sides)]))];
}
function model(padding, strides) {
  const attributes = [
    typeof padding === "string" ? attribute("auto_pad", padding) : attribute("pads", padding),
    attribute("strides", strides),
  ];
  const node = ["x", "w"].flatMap((input) => field(1, input)).concat(
    field(2, "y"),
    field(4, "Conv"),
    attributes.flatMap((bytes) => field(5, bytes)),
  );
  const graph = [
    ...field(1, node),
    ...field(2, "convolution"),
    ...field(11, floats("x", [1, 1, "h", "w"])),
    ...field(11, floats("w", [1, 1, "kh", "kw"])),
    ...field(12, floats("y", [1, 1, "yh", "yw"])),
  ];
  return Uint8Array.from([...field(1, 8), ...field(7, graph), ...field(8, field(2, 17))]);
}

// Kept on globalThis, as ONNX Runtime asks the device for its adapter, which Deno does not keep alive itself.
const adapter = globalThis.adapter = await navigator.gpu.requestAdapter();
const device = await adapter.requestDevice();
const wasm = { executionProviders: ["wasm"], logSeverityLevel: 3 };
const webgpu = {
  executionProviders: [{ name: "webgpu", device }],
  extra: { session: { disable_cpu_ep_fallback: "1" } },
  logSeverityLevel: 3,
};
async function convolve(options, { kernel, map, padding, strides = [1, 1] }) {
  const tensor = (value, [height, width]) => {
    const values = Float32Array.from({ length: height * width }, (_, i) => value(i));
    return new ort.Tensor("float32", values, [1, 1, height, width]);
  };
  const session = await ort.InferenceSession.create(model(padding, strides), options);
  const { y } = await session.run({ x: tensor((i) => i + 1, map), w: tensor(() => 1, kernel) });
  return (await y.getData()).join(" ");
}

const whole = { kernel: [2, 2], map: [2, 2] };
const point = { kernel: [1, 1], map: [2, 2] };
// Padding is given as above, left, below, right.
const cases = [
  { ...whole, padding: [0, 0, 0, 0] },
  { ...whole, padding: [0, 0, 1, 0] },
  { ...whole, padding: [0, 0, 0, 1] },
  { ...whole, padding: [0, 0, 1, 1] },
  { ...whole, padding: "SAME_UPPER" },
  { ...whole, padding: "SAME_LOWER" },
  { ...whole, padding: [1, 0, 0, 0] },
  { ...whole, padding: [0, 1, 0, 0] },
  { ...whole, padding: [1, 0, 1, 0] },
  { ...whole, padding: [0, 1, 0, 1] },
  { kernel: [2, 2], map: [2, 3], padding: [0, 0, 1, 0] },
  { kernel: [3, 3], map: [3, 3], padding: [0, 0, 1, 1] },
  { ...point, padding: [0, 0, 0, 1] },
  { ...point, padding: [0, 1, 0, 0] },
  { ...point, padding: [0, 0, 0, 1], strides: [2, 2] },
];
for (const { kernel, map, padding, strides } of cases) {
  const right = await convolve(wasm, { kernel, map, padding, strides });
  const given = await convolve(webgpu, { kernel, map, padding, strides });
  const step = strides === undefined ? "" : ", stride 2";
  const name = `kernel ${kernel.join("x")}, map ${map.join("x")}, padding ${padding}${step}`;
  console.log(`${name}: ${right}; WebGPU ${given === right ? "right" : `wrong (${given})`}`);
}
Deno.exit();
TS

deno() { npx --yes deno@2.9.6 "$@"; }
deno --version | head -n 1
found=$(deno run --quiet --no-check --no-lock --allow-all "$folder/convolve.ts")
echo "$found"

wanted="kernel 2x2, map 2x2, padding 0,0,0,0: 10; WebGPU right
kernel 2x2, map 2x2, padding 0,0,1,0: 10 7; WebGPU wrong
kernel 2x2, map 2x2, padding 0,0,0,1: 10 6; WebGPU wrong
kernel 2x2, map 2x2, padding 0,0,1,1: 10 6 7 4; WebGPU wrong
kernel 2x2, map 2x2, padding SAME_UPPER: 10 6 7 4; WebGPU wrong
kernel 2x2, map 2x2, padding SAME_LOWER: 1 3 4 10; WebGPU right
kernel 2x2, map 2x2, padding 1,0,0,0: 3 10; WebGPU right
kernel 2x2, map 2x2, padding 0,1,0,0: 4 10; WebGPU right
kernel 2x2, map 2x2, padding 1,0,1,0: 3 10 7; WebGPU right
kernel 2x2, map 2x2, padding 0,1,0,1: 4 10 6; WebGPU right
kernel 2x2, map 2x3, padding 0,0,1,0: 12 16 9 11; WebGPU right
kernel 3x3, map 3x3, padding 0,0,1,1: 45 33 39 28; WebGPU wrong
kernel 1x1, map 2x2, padding 0,0,0,1: 1 2 0 3 4 0; WebGPU wrong
kernel 1x1, map 2x2, padding 0,1,0,0: 0 1 2 0 3 4; WebGPU right
kernel 1x1, map 2x2, padding 0,0,0,1, stride 2: 1 0; WebGPU right"
# What the wrong values are depends on what lies in memory.
if [ "$(sed 's/ (.*)$//' <<<"$found")" = "$wanted" ]; then
  echo "As described: padding that is only below or to the right is lost on WebGPU."
else
  echo "The behaviour has changed."
  exit 1
fi
