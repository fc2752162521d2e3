import numpy as np
import pytest

from tests.placement.build import FLOAT, INT64, node, value, weight
from workbench.errors import SettingsError
from workbench.placement.prepare import prepare
from workbench.placement.support import RELEASES, SupportTable


@pytest.fixture
def refusal(model):
    """What a release says to the last node of a model."""

    def ask(release, nodes, **kwargs):
        graph = prepare(model(nodes, **kwargs), optimised=True, inlines_branches=True).graph
        verdict = SupportTable.load(release).verdict(graph.ops[-1], graph)
        return verdict.text if verdict is not None else ""

    return ask


def test_each_release_has_a_table():
    for release in RELEASES:
        table = SupportTable.load(release)
        assert "Conv" in table.importers
        assert "Compress" not in table.importers
    with pytest.raises(SettingsError):
        SupportTable.load("7.2")


def test_tensorrt_11_knows_swish():
    assert "Swish" in SupportTable.load("11.1").importers - SupportTable.load("10.16").importers


def test_the_domain_is_ignored(refusal):
    assert refusal("8.6", [node("Softplus", ["x"], ["y"], domain="com.microsoft")], imports=[("com.microsoft", 1)]) == ""
    assert "no importer" in refusal("8.6", [node("Gelu", ["x"], ["y"], domain="com.microsoft")], imports=[("com.microsoft", 1)])


def test_integer_matrices_are_refused(refusal):
    nodes = [node("MatMul", ["x", "x"], ["y"])]
    fields = {"outputs": [value("y", INT64, None)], "inputs": [value("x", INT64, (4, 4))]}
    assert refusal("10.1", nodes, **fields) == "with TensorRT 10.1, MatMul does not take INT64"
    assert "INT32" in refusal("8.6", nodes, **fields)


def test_types_that_tensorrt_does_not_know(refusal):
    reason = refusal("10.16", [node("Relu", ["x"], ["y"])], outputs=[value("y", 8, None)], inputs=[value("x", 8)])
    assert "string" in reason


@pytest.mark.parametrize(
    ("release", "nodes", "words"),
    [
        ("10.16", [node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2])], "indices"),
        ("10.16", [node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], dilations=[2, 2])], "dilations"),
        ("8.6", [node("Resize", ["x", "", "scales"], ["y"], coordinate_transformation_mode="tf_crop_and_resize")], "tf_crop"),
        ("10.16", [node("Resize", ["x", "", "scales"], ["y"], antialias=1)], "antialiasing"),
        ("10.16", [node("ScatterND", ["x", "i4", "u"], ["y"], reduction="add")], "reduction"),
        ("10.16", [node("TopK", ["x", "k"], ["y", "t"], sorted=0)], "sorted"),
        ("8.6", [node("Einsum", ["x"], ["y"], equation="bchh->bc")], "diagonal"),
        ("10.16", [node("DepthToSpace", ["x3"], ["y"], blocksize=2)], "4 dimensions"),
        ("10.16", [node("Cast", ["x"], ["y"], to=8)], "string"),
        ("10.16", [node("BatchNormalization", ["x", "c", "c", "c", "c"], ["y", "m", "v"], training_mode=1)], "training"),
        ("10.16", [node("Unsqueeze", ["x", "given"], ["y"])], "axes"),
        ("10.16", [node("LSTM", ["x3", "W", "R"], ["y"], hidden_size=1, input_forget=1)], "input_forget"),
        ("10.16", [node("Einsum", ["x"], ["y"], equation="Abcd->bc")], "lower-case"),
        ("8.6", [node("LpNormalization", ["x"], ["y"], p=3)], "p of 1 or 2"),
        ("8.6", [node("Conv", ["x", "w4", "given4"], ["y"])], "a bias"),
        ("8.6", [node("InstanceNormalization", ["x", "given4", "c"], ["y"])], "a scale"),
        ("8.6", [node("QuantizeLinear", ["x", "s"], ["y"])], "zero point given"),
        ("10.16", [node("RandomNormalLike", ["x"], ["y"], dtype=11)], "FLOAT or FLOAT16"),
        (
            "10.16",
            [
                node(
                    "Resize",
                    ["x", "", "scales"],
                    ["y"],
                    coordinate_transformation_mode="tf_half_pixel_for_nn",
                    nearest_mode="floor",
                )
            ],
            "round_prefer_floor",
        ),
    ],
)
def test_documented_restrictions(refusal, release, nodes, words):
    inputs = [
        value("x", FLOAT, (1, 4, 4, 4)),
        value("x3", FLOAT, (1, 4, 4)),
        value("given", INT64, (1,)),
        value("given4", FLOAT, (4,)),
        value("u", FLOAT, (1, 4, 4, 4)),
    ]
    weights = [
        weight("scales", np.ones(4, np.float32)),
        weight("k", np.array([2])),
        weight("w4", np.ones((4, 4, 1, 1), np.float32)),
        weight("s", np.float32(1)),
        weight("c", np.ones(4, np.float32)),
        weight("i4", np.zeros((1, 1), np.int64)),
        weight("W", np.ones((1, 4, 4), np.float32)),
        weight("R", np.ones((1, 4, 1), np.float32)),
    ]
    assert words in refusal(release, nodes, inputs=inputs, weights=weights, opset=18)


def test_newer_releases_take_what_older_ones_need_as_weights(refusal):
    inputs = [value("x", FLOAT, (1, 4, 4, 4)), value("low", FLOAT, ()), value("bias", FLOAT, (4,))]
    weights = [weight("w", np.ones((4, 4, 1, 1), np.float32)), weight("s", np.float32(1))]
    assert refusal("8.6", [node("Clip", ["x", "low"], ["y"])], inputs=inputs) == ""
    assert refusal("10.1", [node("Conv", ["x", "w", "bias"], ["y"])], inputs=inputs, weights=weights) == ""
    assert refusal("10.1", [node("QuantizeLinear", ["x", "s"], ["y"])], inputs=inputs, weights=weights) == ""


def test_zero_points_must_be_zero(refusal):
    def quantized(zero, release="10.16"):
        weights = [weight("s", np.float32(1)), weight("z", zero)]
        return refusal(release, [node("QuantizeLinear", ["x", "s", "z"], ["y"])], weights=weights)

    assert quantized(np.int8(0)) == ""
    assert "symmetrically" in quantized(np.int8(3))
    assert "UINT8" in quantized(np.uint8(0))
    assert quantized(np.uint8(0), "8.6") == ""


def test_a_value_computed_from_constants_counts_as_constant(refusal):
    nodes = [node("Add", ["one", "one"], ["two"]), node("Unsqueeze", ["x", "two"], ["y"])]
    assert refusal("8.6", nodes, weights=[weight("one", np.array([0]))]) == ""


def test_the_quantized_bias_gets_its_remedy(refusal):
    weights = [weight("s", np.float32(1)), weight("q", np.ones(4, np.int32))]
    assert "without quantizing the bias" in refusal("10.16", [node("DequantizeLinear", ["q", "s"], ["y"])], weights=weights)
