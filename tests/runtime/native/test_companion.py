import contextlib
import ctypes
import io
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from workbench.errors import JobError, Unavailable
from workbench.runtime.native import process
from workbench.runtime.native.companion import Companion
from workbench.runtime.native.cuda import Cuda, CudaError, Graph, load_cuda
from workbench.runtime.native.messages import Refused, from_bfloat16, pack_arrays, receive, send, to_bfloat16, unpack_arrays


def test_messages_carry_arrays_of_all_kinds_whole():
    arrays = [
        ("scalar", np.array(3, np.int64)),
        ("empty", np.zeros((0, 4), np.float16)),
        ("turned", np.arange(6, dtype=np.int8).reshape(2, 3).T),
        ("truth", np.array([True, False])),
    ]
    told, blobs = pack_arrays(arrays)
    stream = io.BytesIO()
    send(stream, {"verb": "run", "arrays": told}, blobs)
    stream.seek(0)
    fields, data = receive(stream)
    assert fields["verb"] == "run"
    for (name, expected), (found, array) in zip(arrays, unpack_arrays(fields["arrays"], data), strict=True):
        assert name == found
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
    assert receive(stream) is None


def test_half_a_message_is_none():
    stream = io.BytesIO()
    send(stream, {"a": 1}, [b"12345"])
    assert receive(io.BytesIO(stream.getvalue()[:-1])) is None


def test_bfloat16_rounds_to_the_nearest_even():
    values = np.array([1.0, -2.5, 1.00390625, 1.01171875, 3.3e38, 3.4028235e38, np.inf, -np.inf, np.nan, 1e-40, 0.0], np.float32)
    found = from_bfloat16(to_bfloat16(values))
    ml_dtypes = pytest.importorskip("ml_dtypes")
    np.testing.assert_array_equal(found, values.astype(ml_dtypes.bfloat16).astype(np.float32))


def test_the_process_needs_nothing_of_the_package_but_its_neighbours(tensorrt, tmp_path):
    tensorrt("8.6.1")
    hook = tmp_path / "sitecustomize.py"
    hook.write_text(
        "import atexit, sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('pydantic', 'psutil', 'packaging', 'onnxruntime'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}"
    done = subprocess.run(
        [sys.executable, "-P", process.__file__],
        input=b"",
        capture_output=True,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )
    assert b'"tensorrt": "8.6.1"' in done.stdout


def test_an_answer_that_does_not_come_ends_the_process(tensorrt, chain):
    tensorrt("8.6.1", "slow-build")
    with Companion() as companion:
        request = {"onnx": str(chain.path), "profiles": [[{"name": "x", "shapes": [[1, 4]] * 3}]]}
        with pytest.raises(JobError, match=r"silent for 0\.5 s while it built the engine") as caught:
            companion.ask("build", request=request, limit_s=0.5)
        assert caught.value.kind == "timeout"


def test_a_question_before_there_is_an_engine_is_refused(tensorrt):
    tensorrt("10.14.1")
    with Companion() as companion, pytest.raises(JobError, match="No engine was built or loaded"):
        companion.ask("describe")


def test_a_profile_that_misses_an_input_is_refused(tensorrt, chain):
    tensorrt("10.14.1")
    with Companion() as companion:
        with pytest.raises(JobError, match=r"says nothing of the shapes of input 'x', whose shape is \(-1, 4\)") as caught:
            companion.ask("build", request={"onnx": str(chain.path), "profiles": [[]]})
        assert caught.value.kind == "shape"
        with pytest.raises(JobError, match="does not fit its shape"):
            companion.ask("build", request={"onnx": str(chain.path), "profiles": [[{"name": "x", "shapes": [[1, 5]] * 3}]]})


def test_ranges_reach_the_tensors_of_the_network(tensorrt, chain, tmp_path):
    tensorrt("8.6.1")
    request = {"onnx": str(chain.path), "flags": ["INT8"], "profiles": [[{"name": "x", "shapes": [[1, 4]] * 3}]]}
    with Companion() as companion:
        ranges = [{"name": "x", "range": 2.5}, {"name": "a", "range": 3.5}, {"name": "other", "range": 1}]
        reply = companion.ask("build", request={**request, "ranges": ranges})
        assert reply.fields["notes"] == ["2 of the 3 tensors of the calibration table are in the network."]
        companion.ask("save", path=str(tmp_path / "plan"))
        assert '"x": [-2.5, 2.5]' in (tmp_path / "plan").read_text()
        with pytest.raises(JobError, match="the table is another's"):
            companion.ask("build", request={**request, "ranges": ranges[2:]})


def skip_with_a_gpu():
    with contextlib.suppress(Refused):
        load_cuda()
        pytest.skip("this machine has a CUDA runtime that works")


def test_the_cuda_runtime_of_a_python_package_is_found(tensorrt, cudart, tmp_path, monkeypatch):
    skip_with_a_gpu()
    tensorrt("8.6.1")
    folder = tmp_path / "nvidia" / "cuda_runtime" / "lib"
    folder.mkdir(parents=True)
    shutil.copy(cudart, folder / "libcudart.so.12")
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}")
    with Companion() as companion:
        assert companion.installed.cudart == str(folder / "libcudart.so.12")


def test_without_a_cuda_runtime_that_is_told(tensorrt, monkeypatch):
    skip_with_a_gpu()
    tensorrt("8.6.1")
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    with pytest.raises(Unavailable, match=r"CUDA cannot be used: libcudart\.so") as caught:
        Companion()
    assert "libcudart" in caught.value.remedy


def test_a_failed_call_names_itself_the_error_and_the_text(cudart, monkeypatch):
    cuda = Cuda(ctypes.CDLL(str(cudart)), str(cudart))
    with pytest.raises(CudaError, match=r"cudaSetDevice\(\) failed: cudaErrorInvalidValue \(101\): invalid argument\."):
        cuda.call("cudaSetDevice", 7)
    stream = cuda.handle("cudaStreamCreateWithFlags", 1)
    graph = Graph(cuda, stream, lambda: None)
    graph.launch()
    graph.close()
