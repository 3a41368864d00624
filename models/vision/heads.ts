/**
 * Small graphs behind networks: from what a classifier says to the score of a label, and from planes to rows.
 *
 * @module
 */

import { GraphBuilder } from "../graphs/graph_builder.ts";

/**
 * A graph from a classifier's `values` and `chosen` classes, ones among zeros, both f32 [pictures, classes],
 * to `score`, f32 [pictures]: the logarithm of the probability of the class that is chosen.
 */
export function classHead(values: "logits" | "probabilities" | "logProbabilities"): Uint8Array {
  const graph = new GraphBuilder("class_head");
  const shape = ["pictures", "classes"];
  const given = graph.input({ name: "values", type: "float32", shape });
  const chosen = graph.input({ name: "chosen", type: "float32", shape });
  const axis = graph.constant("int64", [1]);
  const total = (x: string): string => graph.add("ReduceSum", [x, axis], { keepdims: 0 });
  const zero = graph.constant("float32", [0]);
  const pick = (x: string): string => {
    // A product would make NaN of the infinite ones that are not chosen.
    return total(graph.add("Where", [graph.add("Greater", [chosen, zero]), x, zero]));
  };
  const out = { name: "score", type: "float32", shape: ["pictures"] } as const;
  if (values === "logProbabilities") graph.output(out, pick(given));
  else if (values === "probabilities") graph.output(out, graph.add("Log", [pick(given)]));
  else {
    const most = graph.add("ReduceMax", [given], { axes: [1], keepdims: 1 });
    const below = graph.add("Sub", [given, most]);
    graph.output(out, graph.add("Sub", [pick(below), graph.add("Log", [total(graph.add("Exp", [below]))])]));
  }
  return graph.bytes();
}

/** A graph from `planes`, f32 [pictures, channels, places], to `rows`, f32 [pictures, places, channels]. */
export function rowsHead(): Uint8Array {
  const graph = new GraphBuilder("rows_head");
  const planes = graph.input({ name: "planes", type: "float32", shape: ["pictures", "channels", "places"] });
  graph.output(
    { name: "rows", type: "float32", shape: ["pictures", "places", "channels"] },
    graph.add("Transpose", [planes], { perm: [0, 2, 1] }),
  );
  return graph.bytes();
}
