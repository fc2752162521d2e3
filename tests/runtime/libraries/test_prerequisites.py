from types import SimpleNamespace

import pytest

from tests.runtime.installations import H200, installation
from workbench.errors import JobError
from workbench.options.settings import Settings
from workbench.runtime.libraries import prerequisites
from workbench.runtime.libraries.driver import Driver, Gpu
from workbench.runtime.libraries.prerequisites import obstacles, read_installation, require

NO_DRIVER = Driver(error="libcuda.so.1 is not found")


def gpu(capability, cuda="13.0"):
    return Driver(cuda=cuda, gpus=(Gpu(name="A GPU", compute_capability=capability),))


def told(found, provider="tensorrt", device=0):
    return " | ".join(f"{each.message} -> {each.remedy}" for each in obstacles(found, provider, device))


def test_nothing_stands_in_the_way_where_all_is_there():
    assert obstacles(installation(), "tensorrt") == obstacles(installation(), "cuda") == []


def test_a_missing_cuda_library_is_named_with_its_install_line():
    text = told(installation(missing=["libcublas.so.13"]), "cuda")

    assert text == "libcublas.so.13 is not found -> pip install 'onnxruntime-gpu[cuda,cudnn]==1.31.1'"


def test_libraries_of_tensorrt_have_a_line_of_their_own():
    found = installation(missing=["libcudnn.so.9", "libnvinfer.so.10", "libnvonnxparser.so.10"], tensorrt=None)

    assert obstacles(found, "cuda") == []
    cuda, tensorrt = obstacles(found, "tensorrt")
    assert cuda.message == "libcudnn.so.9 is not found"
    assert tensorrt.message == "libnvinfer.so.10, libnvonnxparser.so.10 are not found"
    assert tensorrt.remedy == "pip install 'tensorrt-cu13>=10.14,<11'"


def test_tensorrt_11_beside_an_onnxruntime_that_wants_10_is_told_with_the_line():
    found = installation(
        missing=["libnvinfer.so.10", "libnvonnxparser.so.10"],
        tensorrt=None,
        packages={"onnxruntime-gpu": "1.31.1", "tensorrt": "11.4.0.106", "tensorrt-cu13": "11.4.0.106"},
    )

    text = told(found)
    assert "TensorRT 11.4.0.106 is installed; onnxruntime-gpu 1.31.1 loads TensorRT 10 (libnvinfer.so.10)" in text
    assert "pip uninstall -y tensorrt tensorrt-cu13; pip install 'tensorrt-cu13>=10.14,<11'" in text


def test_another_tensorrt_package_does_no_harm_where_the_right_library_is_found():
    assert obstacles(installation(packages={"onnxruntime-gpu": "1.31.1", "tensorrt": "11.4.0"}), "tensorrt") == []


def test_without_a_gpu_that_comes_first_and_prediction_is_offered():
    text = told(installation(driver=NO_DRIVER, missing=["libnvinfer.so.10"]))

    assert text.startswith("no NVIDIA GPU or driver was found: libcuda.so.1 is not found")
    assert "--predict" in text
    assert "libnvinfer.so.10 is not found" in text


def test_a_driver_that_is_too_old_for_this_cuda_is_told():
    text = told(installation(driver=gpu("9.0", cuda="12.4")), "cuda")

    assert "the NVIDIA driver runs CUDA 12.4 at most, and onnxruntime-gpu 1.31.1 needs CUDA 13" in text
    assert "driver 580 or later" in text


def test_a_newer_driver_runs_an_older_cuda():
    assert obstacles(installation(release="1.26.0", driver=H200), "cuda") == []


def test_a_gpu_that_the_release_does_not_support_is_told():
    assert "7.5 and higher; this one has 7.0" in told(installation(driver=gpu("7.0")), "cuda")
    blackwell = installation(release="1.20.1", driver=gpu("12.0"), tensorrt="10.4.0")
    assert "from TensorRT 10.8 on; this is 10.4.0" in told(blackwell)
    assert obstacles(blackwell, "cuda") == []
    assert obstacles(installation(driver=gpu(None)), "tensorrt") == []


def test_a_device_that_is_not_there_is_told():
    assert "device_id is 1, and the driver finds 1 GPU(s)" in told(installation(), "cuda", device=1)


def test_a_tensorrt_of_another_minor_release_that_lacks_functions_is_told():
    text = told(installation(undefined=("getPluginRegistry", "createInferBuilder_INTERNAL"), tensorrt="10.0.1"))

    assert "libonnxruntime_providers_tensorrt.so needs getPluginRegistry and 1 more" in text
    assert "libnvinfer.so.10 1.2.3 (/cuda/lib/libnvinfer.so.10)" in text
    assert text.endswith("pip install 'tensorrt-cu13>=10.14,<11'")


def test_a_session_is_refused_with_all_reasons_and_each_remedy_once(monkeypatch):
    found = installation(missing=["libcublas.so.13", "libnvinfer.so.10"], tensorrt=None)
    monkeypatch.setattr(prerequisites, "read_installation", lambda *_: found)

    with pytest.raises(JobError) as caught:
        require(None, Settings())
    assert caught.value.kind == "provider"
    assert caught.value.message.startswith("ONNX Runtime's TensorRT provider cannot run here: libcublas.so.13 is not found;")
    assert caught.value.remedy.count("pip install") == 2
    require(None, Settings(provider="cpu"))


def test_the_device_of_the_settings_is_looked_at(monkeypatch):
    monkeypatch.setattr(prerequisites, "read_installation", lambda *_: installation())

    require(None, Settings(provider="cuda", provider_options={"device_id": 0}))
    with pytest.raises(JobError, match="device_id is 3"):
        require(None, Settings(provider="cuda", provider_options={"device_id": 3}))


def test_what_is_installed_here_is_read_without_loading_onnxruntimes_providers(tmp_path, monkeypatch):
    capi = tmp_path / "onnxruntime" / "capi"
    capi.mkdir(parents=True)
    for name in ("cuda", "tensorrt"):
        (capi / f"libonnxruntime_providers_{name}.so").write_bytes(b"")
    asked = {"cuda": ("libcudart.so.11.0", "libcuda.so.1", "libc.so.6"), "tensorrt": ("libnvinfer.so.8", "libcudart.so.11.0")}
    monkeypatch.setattr(prerequisites, "needed_by", lambda path: asked[path.stem.rpartition("_")[2]])
    loaded = []
    monkeypatch.setattr(prerequisites, "preload", lambda *given: loaded.append(given))
    ort = SimpleNamespace(__file__=str(tmp_path / "onnxruntime" / "__init__.py"), __version__="1.18.1")

    found = read_installation(ort)

    assert (found.cuda, found.tensorrt) == (11, 8), "what the files ask for counts, not what the release's wheel had"
    assert [(part.provider, [library.name for library in part.needs]) for part in found.providers] == [
        ("tensorrt", ["libnvinfer.so.8", "libcudart.so.11.0"]),
        ("cuda", ["libcudart.so.11.0"]),
    ]
    assert loaded == [(ort, found.needs, "tensorrt")]
