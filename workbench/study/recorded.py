"""Runs of the sample models that were recorded on a GPU, to look at where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.study.transfer import read_runs

if TYPE_CHECKING:
    from workbench.study.run import Run

FOLDER = Path(__file__).parents[1] / "samples" / "recorded"  # data beside the samples; their code is not needed
FILES = ("h200_ort1.17_trt8.6.json", "h200_ort1.31_cuda.json")


def recorded_runs() -> list[Run]:
    """Return the Runs of the sample models that were recorded on an NVIDIA H200, each with evidence ``recorded``.

    Those of ONNX Runtime 1.17.1 with TensorRT 8.6 come first: CPU, CUDA, TensorRT in FP32 and in FP16. Those of ONNX
    Runtime 1.31.1 follow: CPU and CUDA, and TensorRT, which failed because its libraries were not there. Latencies are
    in milliseconds, samples rounded to six significant digits.

    Raises
    ------
    StoreError
        When a file is missing or damaged.
    """
    return [run for file in recorded_files() for run in read_runs(file)]


def recorded_files() -> tuple[Path, ...]:
    """Return the files that :func:`recorded_runs` reads."""
    return tuple(FOLDER / name for name in FILES)
