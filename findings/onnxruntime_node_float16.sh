#!/usr/bin/env bash
# onnxruntime-node takes no input of type float16 where the engine has Float16Array, as Node 24 and Deno have:
# "not enough space: expected 6, got 0". A Uint16Array, which its types declare for such a tensor, is turned
# into a Float16Array first and refused as well; in Node 20, which has no Float16Array, it is taken. We put
# words of 16 bits in place of the tensor's data after it was made (models/graphs/native_graph_session.ts).
# Gives three halves to a model that returns them, in four ways; exits with 1 if others than described are
# refused.
#
# Needs Node with npm and npx. Installs onnxruntime-node@1.30.0 (113 MB), node@20.20.2, node@24.21.0 and
# deno@2.9.6 in a folder of its own and removes it.
# Known as https://github.com/microsoft/onnxruntime/pull/32323
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DENO_DIR="$folder/deno" NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
npm install --silent --no-fund --no-audit --ignore-scripts --prefix . onnxruntime-node@1.30.0 >/dev/null

cat >halves.mjs <<'JS'
// Prints for each way to give three halves what comes back, or why it is refused.
import { InferenceSession, Tensor } from "onnxruntime-node";

// A field of a protobuf message: a small number, a text, or few bytes.
function field(id, value) {
  if (typeof value === "number") return [id << 3, value];
  const bytes = typeof value === "string" ? [...new TextEncoder().encode(value)] : value;
  return [id << 3 | 2, bytes.length, ...bytes];
}
// Three halves, float16 being type 10, and a node Identity from "x" to "y".
const halves = (name) => [
  ...field(1, name),
  ...field(2, field(1, [...field(1, 10), ...field(2, field(1, field(1, 3)))])),
];
const node = [...field(1, "x"), ...field(2, "y"), ...field(4, "Identity")];
const graph = [
  ...field(1, node),
  ...field(2, "halves"),
  ...field(11, halves("x")),
  ...field(12, halves("y")),
];
const model = Uint8Array.from([...field(1, 8), ...field(7, graph), ...field(8, field(2, 17))]);

const words = new Uint16Array([0x3c00, 0x4000, 0x4200]);
const ways = {
  "Uint16Array": () => new Tensor("float16", words, [3]),
  "Float16Array": () => new Tensor("float16", new Float16Array(words.buffer), [3]),
  "numbers": () => new Tensor("float16", [1, 2, 3], [3]),
  "Uint16Array as the tensor's data": () =>
    Object.defineProperty(new Tensor("float16", words, [3]), "data", { value: words }),
};
const session = await InferenceSession.create(model);
const runtime = globalThis.Deno ? "Deno" : `Node ${process.versions.node.split(".", 1)[0]}`;
for (const [name, make] of Object.entries(ways)) {
  let what;
  try {
    const { y } = await session.run({ x: make() });
    what = `${y.data.constructor.name} ${y.data.join(" ")}`;
  } catch (error) {
    what = `refused (${error.message})`;
  }
  console.log(`${runtime}, ${name}: ${what}`);
}
JS

deno() { npx --yes deno@2.9.6 "$@"; }
deno --version | head -n 1
found=$(
  for version in 20.20.2 24.21.0; do npx --yes "node@$version" halves.mjs; done
  deno run --quiet --no-lock --allow-all halves.mjs
)
echo "$found"

refused="refused (not enough space: expected 6, got 0)"
wanted="Node 20, Uint16Array: Uint16Array 15360 16384 16896
Node 20, Float16Array: refused (Float16Array is not defined)
Node 20, numbers: refused (Creating a float16 tensor from number array is not supported. Please use Uint16Array as data.)
Node 20, Uint16Array as the tensor's data: Uint16Array 15360 16384 16896
Node 24, Uint16Array: $refused
Node 24, Float16Array: $refused
Node 24, numbers: $refused
Node 24, Uint16Array as the tensor's data: Float16Array 1 2 3
Deno, Uint16Array: $refused
Deno, Float16Array: $refused
Deno, numbers: $refused
Deno, Uint16Array as the tensor's data: Float16Array 1 2 3"
if [ "$found" = "$wanted" ]; then
  echo "As described: where there is Float16Array, onnxruntime-node takes no input of type float16."
else
  echo "The behaviour has changed."
  exit 1
fi
