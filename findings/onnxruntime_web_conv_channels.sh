#!/usr/bin/env bash
# ONNX Runtime's WebGPU provider gives wrong values, and no error, for a convolution whose input channels are
# a multiple of 3 but neither 3 nor a multiple of 4, if its output channels are a multiple of 4 and its kernel
# is larger than 1x1 or its stride than 1. By ONNX's definition of Conv their number does not matter, and the
# WebAssembly provider of the same package is right. No published network that we build has such a
# convolution; one of our tests had, and an ONNX file that a user brings may (docs/verifiers.md). Runs
# convolutions by both and prints what differs; exits with 1 if other ones than described are wrong.
#
# Needs Node with npx. Installs deno@2.9.6 and onnxruntime-web@1.30.0 in a folder of its own and removes it;
# needs a Vulkan driver, software is enough (Debian: mesa-vulkan-drivers).
# Definition: https://onnx.ai/onnx/operators/onnx__Conv.html
# Likely the same, of an image with 9 channels: https://github.com/microsoft/onnxruntime/issues/29651
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export DENO_DIR="$folder/deno" NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$folder}"

cat >"$folder/convolve.ts" <<'TS'
// Convolves maps with kernels of ones, and prints a line each: "channels, kernel, stride: right or wrong by
// WebGPU".
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
function model(inputs, outputs, strides) {
  const attributes = [attribute("strides", strides)];
  const node = ["x", "w"].flatMap((input) => field(1, input)).concat(
    field(2, "y"),
    field(4, "Conv"),
    attributes.flatMap((bytes) => field(5, bytes)),
  );
  const graph = [
    ...field(1, node),
    ...field(2, "convolution"),
    ...field(11, floats("x", [1, inputs, "h", "w"])),
    ...field(11, floats("w", [outputs, inputs, "kh", "kw"])),
    ...field(12, floats("y", [1, outputs, "yh", "yw"])),
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
const SIDE = 4;
async function convolve(options, { inputs, outputs, kernel, stride }) {
  const tensor = (shape, value) => {
    const count = shape.reduce((product, side) => product * side, 1);
    return new ort.Tensor("float32", Float32Array.from({ length: count }, (_, i) => value(i)), shape);
  };
  const session = await ort.InferenceSession.create(model(inputs, outputs, [stride, stride]), options);
  const { y } = await session.run({
    // Small integers, whose sums are exact in any order.
    x: tensor([1, inputs, SIDE, SIDE], (i) => i % 7),
    w: tensor([outputs, inputs, kernel, kernel], (i) => i % 5),
  });
  return (await y.getData()).join(" ");
}

const cases = [
  ...[3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 18, 24].map((inputs) => {
    return { inputs, outputs: 4, kernel: 3, stride: 1 };
  }),
  { inputs: 6, outputs: 3, kernel: 3, stride: 1 },
  { inputs: 6, outputs: 8, kernel: 3, stride: 1 },
  { inputs: 6, outputs: 4, kernel: 1, stride: 1 },
  { inputs: 6, outputs: 4, kernel: 1, stride: 2 },
];
for (const each of cases) {
  const { inputs, outputs, kernel, stride } = each;
  const same = await convolve(wasm, each) === await convolve(webgpu, each);
  const name = `${inputs} to ${outputs} channels, kernel ${kernel}x${kernel}, stride ${stride}`;
  console.log(`${name}: ${same ? "right" : "wrong"}`);
}
Deno.exit();
TS

deno() { npx --yes deno@2.9.6 "$@"; }
deno --version | head -n 1
found=$(deno run --quiet --no-check --no-lock --allow-all "$folder/convolve.ts")
echo "$found"

wanted="3 to 4 channels, kernel 3x3, stride 1: right
4 to 4 channels, kernel 3x3, stride 1: right
5 to 4 channels, kernel 3x3, stride 1: right
6 to 4 channels, kernel 3x3, stride 1: wrong
7 to 4 channels, kernel 3x3, stride 1: right
8 to 4 channels, kernel 3x3, stride 1: right
9 to 4 channels, kernel 3x3, stride 1: wrong
10 to 4 channels, kernel 3x3, stride 1: right
12 to 4 channels, kernel 3x3, stride 1: right
15 to 4 channels, kernel 3x3, stride 1: wrong
18 to 4 channels, kernel 3x3, stride 1: wrong
24 to 4 channels, kernel 3x3, stride 1: right
6 to 3 channels, kernel 3x3, stride 1: right
6 to 8 channels, kernel 3x3, stride 1: wrong
6 to 4 channels, kernel 1x1, stride 1: right
6 to 4 channels, kernel 1x1, stride 2: wrong"
if [ "$found" = "$wanted" ]; then
  echo "As described: 6, 9, 15 or 18 channels to a multiple of 4 are convolved wrongly on WebGPU."
else
  echo "The behaviour has changed."
  exit 1
fi
