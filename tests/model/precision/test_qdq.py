import contextlib
import io

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from workbench.errors import ModelError, SettingsError
from workbench.model.precision.qdq import insert_qdq, quantised, weight_scale
from workbench.model.precision.qdq_check import check_qdq, quantised_weights
from workbench.samples.catalogue import samples

ort = pytest.importorskip("onnxruntime")

FLOAT = TensorProto.FLOAT


def info(name, dims, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, dims)


def tensor(name, *shape, dtype=np.float32):
    return numpy_helper.from_array(np.random.default_rng(len(name)).standard_normal(shape).astype(dtype), name)


def model(nodes, inputs, outputs, weights=(), opset=17):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def run(made, feeds, level="ORT_DISABLE_ALL", outputs=None):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    session = ort.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(outputs, feeds)


def ranges_of(made, feeds):
    wide = onnx.ModelProto()
    wide.CopyFrom(made)
    del wide.graph.output[:]
    names = [name for node in made.graph.node for name in node.output]
    wide.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    found = zip(names, run(wide, feeds), strict=True)
    return {name: float(np.abs(a).max()) for name, a in (*found, *feeds.items()) if a.dtype == np.float32}


def sample(name):
    return next(s for s in samples() if s.name == name)


def digits():
    made = onnx.load(str(sample("digits").path))
    with np.load(sample("digits").training_set) as file:
        return made, ranges_of(made, {"image": file["image"]})


def accuracy(made, level="ORT_DISABLE_ALL"):
    with np.load(sample("digits").test_set) as file:
        return float(np.mean(run(made, {"image": file["image"]}, level, ["logits"])[0].argmax(1) == file["label"]))


@pytest.mark.parametrize("stored", ["pair", "int8"])
@pytest.mark.parametrize("level", ["ORT_DISABLE_ALL", "ORT_ENABLE_ALL"])
def test_the_digits_classifier_loses_at_most_half_a_point(stored, level):
    before, ranges = digits()
    after, done = insert_qdq(before, ranges, stored=stored)
    onnx.checker.check_model(after, full_check=True)
    assert set(done.quantised) == {n.name for n in before.graph.node if n.op_type in ("Conv", "Gemm")}
    assert check_qdq(after) == []
    assert accuracy(after, level) >= accuracy(before) - 0.005


def test_the_encoder_is_quantised_but_for_products_of_activations():
    made = onnx.load(str(sample("encoder").path))
    rng = np.random.default_rng(0)
    feeds = {"input_ids": rng.integers(0, 1000, (4, 32)), "attention_mask": np.ones((4, 32), np.int64)}
    ranges = ranges_of(made, feeds)
    after, done = insert_qdq(made, ranges)
    assert {kept.why for kept in done.kept} == {"both operands are activations"}
    assert check_qdq(after) == []
    for one, other in zip(run(made, feeds), run(after, feeds), strict=True):
        assert np.linalg.norm(one - other) < 0.1 * np.linalg.norm(one)
    assert len(insert_qdq(made, ranges, products=True)[1].quantised) == len(done.quantised) + 6


def test_scales_are_those_of_the_library(tmp_path):
    quantization = pytest.importorskip("onnxruntime.quantization")
    made, ranges = digits()
    with np.load(sample("digits").training_set) as file:
        feeds = iter([{"image": file["image"]}])

    class Reader(quantization.CalibrationDataReader):
        def get_next(self):
            return next(feeds, None)

    extra = {"ActivationSymmetric": True, "WeightSymmetric": True, "AddQDQPairToWeight": True, "QuantizeBias": False,
             "DedicatedQDQPair": True}  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        quantization.quantize_static(
            str(sample("digits").path),
            str(tmp_path / "theirs.onnx"),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Gemm"],
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            extra_options=extra,
        )
    theirs = onnx.load(str(tmp_path / "theirs.onnx"))
    ours, _ = insert_qdq(made, ranges)
    for node in ("/stage1/conv/Conv", "/stage2/conv/Conv", "/head/dense1/Gemm", "/head/dense2/Gemm"):
        for index in (0, 1):
            one, other = (scale_of(m, node, index) for m in (ours, theirs))
            np.testing.assert_allclose(one, other, rtol=1e-5)
    assert [f.seen for f in check_qdq(theirs)] in ([], ["the weight's scales are not along its output channels"])


def scale_of(made, node, index):
    makers = {name: n for n in made.graph.node for name in n.output}
    (reader,) = (n for n in made.graph.node if n.name == node)
    scale = makers[reader.input[index]].input[1]
    return next(numpy_helper.to_array(t) for t in made.graph.initializer if t.name == scale)


@pytest.mark.parametrize(
    ("nodes", "weight", "axis"),
    [
        ([("Conv", ["x4", "w"])], (3, 2, 1, 1), 0),
        ([("ConvTranspose", ["x4", "w"])], (2, 3, 1, 1), 1),
        ([("MatMul", ["x2", "w"])], (2, 3), 1),
        ([("Gemm", ["x2", "w"])], (2, 3), 1),
        ([("Gemm", ["x2", "w"], {"transB": 1})], (3, 2), 0),
        ([("Transpose", ["w"], {"perm": [1, 0]}), ("MatMul", ["x2", "w_t"])], (3, 2), 1),
    ],
)
@pytest.mark.parametrize("stored", ["pair", "int8"])
def test_weights_have_a_scale_for_each_output_channel(nodes, weight, axis, stored):
    made = [
        helper.make_node(op, reads, ["w_t" if op == "Transpose" else "y"], op, **dict(*more))
        for op, reads, *more in nodes
    ]  # fmt: skip
    x = info("x4", [1, 2, 2, 2]) if "x4" in nodes[-1][1] else info("x2", [4, 2])
    built = model(made, [x], [info("y", list("abcd")[: len(weight)])], [tensor("w", *weight)])
    after, done = insert_qdq(built, {x.name: 3.0}, stored=stored)
    assert done.weights == 1
    onnx.checker.check_model(after)
    assert "Transpose" not in [n.op_type for n in after.graph.node]
    (dequantise,) = (n for n in after.graph.node if n.op_type == "DequantizeLinear" and "weight" in n.name)
    assert next(a.i for a in dequantise.attribute if a.name == "axis") == axis
    assert scale_of(after, nodes[-1][0], 1).shape == (3,)
    assert check_qdq(after) == []
    feeds = {
        x.name: np.random.default_rng(0).uniform(-3, 3, [d.dim_value for d in x.type.tensor_type.shape.dim]).astype(np.float32)
    }
    np.testing.assert_allclose(run(after, feeds)[0], run(built, feeds)[0], atol=0.15)


def residual(first, second):
    return model(
        [
            helper.make_node("Conv", ["x", "w"], ["a"], "conv1"),
            helper.make_node("Conv", ["x", "v"], ["b"], "conv2"),
            helper.make_node("Add", [first, second], ["y"], "add"),
        ],
        [info("x", [1, 2, 2, 2])],
        [info("y", list("abcd")), *([] if "b" in (first, second) else [info("b", list("efgh"))])],
        [tensor("w", 2, 2, 1, 1), tensor("v", 2, 2, 1, 1)],
    )


@pytest.mark.parametrize(("first", "second", "index"), [("a", "x", 1), ("x", "a", 0), ("a", "b", 1), ("b", "a", 1)])
def test_the_other_branch_of_an_addition_is_quantised_and_not_the_convolution(first, second, index):
    after, done = insert_qdq(residual(first, second), {"x": 3.0, "a": 4.0, "b": 4.0})
    (add,) = (n for n in after.graph.node if n.name == "add")
    assert "add" in done.quantised
    assert add.input[index].endswith("dequantised")
    assert add.input[1 - index] == (first, second)[1 - index]


def test_additions_of_a_bias_are_left_alone_without_a_word():
    made, ranges = digits()
    assert not any(kept.op_type == "Add" for kept in insert_qdq(made, ranges)[1].kept)


def test_biases_stay_float():
    made, ranges = digits()
    after, _ = insert_qdq(made, ranges)
    kinds = {t.name: t.data_type for t in after.graph.initializer}
    assert all(kinds[n.input[2]] == FLOAT for n in after.graph.node if n.op_type in ("Conv", "Gemm"))


def test_nodes_and_operators_left_out_are_named():
    made, ranges = digits()
    _, done = insert_qdq(made, ranges, exclude_nodes=["/stage1/conv/Conv"], exclude_ops=["Gemm"])
    assert done.quantised == ("/stage2/conv/Conv",)
    assert {kept.why for kept in done.kept} == {"asked for"}
    with pytest.raises(SettingsError, match="Did you mean"):
        insert_qdq(made, ranges, exclude_nodes=["/stage1/conv/conv"])


@pytest.mark.parametrize(
    ("ranges", "why"), [({}, "no range is known"), ({"x2": 0.0}, "zero throughout"), ({"x2": float("inf")}, "not finite")]
)
def test_a_tensor_without_a_usable_range_leaves_its_node_as_it_was(ranges, why):
    made = model(
        [helper.make_node("MatMul", ["x2", "w"], ["y"], "m")], [info("x2", [1, 2])], [info("y", [1, 2])], [tensor("w", 2, 2)]
    )
    after, done = insert_qdq(made, ranges)
    assert why in done.kept[0].why
    assert after == made
    assert done.findings()[0].seen == "no node was quantised"


def test_an_old_opset_gets_one_scale_for_a_weight_and_says_so():
    made = model(
        [helper.make_node("MatMul", ["x2", "w"], ["y"], "m")], [info("x2", [1, 2])], [info("y", [1, 2])], [tensor("w", 2, 2)], 11
    )
    after, done = insert_qdq(made, {"x2": 1.0})
    onnx.checker.check_model(after)
    assert not done.per_channel
    assert any("opset 13" in str(f) for f in done.findings())
    made.opset_import[0].version = 9
    with pytest.raises(ModelError, match="opset"):
        insert_qdq(made, {"x2": 1.0})


def test_a_weight_that_is_zero_in_a_channel_keeps_a_positive_scale():
    values = np.array([[1.0, 0.0], [-2.0, 0.0]], np.float32)
    scale = weight_scale(values, 1)
    np.testing.assert_allclose(scale, [2 / 127, 1])
    np.testing.assert_array_equal(quantised(values, scale, 1), [[64, 0], [-127, 0]])


def test_a_norm_behind_a_quantised_convolution_is_pointed_out():
    made = model(
        [
            helper.make_node("Conv", ["x", "w"], ["a"], "c"),
            helper.make_node("BatchNormalization", ["a", "s", "s", "s", "s"], ["y"], "bn"),
        ],
        [info("x", [1, 2, 2, 2])],
        [info("y", list("abcd"))],
        [tensor("w", 2, 2, 1, 1), tensor("s", 2)],
    )
    assert insert_qdq(made, {"x": 1.0})[1].unfolded == ("bn",)


def bad(zero, scale, axis=None, bias=None):
    weights = [numpy_helper.from_array(np.asarray(scale, np.float32), "s"), numpy_helper.from_array(zero, "z")]
    more = {} if axis is None else {"axis": axis}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q", **more),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], "dq", **more),
        helper.make_node("MatMul", ["d", "w"], ["y"], "m"),
    ]
    return model(nodes, [info("x", [2, 2])], [info("y", [2, 2])], [*weights, tensor("w", 2, 2)])


@pytest.mark.parametrize(
    ("made", "seen"),
    [
        (bad(np.uint8(128), 0.1), "the quantised type is not int8"),
        (bad(np.int8(3), 0.1), "the zero point is not 0"),
        (bad(np.int8(0), 0.0), "a scale is zero"),
        (bad(np.zeros(2, np.int8), [0.1, 0.2], 1), "more than one scale"),
        (bad(np.int8(0), 0.1), "the weight is not quantised"),
    ],
)
def test_what_tensorrt_would_refuse_is_found(made, seen):
    assert any(seen in finding.seen for finding in check_qdq(made))


@pytest.mark.parametrize("stored", ["pair", "int8"])
def test_the_weights_in_8_bits_have_the_names_that_are_left_when_constants_are_folded(stored):
    made, ranges = digits()
    lowered, _ = insert_qdq(made, ranges, stored=stored)

    names = quantised_weights(lowered)

    weighted = [node for node in lowered.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    makers = {output: node for node in lowered.graph.node for output in node.output}
    assert len(weighted) == 4
    assert all(makers[node.input[1]].input[0] in names for node in weighted)
    assert not quantised_weights(made)
