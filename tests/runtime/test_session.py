import pytest

from tests.runtime.test_failures import LIBRARY
from workbench.errors import JobError
from workbench.options.settings import Settings
from workbench.placement.records import CPU, CUDA, TENSORRT
from workbench.runtime.session import LogTail, refuse_others

CUDA_FAILED = LIBRARY.replace("tensorrt", "cuda").replace("libnvinfer.so.10", "libcublasLt.so.13")


def test_a_session_with_all_its_providers_is_accepted():
    refuse_others([TENSORRT, CUDA, CPU], Settings().to_providers(), "")
    refuse_others([TENSORRT, CUDA], [TENSORRT, (CUDA, {}), CPU], "")


def test_a_cuda_provider_that_only_warned_is_a_failure_that_names_the_library():
    with pytest.raises(JobError) as caught:
        refuse_others([CPU], Settings(provider="cuda").to_providers(), CUDA_FAILED)

    assert caught.value.kind == "provider"
    assert "CUDAExecutionProvider was asked for, but the session has only CPUExecutionProvider." in caught.value.message
    assert "libcublasLt.so.13: cannot open shared object file" in caught.value.message
    assert "doctor" in caught.value.remedy


def test_a_tensorrt_session_without_cuda_beside_it_is_refused():
    with pytest.raises(JobError, match="CUDAExecutionProvider was asked for"):
        refuse_others([TENSORRT, CPU], Settings().to_providers(), "")


def test_a_log_is_read_from_where_it_stood(tmp_path):
    log = tmp_path / "worker.log"
    log.write_text("before\n")
    tail = LogTail(log)
    with log.open("a") as file:
        file.write("after\n")
    assert tail.text() == "after\n"
