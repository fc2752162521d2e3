import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from workbench.errors import ModelError, SettingsError
from workbench.model.graph import nodes_of
from workbench.model.precision.half import to_half
from workbench.model.precision.half_values import loss_of, rounded
from workbench.samples.catalogue import samples

ort = pytest.importorskip("onnxruntime")

FLOAT, HALF, BF16, INT64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT64
SAMPLES = [sample.name for sample in samples()]


def info(name, dims, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, dims)


def tensor(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def model(nodes, inputs, outputs, weights=(), opset=17):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def run(made, feeds):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)


def feeds_of(name):
    rng = np.random.default_rng(0)
    if name == "digits":
        return {"image": rng.random((4, 1, 8, 8), np.float32)}
    if name == "encoder":
        return {"input_ids": rng.integers(0, 1000, (2, 16)), "attention_mask": np.ones((2, 16), np.int64)}
    (sample,) = (s for s in samples() if s.name == name)
    with np.load(sample.inputs) as file:
        return {key: file[key] for key in file.files}


def load(name):
    (sample,) = (s for s in samples() if s.name == name)
    return onnx.load(str(sample.path))


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("emulate", [False, True])
def test_the_samples_in_fp16_pass_the_checker_and_give_nearly_the_same_outputs(name, emulate):
    before = load(name)
    after, halved = to_half(before, emulate=emulate)
    onnx.checker.check_model(after, full_check=True)
    assert len(halved.converted) > len(before.graph.node) / 2
    assert [o.type.tensor_type.elem_type for o in after.graph.output] == [
        o.type.tensor_type.elem_type for o in before.graph.output
    ]
    feeds = feeds_of(name)
    for one, other in zip(run(before, feeds), run(after, feeds), strict=True):
        if one.shape == other.shape and one.dtype.kind == "f":
            assert np.linalg.norm(one - other) <= 0.02 * np.linalg.norm(one)


def test_the_given_model_is_not_changed():
    before = load("encoder")
    data = before.SerializeToString()
    to_half(before, keep=[before.graph.node[20].name])
    assert before.SerializeToString() == data


def test_nodes_asked_for_stay_in_float32_and_read_float32_weights():
    before = load("digits")
    after, halved = to_half(before, keep=["/stage2/conv/Conv"])
    assert [(k.name, k.why) for k in halved.kept] == [("/stage2/conv/Conv", "asked for")]
    kinds = {t.name: t.data_type for t in after.graph.initializer}
    (conv,) = (n for n in after.graph.node if n.name == "/stage2/conv/Conv")
    assert kinds[conv.input[1]] == FLOAT
    assert HALF in kinds.values()


def test_keeping_all_nodes_gives_the_same_numbers():
    before = load("encoder")
    after, halved = to_half(before, keep=[node.name for node in nodes_of(before.graph)])
    assert halved.converted == ()
    assert halved.casts == 0
    feeds = feeds_of("encoder")
    assert all(np.array_equal(a, b) for a, b in zip(run(before, feeds), run(after, feeds), strict=True))


def test_a_node_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(SettingsError, match="Did you mean '/stage1/conv/Conv'"):
        to_half(load("digits"), keep=["/stage1/conv/conv"])


def test_a_weight_that_two_nodes_share_is_there_in_both_types():
    made = model(
        [helper.make_node("Add", ["x", "w"], ["a"], "one"), helper.make_node("Mul", ["a", "w"], ["y"], "two")],
        [info("x", [2])],
        [info("y", [2])],
        [tensor("w", [1.5, 2.0])],
    )
    after, _ = to_half(made, keep=["two"])
    assert sorted((t.name, t.data_type) for t in after.graph.initializer) == [("w", FLOAT), ("w_fp16", HALF)]
    np.testing.assert_allclose(run(after, {"x": np.ones(2, np.float32)})[0], [3.75, 6])


def test_inputs_and_outputs_become_half_where_asked():
    after, _ = to_half(load("digits"), keep_io=False)
    onnx.checker.check_model(after, full_check=True)
    assert {i.type.tensor_type.elem_type for i in (*after.graph.input, *after.graph.output)} == {HALF}
    assert run(after, {"image": np.zeros((1, 1, 8, 8), np.float16)})[0].dtype == np.float16


def test_operators_that_take_no_float16_stay_in_float32():
    made = model(
        [
            helper.make_node("Cast", ["n"], ["f"], "cast", to=FLOAT),
            helper.make_node("Range", ["zero", "f", "one"], ["r"], "range"),
            helper.make_node("Mul", ["r", "x"], ["y"], "mul"),
        ],
        [info("n", [], INT64), info("x", [4])],
        [info("y", [4])],
        [tensor("zero", 0.0), tensor("one", 1.0)],
    )
    after, halved = to_half(made)
    assert [k.name for k in halved.kept] == ["range"]
    assert "does not allow float16" in halved.kept[0].why
    got = run(after, {"n": np.array(4), "x": np.ones(4, np.float32)})[0]
    np.testing.assert_array_equal(got, [0, 1, 2, 3])


def test_scales_and_regions_of_resize_stay_in_float32():
    made = model(
        [helper.make_node("Resize", ["x", "roi", "scales"], ["y"], "resize", mode="nearest")],
        [info("x", [1, 1, 2, 2])],
        [info("y", [1, 1, 4, 4])],
        [tensor("roi", []), tensor("scales", [1, 1, 2, 2])],
    )
    after, halved = to_half(made)
    assert halved.converted == ("resize",)
    assert {t.name: t.data_type for t in after.graph.initializer} == {"roi": FLOAT, "scales": FLOAT}
    assert run(after, {"x": np.ones((1, 1, 2, 2), np.float32)})[0].shape == (1, 1, 4, 4)


def test_what_computes_shapes_stays_exact():
    made = model(
        [
            helper.make_node("Shape", ["x"], ["s"], "shape"),
            helper.make_node("Cast", ["s"], ["f"], "float", to=FLOAT),
            helper.make_node("Mul", ["f", "half"], ["h"], "mul"),
            helper.make_node("Cast", ["h"], ["size"], "int", to=INT64),
            helper.make_node("Expand", ["scale", "size"], ["e"], "expand"),
            helper.make_node("Relu", ["x"], ["y"], "relu"),
        ],
        [info("x", [4099])],
        [info("y", [4099]), info("e", ["n"])],
        [tensor("half", [0.5]), tensor("scale", [0.25])],
    )
    after, halved = to_half(made)
    assert set(halved.converted) == {"expand", "relu"}
    assert {k.name for k in halved.kept} == {"float", "mul", "int"}
    assert run(after, {"x": np.ones(4099, np.float32)})[1].shape == (2049,)


def test_a_table_that_is_cut_to_a_length_is_converted():
    _, halved = to_half(load("encoder"))
    assert halved.kept == ()


def test_bodies_of_control_flow_are_converted_and_capture_the_right_type():
    then = helper.make_graph([helper.make_node("Mul", ["a", "w"], ["t"], "inner/mul")], "then", [], [info("t", [2])])
    other = helper.make_graph(
        [helper.make_node("Add", ["a", "v"], ["e"], "inner/add")], "else", [], [info("e", [2])], [tensor("v", [3, 3])]
    )
    made = model(
        [
            helper.make_node("Relu", ["x"], ["a"], "relu"),
            helper.make_node("If", ["c"], ["i"], "if", then_branch=then, else_branch=other),
            helper.make_node("Mul", ["i", "a"], ["y"], "mul"),
        ],
        [info("x", [2]), info("c", [], TensorProto.BOOL)],
        [info("y", [2])],
        [tensor("w", [2, 2])],
    )
    for keep in ([], ["relu"], ["inner/add"], ["inner/mul", "mul"]):
        after, halved = to_half(made, keep=keep)
        onnx.checker.check_model(after, full_check=True)
        assert set(halved.converted) == {"relu", "inner/mul", "inner/add", "mul"} - set(keep)
        for flag, expected in ((True, [2, 8]), (False, [4, 10])):
            np.testing.assert_array_equal(run(after, {"x": np.array([1, 2], np.float32), "c": np.array(flag)})[0], expected)


def test_a_loop_keeps_its_state_in_float32():
    body = helper.make_graph(
        [helper.make_node("Mul", ["state", "w"], ["next"], "step"), helper.make_node("Identity", ["go"], ["still"], "go_on")],
        "body",
        [info("i", [], INT64), info("go", [], TensorProto.BOOL), info("state", [2])],
        [info("still", [], TensorProto.BOOL), info("next", [2])],
    )
    made = model(
        [helper.make_node("Loop", ["n", "", "x"], ["y"], "loop", body=body)],
        [info("n", [], INT64), info("x", [2])],
        [info("y", [2])],
        [tensor("w", [2, 2])],
    )
    after, _ = to_half(made)
    np.testing.assert_array_equal(run(after, {"n": np.array(3), "x": np.ones(2, np.float32)})[0], [8, 8])


def test_a_loop_whose_body_names_no_types_keeps_its_interface():
    bare = [onnx.ValueInfoProto(name=name) for name in ("state", "next", "each")]
    counted = [info("i", [], INT64), info("go", [], TensorProto.BOOL), bare[0]]
    nodes = [
        helper.make_node("Identity", ["go"], ["still"]),
        helper.make_node("Add", ["state", "x"], ["next"], "step"),
        helper.make_node("Identity", ["state"], ["each"], "each"),
    ]
    body = helper.make_graph(nodes, "body", counted, [info("still", [], TensorProto.BOOL), *bare[1:]])
    made = model(
        [helper.make_node("Loop", ["n", "c", "x"], ["y", "all"], "loop", body=body)],
        [info("n", [], INT64), info("x", [2])],
        [info("y", [2]), info("all", ["m", 2])],
        [tensor("c", True, bool)],
    )
    for emulate in (False, True):
        after, halved = to_half(made, emulate=emulate)
        onnx.checker.check_model(after)
        assert "step" in halved.converted
        got = run(after, {"n": np.array(3), "x": np.ones(2, np.float32)})
        np.testing.assert_array_equal(got[0], [4, 4])
        np.testing.assert_array_equal(got[1], [[1, 1], [2, 2], [3, 3]])


def test_a_sparse_constant_stays_as_it_is():
    sparse = helper.make_sparse_tensor(tensor("", [2.0]), numpy_helper.from_array(np.array([1])), [2])
    nodes = [helper.make_node("Constant", [], ["s"], "s", sparse_value=sparse), helper.make_node("Add", ["x", "s"], ["y"], "add")]
    after, halved = to_half(model(nodes, [info("x", [2])], [info("y", [2])]))
    assert halved.converted == ("add",)
    np.testing.assert_array_equal(run(after, {"x": np.ones(2, np.float32)})[0], [1, 3])


def test_an_opset_without_the_cast_is_refused():
    made = load("digits")
    made.opset_import[0].version = 5
    with pytest.raises(ModelError, match="opset is 5"):
        to_half(made)


def test_constants_that_are_nodes_are_converted():
    made = model(
        [
            helper.make_node("Constant", [], ["c"], "c", value_float=2.0),
            helper.make_node("Constant", [], ["d"], "d", value=tensor("", [1.0, 3.0])),
            helper.make_node("Mul", ["x", "c"], ["a"], "mul"),
            helper.make_node("Add", ["a", "d"], ["b"], "add"),
            helper.make_node("ConstantOfShape", ["n"], ["z"], "z"),
            helper.make_node("Add", ["b", "z"], ["y"], "last"),
        ],
        [info("x", [2]), info("n", [1], INT64)],
        [info("y", [2])],
    )
    for keep in ([], ["add"], ["z", "mul"]):
        after, _ = to_half(made, keep=keep)
        onnx.checker.check_model(after)
        np.testing.assert_array_equal(run(after, {"x": np.ones(2, np.float32), "n": np.array([2])})[0], [3, 5])


def test_weights_beyond_the_range_are_reported_and_clipped_only_when_asked():
    made = model(
        [helper.make_node("Mul", ["x", "w"], ["y"], "mul")],
        [info("x", [4])],
        [info("y", [4])],
        [tensor("w", [1e6, -1e38, 1e-9, 1e-6])],
    )
    after, halved = to_half(made)
    (loss,) = halved.losses
    assert (loss.overflow, loss.to_zero, loss.subnormal, loss.largest) == (2, 1, 1, pytest.approx(1e38))
    assert np.isinf(numpy_helper.to_array(after.graph.initializer[0])[:2]).all()
    assert any("beyond float16" in str(f) for f in halved.findings())
    after, halved = to_half(made, clip=True)
    np.testing.assert_array_equal(numpy_helper.to_array(after.graph.initializer[0])[:2], [65504, -65504])
    assert halved.losses[0].overflow == 2


def test_an_overflow_shows_on_a_cpu_only_when_emulated():
    made = model(
        [helper.make_node("Mul", ["x", "k"], ["a"], "up"), helper.make_node("Mul", ["a", "j"], ["y"], "down")],
        [info("x", [1])],
        [info("y", [1])],
        [tensor("k", [1000.0]), tensor("j", [0.001])],
    )
    x = np.array([100.0], np.float32)
    assert np.isinf(run(to_half(made, emulate=True)[0], {"x": x})[0]).all()
    assert np.isfinite(run(to_half(made, emulate=True, keep=["up"])[0], {"x": np.array([10.0], np.float32)})[0]).all()


def test_emulated_numbers_are_those_of_numpy_in_float16():
    made = model(
        [helper.make_node("Add", ["x", "w"], ["a"], "add"), helper.make_node("Mul", ["a", "a"], ["y"], "mul")],
        [info("x", [64])],
        [info("y", [64])],
        [tensor("w", np.linspace(0, 1, 64))],
    )
    x = np.random.default_rng(0).standard_normal(64).astype(np.float32)
    total = x.astype(np.float16) + np.linspace(0, 1, 64).astype(np.float32).astype(np.float16)
    np.testing.assert_array_equal(run(to_half(made, emulate=True)[0], {"x": x})[0], (total * total).astype(np.float32))


def test_bfloat16_needs_the_operators_opset_and_says_which_nodes_it_leaves():
    after, halved = to_half(load("digits"), to="bf16")
    onnx.checker.check_model(after)
    assert {k.op_type for k in halved.kept} == {"Conv", "MaxPool"}
    if onnx.defs.onnx_opset_version() >= 22:
        assert all("a later one does" in k.why for k in halved.kept)
    assert BF16 in {t.data_type for t in after.graph.initializer}


def test_bfloat16_is_emulated_on_a_cpu():
    after, _ = to_half(load("encoder"), to="bf16", emulate=True)
    feeds = feeds_of("encoder")
    for one, other in zip(run(load("encoder"), feeds), run(after, feeds), strict=True):
        assert 1e-4 < np.linalg.norm(one - other) / np.linalg.norm(one) < 0.05


def test_bfloat16_rounds_to_the_nearest_even_number():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32) * 10.0 ** np.arange(-30, 30).repeat(17)[:1000]
    values = values.astype(np.float32)
    np.testing.assert_array_equal(rounded(values, "bf16"), values.astype(ml_dtypes.bfloat16).astype(np.float32))
    assert np.isnan(rounded(np.array([np.nan]), "bf16")).all()


def test_losses_count_what_float16_does():
    values = np.array([0, 1, 65504, 65519, 65520, 1e-8, 5e-6, np.inf], np.float32)
    loss = loss_of("w", values, "fp16")
    assert (loss.overflow, loss.to_zero, loss.subnormal) == (1, 1, 1)


def test_a_model_whose_weights_lie_elsewhere_must_be_loaded_whole(tmp_path):
    onnx.save(load("digits"), str(tmp_path / "m.onnx"), save_as_external_data=True, size_threshold=0)
    bare = onnx.load(str(tmp_path / "m.onnx"), load_external_data=False)
    with pytest.raises(ModelError, match="not loaded"):
        to_half(bare)


def test_the_optimised_session_takes_the_model_too():
    after, _ = to_half(load("encoder"))
    session = ort.InferenceSession(after.SerializeToString(), providers=["CPUExecutionProvider"])
    assert np.isfinite(session.run(None, feeds_of("encoder"))[0]).all()
