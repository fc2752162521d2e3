"""Installations of onnxruntime-gpu as machines may have them."""

from workbench.runtime.libraries.driver import Driver, Gpu
from workbench.runtime.libraries.needs import Library, needs_of
from workbench.runtime.libraries.prerequisites import Installation, ProviderLibrary

H200 = Driver(cuda="13.0", gpus=(Gpu(name="NVIDIA H200", compute_capability="9.0"),))
CUDA = ("libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libcudart.so.13")
TENSORRT = ("libcublas.so.13", "libnvinfer.so.10", "libnvonnxparser.so.10", "libcudart.so.13", "libcudnn.so.9")
FOLDER = "/venv/onnxruntime/capi"


def installation(*, missing=(), release="1.31.1", driver=H200, tensorrt="10.14.1", undefined=(), packages=None, needs=None):
    """Return an installation of 1.31.1 on an H200, where nothing is missing but what is named."""

    def library(name):
        error = "not found" if name in missing else ""
        return Library(name=name, error=error, path=None if error else f"/cuda/lib/{name}", version=None if error else "1.2.3")

    needs = needs or needs_of(release)
    parts = [("tensorrt", TENSORRT, undefined), ("cuda", CUDA, ())]
    providers = tuple(
        ProviderLibrary(
            provider=name,
            path=f"{FOLDER}/libonnxruntime_providers_{name}.so",
            needs=tuple(library(each) for each in names),
            undefined=symbols,
        )
        for name, names, symbols in parts
    )
    return Installation(
        release=release,
        cuda=needs.cuda,
        cudnn=needs.cudnn,
        tensorrt=needs.tensorrt,
        driver=driver,
        providers=providers,
        later=(library("libcufft.so.12"),),
        tensorrt_found=tensorrt,
        packages=packages or {"onnxruntime-gpu": release},
    )
