#!/usr/bin/env bash
# ONNX Runtime takes time by the square of the number of nodes to load a graph whose values are of unknown
# size: when it plans its memory, each value is compared with all before it that are free again, and none of
# unknown size is ever taken. After a Conv of a map with named sides nothing is known any more, so decoders
# for pictures of any size are such graphs. Optional entries of value_info that give equally large maps equal
# names make it linear; no documentation of the runtime says that it reads them for this. We write them
# (GraphBuilder.sized in models/graphs/graph_builder.ts).
# Loads chains of 1000 and 4000 convolutions without and with such entries, nothing optimized; exits with 1 if
# the first do not take at least 10 times as long for 4 times the nodes, or the second more than 7 times.
#
# Needs Node with npm. Installs onnxruntime-node@1.30.0 (113 MB) in a folder of its own and removes it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit --ignore-scripts --prefix . onnxruntime-node@1.30.0 >/dev/null

cat >chain.mjs <<'JS'
// Prints how long chains of convolutions take to load.
import { InferenceSession } from "onnxruntime-node";

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push(value % 128 | 128);
  return [...bytes, value];
}
// A field of a protobuf message: a number, a text, or bytes.
function field(id, value) {
  if (typeof value === "number") return [...varint(id * 8), ...varint(value)];
  const bytes = typeof value === "string" ? [...new TextEncoder().encode(value)] : value;
  return [...varint(id * 8 + 2), ...varint(bytes.length), ...bytes];
}
// A map of floats, [1, 1, height, width], whose sides have names.
const dimension = (side) => field(1, typeof side === "number" ? field(1, side) : field(2, side));
const map = (name) => [
  ...field(1, name),
  ...field(2, field(1, [...field(1, 1), ...field(2, [1, 1, "height", "width"].flatMap(dimension))])),
];
const pads = [...field(1, "pads"), ...[1, 1, 1, 1].flatMap((pad) => field(8, pad)), ...field(20, 7)];
// A kernel of 3 by 3 zeros.
const kernel = [
  ...[1, 1, 3, 3].flatMap((side) => field(1, side)),
  ...field(2, 1),
  ...field(8, "w"),
  ...field(9, Array(36).fill(0)),
];

function chain(count, told) {
  const nodes = [];
  const sizes = [];
  for (let i = 0; i < count; i++) {
    const [from, to] = [`x${i}`, `x${i + 1}`];
    nodes.push(...field(1, [
      ...field(1, from), ...field(1, "w"), ...field(2, to), ...field(3, `n${i}`), ...field(4, "Conv"),
      ...field(5, pads),
    ]));
    if (told) sizes.push(...field(13, map(to)));
  }
  const ends = [...field(11, map("x0")), ...field(12, map(`x${count}`))];
  const graph = [...nodes, ...field(2, "chain"), ...field(5, kernel), ...ends, ...sizes];
  return Uint8Array.from([...field(1, 8), ...field(7, graph), ...field(8, field(2, 17))]);
}

async function milliseconds(count, told) {
  const model = chain(count, told);
  let least = Infinity;
  for (let round = 0; round < 3; round++) {
    const start = performance.now();
    const session = await InferenceSession.create(model, { graphOptimizationLevel: "disabled" });
    least = Math.min(least, performance.now() - start);
    await session.release();
  }
  return least;
}

await milliseconds(10, true);
const ratios = [];
for (const told of [false, true]) {
  const [short, long] = [await milliseconds(1000, told), await milliseconds(4000, told)];
  ratios.push(long / short);
  console.log(
    `${told ? "sizes named" : "sizes unknown"}: 1000 nodes ${short.toFixed(0)} ms, 4000 nodes ` +
      `${long.toFixed(0)} ms, ${(long / short).toFixed(1)} times as long`,
  );
}
const [unknown, named] = ratios;
if (unknown >= 10 && named <= 7) process.exit(0);
console.log("This is not what was seen with onnxruntime-node 1.30.0.");
process.exit(1);
JS
echo "onnxruntime-node 1.30.0, Node $(node --version)"
node chain.mjs
