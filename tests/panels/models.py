"""Small models for the panels' tests."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from workbench.model.model import Model
from workbench.placement.records import CPU, TENSORRT, Group, PlacedNode, Placement, RuntimeVersions


def chain_model(path, length=6):
    """Write a chain of Add nodes with a weight each, the last feeding an If; return it loaded."""
    weight = numpy_helper.from_array(np.ones((8, 8), np.float32), "w")
    nodes, value = [], "x"
    for at in range(length):
        nodes.append(helper.make_node("Add", [value, "w"], [f"t{at}"], name=f"/block/add {at}" if at else ""))
        value = f"t{at}"
    branches = {}
    for side, op in (("then_branch", "Relu"), ("else_branch", "Neg")):
        out = helper.make_tensor_value_info(f"{side}_y", TensorProto.FLOAT, [8, 8])
        branches[side] = helper.make_graph([helper.make_node(op, [value], [out.name], name=op)], side, [], [out])
    nodes.append(helper.make_node("If", ["flag"], ["y"], name="choice", **branches))
    graph = helper.make_graph(
        nodes,
        "chain",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [8, 8]),
            helper.make_tensor_value_info("flag", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 8])],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return Model.load(path)


def split_placement(model):
    """Give all Add nodes to one TensorRT group, the rest to the CPU."""
    adds = tuple(node.name for node in model.nodes if node.op_type == "Add")
    others = tuple(node for node in model.nodes if node.op_type != "Add")
    nodes = tuple(
        PlacedNode(
            name=node.name,
            op_type=node.op_type,
            provider=TENSORRT if node.name in adds else CPU,
            group=0 if node.name in adds else 1 + [o.name for o in others].index(node.name),
            reason="taken by TensorRT" if node.name in adds else "control flow",
        )
        for node in model.nodes
    )
    groups = (Group(provider=TENSORRT, nodes=adds), *(Group(provider=CPU, nodes=(o.name,)) for o in others))
    return Placement(
        model=str(model.path),
        evidence="predicted",
        runtime=RuntimeVersions(tensorrt="10.16"),
        groups=groups,
        nodes=nodes,
        coverage={TENSORRT: len(adds) / len(nodes), CPU: len(others) / len(nodes)},
    )
