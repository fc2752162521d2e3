"""Small models for the tests, saved and loaded as a user's are."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from workbench.model.model import Model

FLOAT, INT64, BOOL, HALF, STRING = 1, 7, 9, 10, 8


def node(op_type, inputs, outputs, name="", domain="", **attributes):
    return helper.make_node(op_type, inputs, outputs, name=name or outputs[0], domain=domain, **attributes)


def value(name, dtype=FLOAT, shape=("n", 4)):
    return helper.make_tensor_value_info(name, dtype, shape)


def weight(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def graph(nodes, outputs, inputs=(), weights=(), name="body"):
    return helper.make_graph(
        list(nodes), name, list(inputs), [o if not isinstance(o, str) else value(o, shape=None) for o in outputs], list(weights)
    )


def proto(nodes, outputs=("y",), inputs=None, weights=(), *, opset=17, imports=(), ir_version=8, functions=()):
    inputs = [value("x")] if inputs is None else inputs
    domains = [helper.make_opsetid("", opset), *(helper.make_opsetid(*i) for i in imports)]
    model = helper.make_model(graph(nodes, outputs, inputs, weights, "main"), opset_imports=domains, functions=list(functions))
    model.ir_version = ir_version
    return model


def saved(folder, model, name="model"):
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    return Model.load(path)


def by_name(placement):
    return {n.name: n for n in placement.nodes}


def short(placement):
    names = {"TensorrtExecutionProvider": "trt", "CUDAExecutionProvider": "cuda", "CPUExecutionProvider": "cpu", None: None}
    return {n.name: names[n.provider] for n in placement.nodes}


def engines(placement):
    return [set(g.nodes) for g in placement.groups if g.provider == "TensorrtExecutionProvider"]
