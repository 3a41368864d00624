"""Gives the oracles an output more: what they see in a picture before they say what it is. Weights and other outputs stay as they are.

    python tools/judges/features.py                  # evaluation/judges/demo_oracle.onnx and demo_t2i_oracle.onnx, in place

Needs onnx. `features` of the oracle of classes are the means and maxima of its last map, from which both heads read, [n, 192];
those of the detector are the same of the map before its last convolution. Run again, it changes nothing.
"""

import os

import onnx
from onnx import TensorProto, helper

HERE = os.path.dirname(os.path.abspath(__file__))
JUDGES = os.path.join(HERE, "../../evaluation/judges")


def pooled(graph, source):
    """Nodes from a map to the mean and the maximum of each of its channels."""
    names = {"ReduceMean": "features_mean", "ReduceMax": "features_max"}
    nodes = [helper.make_node(kind, [source], [name], axes=[2, 3], keepdims=0) for kind, name in names.items()]
    graph.node.extend([*nodes, helper.make_node("Concat", list(names.values()), ["features"], axis=1)])


def add_features(file, source, width, is_map):
    model = onnx.load(file)
    graph = model.graph
    if any(output.name == "features" for output in graph.output):
        return
    if is_map:
        pooled(graph, source)
    else:
        graph.node.append(helper.make_node("Identity", [source], ["features"]))
    graph.output.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", width]))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, file)


def add_class_features():
    add_features(os.path.join(JUDGES, "demo_oracle.onnx"), "/Concat_output_0", 192, False)


if __name__ == "__main__":
    add_class_features()
    add_features(os.path.join(JUDGES, "demo_t2i_oracle.onnx"), "/o/net/net.6/net.6.2/Relu_output_0", 192, True)
