import numpy as np
import pytest

from tests.placement.build import BOOL, FLOAT, HALF, INT64, by_name, node, short, value, weight
from workbench.options.settings import Settings
from workbench.placement.kernels import KernelTable
from workbench.placement.predict import predict
from workbench.placement.prepare import prepare
from workbench.placement.records import CPU, CUDA

ON_CUDA = Settings(provider="cuda")


def find(provider, model):
    graph = prepare(model, optimised=False, inlines_branches=False).graph
    return KernelTable.load().find(provider, graph.ops[-1], graph)


def test_a_kernel_fits_by_operator_version_and_types(model):
    relu = model([node("Relu", ["x"], ["y"])])
    assert find(CPU, relu).found
    assert find(CUDA, relu).found
    double = model([node("Relu", ["x"], ["y"])], outputs=[value("y", 12, None)], inputs=[value("x", 12)])
    assert find(CUDA, double).reason == "CUDA has no kernel for Relu with uint32"


def test_an_operator_without_kernel_says_so(model):
    found = find(CUDA, model([node("Det", ["x"], ["y"])], inputs=[value("x", FLOAT, (2, 2))]))
    assert found.reason == "CUDA has no kernel for Det"


def test_operators_of_onnx_runtime_are_found(model):
    m = model([node("FastGelu", ["x"], ["y"], domain="com.microsoft")], imports=[("com.microsoft", 1)])
    assert find(CUDA, m).found


def test_every_input_of_a_variadic_operator_counts(model):
    nodes = [node("Concat", ["x", "z"], ["y"], axis=0)]
    assert find(CPU, model(nodes, inputs=[value("x"), value("z")])).found


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([node("LSTM", ["x", "W", "R"], ["y"], hidden_size=4, clip=1.0)], "clip"),
        ([node("LSTM", ["x", "W", "R"], ["y"], hidden_size=4, activations=["Relu", "Tanh", "Tanh"])], "activations"),
        ([node("LSTM", ["x", "W", "R", "", "", "", "", "P"], ["y"], hidden_size=4)], "peepholes"),
        ([node("GRU", ["x", "W3", "R3"], ["y"], hidden_size=4, linear_before_reset=0)], "linear_before_reset"),
        ([node("ConvTranspose", ["x", "w"], ["y"], pads=[0, 1])], "asymmetric"),
        ([node("ConvTranspose", ["x", "w"], ["y"], auto_pad="SAME_UPPER")], "SAME"),
        ([node("ArgMax", ["x"], ["y"], select_last_index=1)], "select_last_index"),
    ],
)
def test_forms_that_cuda_leaves_to_the_cpu(model, nodes, words):
    weights = [weight("W", np.ones((1, 16, 4), np.float32)), weight("R", np.ones((1, 16, 4), np.float32))]
    weights += [weight("W3", np.ones((1, 12, 4), np.float32)), weight("R3", np.ones((1, 12, 4), np.float32))]
    weights += [weight("P", np.ones((1, 12), np.float32)), weight("w", np.ones((4, 4, 3), np.float32))]
    kind = INT64 if nodes[0].op_type == "ArgMax" else FLOAT
    p = predict(model(nodes, outputs=[value("y", kind, None)], inputs=[value("x", FLOAT, (2, 4, 4))], weights=weights), ON_CUDA)
    assert short(p)["y"] == "cpu"
    assert words in by_name(p)["y"].reason


def shape_chain(model, kind=FLOAT):
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Mul", ["n", "four"], ["m"]),
        node("Unsqueeze", ["m", "axes"], ["l"]),
        node("Reshape", ["x", "l"], ["y"]),
    ]
    weights = [weight("zero", np.int64(0)), weight("four", np.int64(4)), weight("axes", np.array([0]))]
    return model(nodes, outputs=[value("y", kind, None)], inputs=[value("x", kind)], weights=weights)


def test_shape_arithmetic_stays_on_the_cpu(model):
    p = predict(shape_chain(model), ON_CUDA)
    assert short(p) == {"s": "cuda", "n": "cpu", "m": "cpu", "l": "cpu", "y": "cuda"}
    assert by_name(p)["m"].reason == "Shape arithmetic, which ONNX Runtime keeps on the CPU where its data is."


def test_a_big_constant_pulls_shape_arithmetic_to_cuda(model):
    nodes = [node("Shape", ["x"], ["s"]), node("Add", ["s", "big"], ["y"])]
    m = model(
        nodes, outputs=[value("y", INT64, None)], inputs=[value("x", FLOAT, ("n",))], weights=[weight("big", np.arange(101))]
    )
    assert short(predict(m, ON_CUDA))["y"] == "cuda"


def test_half_precision_is_not_taken_to_the_cpu(model):
    nodes = [node("Shape", ["x"], ["s"]), node("Cast", ["s"], ["h"], to=HALF), node("Neg", ["h"], ["y"])]
    p = predict(model(nodes, outputs=[value("y", HALF, None)]), ON_CUDA)
    assert short(p) == {"s": "cuda", "h": "cpu", "y": "cuda"}


def test_unknown_types_are_given_the_benefit_of_the_doubt(model):
    m = model(
        [node("FastGelu", ["x"], ["h"], domain="com.microsoft"), node("Not", ["h"], ["y"])],
        outputs=[value("y", BOOL)],
        imports=[("com.microsoft", 1)],
    )
    assert find(CPU, m).found
