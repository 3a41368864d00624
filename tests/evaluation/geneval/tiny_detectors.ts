/**
 * Detectors of a few nodes, written to a folder with their descriptions: what they find follows from the
 * colour of a plain picture.
 *
 * @module
 */

import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";

/** Side of the pictures that they take. */
export const SIDE = 8;

/** A picture of one colour, of any size. */
export function plain(color: readonly [number, number, number], width = SIDE, height = SIDE): RgbaImage {
  const image = new RgbaImage(width, height);
  for (let i = 0; i < width * height; i++) image.data.set(color, 4 * i);
  return image;
}

/** The graph's input, and red, green and blue of each picture from 0 to 1, [pictures, 3]. */
function colorsOf(graph: GraphBuilder): string {
  const image = graph.input({ name: "image", type: "float32", shape: ["pictures", 3, SIDE, SIDE] });
  return graph.add("ReduceMean", [image], { axes: [2, 3], keepdims: 0 });
}

/** Numbers of the network in the style of DETR: six logits for each colour, and boxes. */
export const QUERIES = {
  logits: [[8, 0, 0], [0, 8, 0], [0, 0, 2], [0, 8, 0], [8, 0, 0], [0, 0, 2]],
  boxes: [0.5, 0.5, 0.25, 0.5, 0.25, 0.75, 0.5, 0.25],
} as const;

/** A network of two queries, whose logits are the products of {@linkcode QUERIES} and the colour. */
export function detrModel(boxes: readonly number[] = QUERIES.boxes): Uint8Array {
  const graph = new GraphBuilder("tiny_detr");
  const color = colorsOf(graph);
  const columns = [0, 1, 2].flatMap((channel) => QUERIES.logits.map((row) => row[channel]!));
  const logits = graph.add("MatMul", [color, graph.constant("float32", columns, [3, 6])]);
  graph.output(
    { name: "logits", type: "float32", shape: ["pictures", 2, 3] },
    graph.reshape(logits, [-1, 2, 3]),
  );
  const nothing = graph.add("MatMul", [color, graph.constant("float32", Array(24).fill(0), [3, 8])]);
  const placed = graph.add("Add", [nothing, graph.constant("float32", boxes)]);
  graph.output(
    { name: "pred_boxes", type: "float32", shape: ["pictures", 2, 4] },
    graph.reshape(placed, [-1, 2, 4]),
  );
  return graph.bytes();
}

/** Corners of what {@linkcode boxesModel} finds of each colour. */
export const CORNERS = [[0, 0, 4, 4], [2, 2, 8, 4], [4, 0, 8, 8]] as const;

/** A network that finds a box for each colour above a half, which is its score. */
export function boxesModel(labels: readonly number[] = [0, 1, 2]): Uint8Array {
  const graph = new GraphBuilder("tiny_boxes");
  const scores = graph.reshape(colorsOf(graph), [3]);
  const kept = graph.reshape(
    graph.add("NonZero", [graph.add("Greater", [scores, graph.constant("float32", [0.5])])]),
    [-1],
  );
  const take = (values: string): string => graph.add("Gather", [values, kept], { axis: 0 });
  const boxes = take(graph.constant("float32", CORNERS.flat(), [3, 4]));
  graph.output({ name: "boxes", type: "float32", shape: ["found", 4] }, boxes);
  graph.output({ name: "labels", type: "int64", shape: ["found"] }, take(graph.constant("int64", labels)));
  graph.output({ name: "scores", type: "float32", shape: ["found"] }, take(scores));
  return graph.bytes();
}

/** Fields of a description that all have. */
export const DESCRIBED = {
  network: "tiny.onnx",
  image: { input: "image", size: SIDE, resize: "bilinear", fit: "squash" },
  labels: ["cone", "mouse", ""],
};

/** Writes a detector to a new folder, whose removal is left to the caller. */
export async function writeDetector(
  model: Uint8Array,
  description: Record<string, unknown>,
): Promise<{ readonly folder: string; readonly place: string }> {
  const folder = await Deno.makeTempDir({ prefix: "varscale-detector-" });
  await Deno.writeFile(`${folder}/tiny.onnx`, model);
  const place = `${folder}/detector.json`;
  await Deno.writeTextFile(place, JSON.stringify({ ...DESCRIBED, ...description }));
  return { folder, place };
}
