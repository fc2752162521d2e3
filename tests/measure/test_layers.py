import json

import pytest

from workbench.measure.layers import LayerTime, element_type, layers_of, nodes_in, with_times

NAMES = {
    "Layers": [
        "Reformatting CopyNode for Input Tensor 0 to /conv1/Conv + /relu/Relu",
        "/conv1/Conv + /relu/Relu",
        "/layer1/conv2/Conv + /layer1/Add + /layer1/relu/Relu",
        "PWN(/act/Sigmoid, /act/Mul)",
        "/a/Conv || /b/Conv",
        "{ForeignNode[/norm/Cast...(Unnamed Layer* 12) [Shuffle]]}",
        "/fc/Gemm [profile 1]",
    ],
    "Bindings": ["x", "y"],
}


def test_layers_of_which_only_names_are_told():
    layers = layers_of(json.dumps(NAMES))
    assert [layer.nodes for layer in layers] == [
        ("/conv1/Conv", "/relu/Relu"),
        ("/conv1/Conv", "/relu/Relu"),
        ("/layer1/conv2/Conv", "/layer1/Add", "/layer1/relu/Relu"),
        ("/act/Sigmoid", "/act/Mul"),
        ("/a/Conv", "/b/Conv"),
        ("/norm/Cast",),
        ("/fc/Gemm",),
    ]
    assert [layer.moving for layer in layers] == [True] + [False] * 6
    assert {layer.precision for layer in layers} == {None}
    assert layers[-1].profile == 1


def detailed(name, kind, ins, outs, weights=None, **more):
    def tensors(forms):
        return [{"Name": str(i), "Dimensions": [1, 8], "Format/Datatype": form} for i, form in enumerate(forms)]

    row = {"Name": name, "LayerType": kind, "Inputs": tensors(ins), "Outputs": tensors(outs), **more}
    return row | ({"Weights": {"Type": weights, "Count": 9}} if weights else {})


def test_layers_that_tell_types_tactics_and_nodes():
    rows = [
        detailed("Reformat 1", "Reformat", ["Row major linear FP32"], ["Channel major FP16 format where channel % 8 == 0"]),
        detailed(
            "conv1 + relu",
            "CaskConvolution",
            ["Thirty-two wide channel vectorized row major Int8 format."],
            ["Row major linear FP32"],
            "Int8",
            TacticName="sm80_xmma",
            Metadata="[ONNX Layer: /conv1/Conv]\x1e[ONNX Layer: /relu/Relu]",
        ),
        detailed("__myl_Mul_0", "kgen", ["Half", "Int32"], ["Half"], Metadata="[ONNX Layer: /m/Mul]\x1f[ONNX Layer: /n[0]/Add]"),
        detailed("gather", "Gather", ["Int64"], ["Int32"]),
        detailed("fc", "gemm", ["BFloat16"], ["Float"]),
        detailed("dyn", "Conv", ["N/A due to dynamic shapes"], ["N/A due to dynamic shapes"]),
    ]
    layers = layers_of(json.dumps({"Layers": rows, "Bindings": []}))
    assert [layer.precision for layer in layers] == ["fp32", "int8", "fp16", "integer", "bf16", None]
    assert layers[0].moving
    assert (layers[0].inputs, layers[0].outputs) == (("fp32",), ("fp16",))
    assert (layers[1].type, layers[1].tactic, layers[1].weights) == ("CaskConvolution", "sm80_xmma", "int8")
    assert layers[1].nodes == ("/conv1/Conv", "/relu/Relu")
    assert layers[2].nodes == ("/m/Mul", "/n[0]/Add")


def test_control_characters_in_the_text_are_no_obstacle():
    (layer,) = layers_of('{"Layers": [{"Name": "a\x1eb", "LayerType": "x"}]}')
    assert layer.name == "a\x1eb"


@pytest.mark.parametrize("text", ["[]", "{}", "nonsense", '{"Layers": 3}'])
def test_what_is_no_report_of_the_inspector_is_refused(text):
    with pytest.raises(ValueError, match=r"not the engine|Expecting value"):
        layers_of(text)


def test_known_names_are_found_for_certain():
    assert nodes_in("conv + bias", ("conv + bias",)) == ("conv + bias",)
    assert nodes_in("conv1 + bias_weight + relu", ("conv1", "relu")) == ("conv1", "relu")
    assert nodes_in("PWN(PWN(a), b)", ("a", "b", "c")) == ("a", "b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Row major linear FP16 format", "fp16"), ("Float", "fp32"), ("E4M3", "fp8"), ("FP8", "fp8"), ("Bool", "bool"), ("?", "")],
)
def test_element_types(text, expected):
    assert element_type(text) == expected


def test_times_go_to_layers_in_order_where_names_repeat():
    layers = layers_of('{"Layers": ["a", "b", "a", "c"]}')
    times = [LayerTime(name=n, calls=4, total_ms=t) for n, t in (("a", 4.0), ("b", 2.0), ("a", 8.0))]
    assert [layer.ms for layer in with_times(layers, times, 4)] == [1.0, 0.5, 2.0, None]
