import pytest

from workbench.runtime.failures import failure_of

RUNTIME = "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : "
FAIL = "[ONNXRuntimeError] : 1 : FAIL : "
TEXTS = {
    "shape": f"{RUNTIME}Exception during initialization: x.cc:2132 Foo() {FAIL}TensorRT input: /a/b has no shape specified. "
    "Please run shape inference on the onnx model first.",
    "opset": f"{FAIL}Load model from m.onnx failed:model_load_utils.h:56 ValidateOpsetForDomain() ONNX Runtime only *guarantees* "
    "support for models stamped with official released onnx opset versions. Opset 24 is under development",
    "custom-op": f"{FAIL}Load model from m.onnx failed:Fatal error: ai.onnx:Tokenizer(-1) is not a registered function/op",
    "build": f"{FAIL}TensorRT EP failed to create engine from network for fused node: TRTKernel_0",
    "inputs": "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: x for the following indices",
    "memory": f"{RUNTIME}std::bad_alloc",
    "provider": "EP Error: Please install TensorRT libraries as mentioned in the GPU requirements page",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_known_texts_get_their_kind_and_a_remedy(kind):
    failure = failure_of(RuntimeError(TEXTS[kind]), "load")

    assert failure.kind == kind
    assert failure.remedy
    assert "ONNXRuntimeError" not in failure.message


def test_an_unknown_text_keeps_the_stage_and_the_words():
    failure = failure_of(RuntimeError("something new"), "run")

    assert (failure.kind, failure.message) == ("run", "something new")
