import pytest

from workbench.errors import JobError
from workbench.runtime.failures import failure_of, logged_cause, told

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


# as ONNX Runtime, CUDA, cuBLAS and TensorRT write them
FULL = [
    "CUDA failure 2: out of memory ; GPU=0 ; hostname=h ; file=cuda_allocator.cc ; line=48 ; expr=cudaMalloc((void**)&p, size);",
    "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=h ; expr=cublasCreate(&cublas_handle_);",
    "CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0",
    "[TRT] [E] 2: [virtualMemoryBuffer.cpp::resizePhysical::145] Error Code 2: OutOfMemory (no further information)",
    "[TensorRT EP] Requested amount of GPU memory (17179869184 bytes) could not be allocated.",
]


@pytest.mark.parametrize("text", FULL)
def test_a_full_gpu_is_a_failure_of_memory_with_its_own_remedy(text):
    failure = failure_of(RuntimeError(RUNTIME + text), "run")

    assert failure.kind == "memory"
    assert "trt_max_workspace_size" in failure.remedy
    assert "smaller shapes" in failure.remedy


def test_a_full_host_does_not_speak_of_the_gpus_workspace():
    assert "workspace" not in failure_of(RuntimeError("std::bad_alloc"), "run").remedy
    limited = "Exception during initialization: Available memory of 999936 is smaller than requested bytes of 9437184"
    assert failure_of(RuntimeError(limited), "load").kind == "memory"


def test_memory_that_only_tensorrts_log_tells_of_is_still_the_cause():
    text = f"{FAIL}TensorRT EP failed to create engine from network for fused node: TRTKernel_0"
    failure = failure_of(RuntimeError(text), "load", f"quiet\n2026-11-20 [E:onnxruntime:, trt.h:88 log] {FULL[3]}\n")

    assert failure.kind == "memory"
    assert "failed to create engine" in failure.message
    assert "OutOfMemory" in failure.message


LIBRARY = (
    "2026-11-20 09:11:58.1 [E:onnxruntime:Default, provider_bridge_ort.cc:2430 operator()] provider_bridge_ort.cc:2043 "
    "onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library "
    "/venv/onnxruntime/capi/libonnxruntime_providers_tensorrt.so with error: libnvinfer.so.10: cannot open shared object "
    "file: No such file or directory"
)


def test_a_library_that_only_the_log_names_is_named():
    failure = failure_of(RuntimeError(TEXTS["provider"]), "load", LIBRARY)

    assert failure.kind == "provider"
    assert "libonnxruntime_providers_tensorrt.so: libnvinfer.so.10: cannot open shared object file" in failure.message
    assert "doctor" in failure.remedy


def test_a_quiet_log_has_no_cause():
    assert logged_cause("2026-11-20 [I:onnxruntime:, a.cc:1 F] all is well\n") is None


def test_the_log_is_read_only_when_something_fails():
    def fail():
        raise AssertionError

    with told((RuntimeError,), "load", fail):
        pass
    with pytest.raises(JobError, match="boom"), told((RuntimeError,), "load", lambda: ""):
        raise RuntimeError("boom")


def test_a_tactic_left_out_for_want_of_memory_is_not_the_cause():
    warning = "2026-11-20 [W:onnxruntime:Default, trt.h:86 log] Requested amount of GPU memory (8 bytes) could not be allocated."
    assert logged_cause(warning) is None
    assert failure_of(RuntimeError(TEXTS["build"]), "load", warning).kind == "build"
