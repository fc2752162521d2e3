import numpy as np
import onnx
import pytest

from tests.placement.build import BOOL, FLOAT, HALF, INT64, by_name, engines, graph, node, short, value, weight
from workbench.errors import SettingsError
from workbench.options.settings import Settings
from workbench.placement.predict import predict
from workbench.placement.records import CUDA, TENSORRT

NMS = node("NonMaxSuppression", ["boxes", "scores", "k"], ["picked"], "nms")


def nms_model(model, after=(), output="picked", **kwargs):
    """A box detector's tail: something before NonMaxSuppression, and `after` it."""
    nodes = [node("Relu", ["x"], ["boxes"], "before"), NMS, *after]
    inputs = [value("x", shape=(1, 8, 4)), value("scores", shape=(1, 1, 8))]
    return model(nodes, [value(output, INT64, None)], inputs, [weight("k", np.int64(3)), weight("zero", np.int64(0))], **kwargs)


def test_a_model_that_tensorrt_takes_is_one_engine(model):
    p = predict(model([node("Relu", ["x"], ["h"]), node("Sigmoid", ["h"], ["y"])]))
    assert (p.outcome, p.evidence, engines(p)) == ("ok", "predicted", [{"h", "y"}])
    assert p.coverage == {TENSORRT: 1.0}
    assert p.runtime.tensorrt == "10.16"


def test_every_node_is_in_the_result_with_a_reason(model):
    p = predict(
        model(
            [
                node("Constant", [], ["c"], value=weight("", np.float32(2))),
                node("Mul", ["x", "c"], ["h"]),
                node("Det", ["h"], ["y"]),
            ]
        )
    )
    assert [n.name for n in p.nodes] == ["c", "h", "y"]
    assert all(n.reason.endswith(".") for n in p.nodes)
    assert by_name(p)["y"].reason == "TensorRT 10.16 has no importer for Det; CUDA has no kernel for Det; the CPU has a kernel."


def test_what_reads_a_removed_identity_depends_on_what_the_identity_reads(model):
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Det", ["a"], ["d"]),
        node("Identity", ["d"], ["i"]),
        node("Identity", ["i"], ["j"]),
        node("Add", ["j", "j"], ["y"]),
    ]
    p = predict(model(nodes, inputs=[value("x", shape=(3, 2, 2))]))
    assert engines(p) == [{"a"}, {"y"}]
    assert [n.name for n in p.nodes if n.provider is None] == ["i", "j"]


def test_a_refused_node_between_supported_ones_splits_them_into_engines(model):
    nodes = [node("Relu", ["x"], ["a"]), node("Det", ["a"], ["d"]), node("Add", ["d", "d"], ["y"])]
    p = predict(model(nodes, inputs=[value("x", shape=(3, 2, 2))]))
    assert engines(p) == [{"a"}, {"y"}]


def test_engines_are_joined_where_no_path_leaves_and_comes_back(model):
    nodes = [node("Relu", ["x"], ["a"]), node("Det", ["x"], ["d"]), node("Sigmoid", ["a"], ["y"])]
    p = predict(model(nodes, outputs=["y", "d"], inputs=[value("x", shape=(3, 2, 2))]))
    assert engines(p) == [{"a", "y"}]


def test_small_runs_are_dropped_before_engines_are_joined(model):
    nodes = [
        node("Det", ["x"], ["d"]),
        node("Relu", ["d"], ["a"]),
        node("Det", ["x"], ["e"]),
        node("Exp", ["e"], ["f"]),
        node("Neg", ["f"], ["y"]),
    ]
    m = model(nodes, outputs=["y", "a"], inputs=[value("x", shape=(3, 2, 2))])
    assert len(engines(predict(m))) == 1
    p = predict(m, min_subgraph=2)
    assert engines(p) == [{"f", "y"}]
    assert "run of 1" in by_name(p)["a"].reason


def test_excluded_operators_go_to_the_next_provider(model):
    m = model([node("Relu", ["x"], ["a"]), node("Softmax", ["a"], ["y"])])
    assert short(predict(m, exclude=["Softmax"])) == {"a": "trt", "y": "cuda"}
    settings = Settings(provider_options={"trt_op_types_to_exclude": "Softmax,Relu", "trt_min_subgraph_size": 1})
    assert short(predict(m, settings)) == {"a": "cuda", "y": "cuda"}


def test_settings_decide_the_providers(model):
    m = model([node("Relu", ["x"], ["a"]), node("Det", ["a"], ["y"])], inputs=[value("x", shape=(3, 2, 2))])
    cuda, cpu = predict(m, Settings(provider="cuda")), predict(m, Settings(provider="cpu"))
    assert short(cuda) == {"a": "cuda", "y": "cpu"}
    assert short(cpu) == {"a": "cpu", "y": "cpu"}
    assert cuda.runtime.tensorrt is None


def test_constants_are_folded_and_weights_to_dequantize_are_not(model):
    weights = [weight("q", np.ones(4, np.int8)), weight("s", np.float32(0.1)), weight("w", np.ones(4, np.float32))]
    nodes = [
        node("DequantizeLinear", ["q", "s"], ["d"]),
        node("Exp", ["w"], ["e"]),
        node("Add", ["d", "e"], ["f"]),
        node("Mul", ["x", "f"], ["y"]),
    ]
    p = predict(model(nodes, weights=weights))
    assert short(p) == {"d": "trt", "e": None, "f": "trt", "y": "trt"}
    assert "constant" in by_name(p)["e"].reason


def test_without_graph_optimisation_nothing_is_folded(model):
    nodes = [node("Exp", ["w"], ["e"]), node("Identity", ["x"], ["i"]), node("Mul", ["i", "e"], ["y"])]
    m = model(nodes, weights=[weight("w", np.ones(4, np.float32))])
    assert short(predict(m)) == {"e": None, "i": None, "y": "trt"}
    p = predict(m, Settings(session_options={"graph_optimization_level": "disable"}))
    assert short(p) == {"e": "trt", "i": "trt", "y": "trt"}


def test_a_split_behind_a_data_dependent_result_fails_for_its_shape(model):
    p = predict(
        nms_model(model, [node("Gather", ["picked", "zero"], ["g"], axis=1), node("Neg", ["g"], ["y"])], "y"), tensorrt="8.6"
    )
    assert (p.outcome, p.error.kind) == ("error", "shape")
    assert "TensorRT input: picked has no shape specified" in p.error.message
    assert "shape" in p.error.remedy
    assert p.groups == ()
    assert "data" in by_name(p)["nms"].reason


def test_newer_tensorrt_takes_data_dependent_operators(model):
    assert short(predict(nms_model(model)))["nms"] == "trt"
    assert short(predict(nms_model(model), tensorrt="10.1"))["nms"] == "cuda"


def test_a_string_constant_takes_tensorrt_from_the_whole_graph(model):
    nodes = [node("Relu", ["x"], ["a"]), node("ArgMax", ["a"], ["i"], axis=1, keepdims=0), node("Gather", ["names", "i"], ["y"])]
    p = predict(model(nodes, outputs=[value("y", 8, None)], weights=[weight("names", np.array(["a", "b", "c", "d"], object))]))
    assert engines(p) == []
    assert "names" in p.notes[0]
    assert short(p)["a"] == "cuda"


def branches(then, other):
    return {
        "then_branch": graph([then], [value(then.output[0], shape=None)]),
        "else_branch": graph([other], [value(other.output[0], shape=None)]),
    }


def test_an_if_is_taken_whole_with_supported_branches(model):
    nodes = [node("If", ["c"], ["y"], "if", **branches(node("Relu", ["x"], ["t"]), node("Neg", ["x"], ["e"])))]
    p = predict(model(nodes, inputs=[value("x"), value("c", BOOL, ())]))
    assert short(p) == {"if": "trt", "t": "trt", "e": "trt"}
    assert engines(p) == [{"if", "t", "e"}]


def test_an_if_with_a_refused_branch_is_left_and_the_rest_runs_inside(model):
    nodes = [node("If", ["c"], ["y"], "if", **branches(node("Relu", ["x"], ["t"]), node("Det", ["x"], ["e"])))]
    p = predict(model(nodes, inputs=[value("x", shape=(3, 2, 2)), value("c", BOOL, ())]))
    assert short(p) == {"if": "cuda", "t": "trt", "e": "cpu"}
    assert "bodies" in by_name(p)["if"].reason


def test_an_if_with_a_constant_condition_is_replaced_by_its_branch(model):
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Size", ["w"], ["n"]),
        node("Equal", ["n", "four"], ["c"]),
        node("If", ["c"], ["y"], "if", **branches(node("Relu", ["x"], ["t"]), node("Det", ["x"], ["e"]))),
    ]
    weights = [weight("w", np.ones(4, np.float32)), weight("four", np.int64(4))]
    p = predict(model(nodes, outputs=["y", value("s", INT64, None)], weights=weights))
    assert short(p) == {"s": "trt", "n": None, "c": None, "if": None, "t": "trt", "e": None}
    assert "condition" in by_name(p)["e"].reason


def test_weights_of_the_graph_around_a_body_are_no_constants_to_the_parser(model):
    nodes = [node("If", ["c"], ["y"], "if", **branches(node("Unsqueeze", ["x", "axes"], ["t"]), node("Neg", ["x"], ["e"])))]
    p = predict(model(nodes, inputs=[value("x"), value("c", BOOL, ())], weights=[weight("axes", np.array([0]))]))
    assert short(p)["t"] == "cuda"
    assert "own body" in by_name(p)["t"].reason


def test_functions_of_the_model_are_inlined(model):
    body = [node("Relu", ["a"], ["h"]), node("Sigmoid", ["h"], ["b"])]
    function = onnx.helper.make_function("mine", "Block", ["a"], ["b"], body, [onnx.helper.make_opsetid("", 17)])
    nodes = [node("Block", ["x"], ["m"], "call", "mine"), node("Exp", ["m"], ["n"]), node("Block", ["n"], ["y"], "again", "mine")]
    p = predict(model(nodes, functions=[function], imports=[("mine", 1)]))
    assert short(p) == {"call": "trt", "n": "trt", "again": "trt"}
    assert engines(p) == [{"call", "n", "again"}]


def test_an_unknown_operator_is_an_error_with_a_remedy(model):
    p = predict(model([node("Sparkle", ["x"], ["y"], domain="acme")], imports=[("acme", 1)]))
    assert p.error.kind == "custom-op"
    assert "acme:Sparkle" in p.error.message
    extension = predict(model([node("BertTokenizer", ["x"], ["y"], domain="ai.onnx.contrib")], imports=[("ai.onnx.contrib", 1)]))
    assert "onnxruntime-extensions" in extension.error.remedy


def test_a_newer_opset_than_the_release_loads_is_an_error(model):
    m = model([node("Relu", ["x"], ["y"])], opset=21)
    assert predict(m, onnxruntime="1.17.1", tensorrt="8.6").error.kind == "opset"
    assert predict(m, onnxruntime="1.18").outcome == "ok"
    assert "IR version 9" in predict(model([node("Relu", ["x"], ["y"])], ir_version=11), onnxruntime="1.17.1").error.message


def test_an_operator_of_a_later_opset_says_which(model):
    p = predict(model([node("Gelu", ["x"], ["y"])], opset=17))
    assert p.error.kind == "opset"
    assert "since opset 20" in p.error.message


def test_a_compiled_model_goes_to_its_provider(model):
    nodes = [
        node("EPContext", ["x"], ["y"], "engine", "com.microsoft", source=TENSORRT, embed_mode=0, ep_cache_context="e.engine")
    ]
    m = model(nodes, imports=[("com.microsoft", 1)])
    assert engines(predict(m)) == [{"engine"}]
    assert predict(m, Settings(provider="cpu")).error.kind == "load"


def test_a_graph_without_nodes_is_answered(model):
    p = predict(model([], outputs=[value("x")]))
    assert (p.outcome, p.nodes, p.coverage) == ("ok", (), {})


def test_what_onnx_inference_refuses_onnx_runtime_refuses_too(model):
    p = predict(
        model(
            [node("Add", ["x", "w"], ["y"], "sum")],
            inputs=[value("x", shape=(2, 3))],
            weights=[weight("w", np.ones(4, np.float32))],
        )
    )
    assert p.error.kind == "load"
    assert "sum" in p.error.message


def test_a_wrong_shape_in_the_file_is_forgiven(model):
    p = predict(model([node("Relu", ["x"], ["y"])], outputs=[value("y", shape=(7, 7))], inputs=[value("x", shape=(2, 3))]))
    assert p.outcome == "ok"


@pytest.mark.parametrize(
    "broken", [node("Shape", [], ["y"]), node("EyeLike", [""], ["y"]), node("If", ["x"], ["y"], then_branch=graph([], ["x"]))]
)
def test_a_malformed_node_is_a_load_error(model, broken):
    assert predict(model([broken])).error.kind == "load"


def test_a_weight_without_its_bytes_is_a_load_error(model):
    w = weight("w", np.ones(4, np.float32))
    w.dims[:] = [2**33]
    p = predict(model([node("Add", ["x", "w"], ["y"])], weights=[w]))
    assert p.error.kind == "load"
    assert "'w'" in p.error.message


def test_negative_dimensions_count_as_unknown(model):
    nodes = [node("Slice", ["x", "a", "b"], ["y"])]
    p = predict(
        model(nodes, inputs=[value("x", shape=(-1, 4))], weights=[weight("a", np.array([0])), weight("b", np.array([2]))])
    )
    assert p.outcome == "ok"


def test_nodes_out_of_order_are_sorted(model):
    p = predict(model([node("Sigmoid", ["h"], ["y"]), node("Relu", ["x"], ["h"])]))
    assert engines(p) == [{"h", "y"}]
    assert [n.name for n in p.nodes] == ["y", "h"]


def test_half_precision_on_a_cpu_runs_in_float(model):
    p = predict(
        model([node("Erf", ["x"], ["y"])], outputs=[value("y", HALF)], inputs=[value("x", HALF)]), Settings(provider="cpu")
    )
    assert "float32" in by_name(p)["y"].reason


def test_an_operation_without_any_kernel_is_a_load_error(model):
    p = predict(
        model([node("Det", ["x"], ["y"])], outputs=[value("y", 12, None)], inputs=[value("x", 12, (2, 2))]),
        Settings(provider="cpu"),
    )
    assert p.error.kind == "load"


def test_known_crash_of_tensorrt_8(model):
    weights = [weight("s", np.ones(4, np.float32))]
    m = model([node("LayerNormalization", ["x", "s"], ["y"])], weights=weights, opset=18)
    assert predict(m, tensorrt="8.6").error.kind == "crash"
    assert predict(m).outcome == "ok"
    assert predict(model([node("LayerNormalization", ["x", "s"], ["y"])], weights=weights), tensorrt="8.6").outcome == "ok"


def test_quantized_engines_of_tensorrt_8_need_int8(model):
    weights = [weight("s", np.float32(0.1)), weight("z", np.int8(0))]
    m = model([node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])], weights=weights)
    assert predict(m, tensorrt="8.6").error.kind == "build"
    assert predict(m, Settings(precision="int8"), tensorrt="8.6").outcome == "ok"
    assert predict(m).outcome == "ok"


def test_the_release_assumed_goes_with_the_tensorrt(model):
    m = model([node("Relu", ["x"], ["y"])])
    assert predict(m, tensorrt="8.6", onnxruntime="1.17.3").runtime.onnxruntime == "1.17.3"
    assert predict(m, tensorrt="8.6").runtime.onnxruntime.startswith("1.17")
    assert any("11" in note for note in predict(m, tensorrt="11.1").notes)


def test_wrong_releases_are_refused(model):
    m = model([node("Relu", ["x"], ["y"])])
    with pytest.raises(SettingsError, match=r"TensorRT 9\.3.*8\.6"):
        predict(m, tensorrt="9.3")
    with pytest.raises(SettingsError, match="newest"):
        predict(m, onnxruntime="newest")


def test_more_refused_nodes_than_questions_leave_tensorrt_nothing(model):
    name, nodes = "x", []
    for i in range(2100):
        nodes.append(node("Mod", [name, name], [f"v{i}"], fmod=0) if i % 2 else node("Relu", [name], [f"v{i}"]))
        name = f"v{i}"
    p = predict(model(nodes, outputs=[name], inputs=[value("x", shape=(2, 2))]))
    assert engines(p) == []
    assert "1000 times" in p.notes[0]


def test_ten_thousand_nodes_are_one_engine(model):
    name, nodes = "x", []
    for i in range(10_000):
        nodes.append(node(("Relu", "Shape", "Reshape")[i % 3] if i % 3 == 0 else "Sigmoid", [name], [f"v{i}"]))
        name = f"v{i}"
    m = model(nodes, outputs=[name])
    assert len(m.nodes) == 10_000
    p = predict(m)
    assert p.coverage == {TENSORRT: 1.0}


def test_the_samples_are_predicted_as_described(digits, detector, encoder):
    assert len(engines(predict(digits))) == 1
    assert len(engines(predict(encoder))) == 1
    p = predict(detector)
    assert p.outcome == "ok"
    assert p.coverage[TENSORRT] > 0.9
    assert {n.op_type for n in p.nodes if n.provider == CUDA} == {"Compress"}


def test_unnamed_and_repeated_names_stay_apart(model):
    nodes = [onnx.helper.make_node("Relu", ["x"], ["a"]), node("Det", ["a"], ["b"], "same"), node("Exp", ["b"], ["y"], "same")]
    p = predict(model(nodes, inputs=[value("x", FLOAT, (3, 2, 2))]))
    assert len({n.name for n in p.nodes}) == 3
    assert [n.provider is None for n in p.nodes] == [False] * 3
