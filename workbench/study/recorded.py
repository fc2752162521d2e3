"""Runs that were recorded on a GPU, to look at where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from workbench.study.transfer import read_runs

if TYPE_CHECKING:
    from workbench.study.run import Run

FOLDER = Path(__file__).parents[1] / "samples" / "recorded"  # data beside the samples; their code is not needed
Recorded = Literal["samples", "ladder", "surveys", "precision", "failures"]
FILES: dict[Recorded, tuple[str, ...]] = {
    "samples": ("h200_ort1.17_trt8.6.json.gz", "h200_ort1.31_cuda.json.gz"),
    "ladder": ("h200_ladder_resnet50.json.gz",),
    "surveys": ("h200_survey_resnet18.json.gz", "h200_survey_resnet50.json.gz", "h200_survey_fasterrcnn.json.gz"),
    "precision": ("h200_precision_digits.json.gz", "h200_precision_resnet50.json.gz"),
    "failures": ("h200_failures.json.gz",),
}


def recorded_runs(*kinds: Recorded) -> list[Run]:
    """Return Runs that were recorded on an NVIDIA H200, each with evidence ``recorded``.

    Latencies are in milliseconds, samples rounded to six significant digits.

    Parameters
    ----------
    *kinds : str
        ``samples`` (the default): the sample models with ONNX Runtime 1.17.1 and TensorRT 8.6 on the CPU, CUDA, TensorRT in
        FP32 and in FP16; then with ONNX Runtime 1.31.1 on the CPU and CUDA, and on TensorRT, which failed because its
        libraries were not there. The others are of ONNX Runtime 1.17.1 with TensorRT 8.6, and of torchvision's models with
        random weights: ``ladder`` (a ResNet-50's session made from nothing, a timing cache, the engine cache and an EP context
        model), ``surveys`` (ResNet-18, ResNet-50 and Faster R-CNN on PyTorch, the CPU, CUDA, TensorRT and TensorRT itself),
        ``precision`` (the digits classifier and a ResNet-50 in FP32, FP16 and INT8), ``failures`` (models that end the process,
        and a session that took too long). Making a session is timed without starting CUDA and TensorRT.

    Raises
    ------
    StoreError
        When a file is missing or damaged.
    """
    return [run for file in recorded_files(*(kinds or ("samples",))) for run in read_runs(file)]


def recorded_files(*kinds: Recorded) -> tuple[Path, ...]:
    """Return the files with Runs of these kinds, all by default."""
    return tuple(FOLDER / name for kind in kinds or get_args(Recorded) for name in FILES[kind])
