"""Survey torchvision's ResNet-18, ResNet-50 and Faster R-CNN with random weights: PyTorch before, TensorRT after.

    python benchmarks/survey_torchvision.py --out surveys --limit 540 --trt 8.6

Runs one ``workbench survey`` command for each model, and writes to `--out`: ``NAME.json`` (what the command prints),
``NAME.log``, and ``runs.sqlite3`` with all Runs. Models that have their JSON already are left out, so that the command can
be given again when the time was over. Needs torch, torchvision and an onnxruntime-gpu with TensorRT; no weights are
downloaded.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATIONS = (
    "torch eager",
    "torch compile",
    "torch compile fp16 torch_channels_last=true",
    "cpu",
    "cuda",
    "tensorrt fp32",
    "tensorrt fp16",
    "native fp32",
    "native fp16",
)
MARGIN_S = 20.0  # for writing what was found, once the survey's own limit is over


@dataclass(frozen=True)
class Case:
    """One command: the model's name, and the arguments of ``workbench survey``."""

    name: str
    arguments: tuple[str, ...]


def classifier(name: str) -> Case:
    """Return the command for a classifier of 224 × 224 images, at batch 1 and 8."""
    return Case(
        name,
        (f"torchvision.models:{name}", "--args", '{"weights": null}', "--input", "x=2x3x224x224", "--dynamic", "batch",
         "--batch", "1", "--batch", "8"),
    )  # fmt: skip


def detector(name: str, size: int) -> Case:
    """Return the command for a detector on one image, made ready for TensorRT before."""
    arguments = f'{{"weights": null, "weights_backbone": null, "min_size": {size}, "max_size": {size}}}'
    source = f"torchvision.models.detection:{name}"
    return Case(name, (source, "--args", arguments, "--input", f"images[0]=3x{size}x{size}", "--ready"))


CASES = (classifier("resnet18"), classifier("resnet50"), detector("fasterrcnn_resnet50_fpn", 800))


def run(case: Case, options: argparse.Namespace, left_s: float) -> int:
    """Run one survey in the time that is left, and return the command's exit status."""
    out: Path = options.out
    command = [sys.executable, "-m", "workbench", "survey", *case.arguments, "--json", "--trt", options.trt]
    command += ["--onnx", str(out / f"{case.name}.onnx"), "--store", str(out / "runs.sqlite3"), "--cache", str(out / "engines")]
    command += ["--seconds", str(options.seconds), "--limit", str(max(1.0, left_s - MARGIN_S)), "--buffers", options.buffers]
    for configuration in options.config or CONFIGURATIONS:
        command += ["--config", configuration]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
    part, log = out / f"{case.name}.part", out / f"{case.name}.log"
    with part.open("wb") as stdout, log.open("wb") as stderr:
        try:
            status = subprocess.run(
                command, stdout=stdout, stderr=stderr, env=environment, timeout=left_s, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            print(f"{case.name}: ended after {left_s:.0f} s; its Runs are in the store")
            return 1
    if status == 0:
        part.replace(out / f"{case.name}.json")
    return status


def main() -> int:
    """Read the arguments and run the commands one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for models, Runs, engines and JSON")
    parser.add_argument("--limit", type=float, default=540.0, help="seconds that all of it may take (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="to measure each configuration (%(default)s)")
    parser.add_argument("--trt", default="8.6", help="the release of TensorRT to make the detector ready for (%(default)s)")
    parser.add_argument(
        "--buffers", choices=("host", "device"), default="host", help="where inputs and outputs lie (%(default)s)"
    )
    parser.add_argument("--model", action="append", choices=[case.name for case in CASES], help="only these; repeatable")
    parser.add_argument("--config", action="append", help="other configurations; repeatable")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    until, worst = time.monotonic() + options.limit, 0
    for case in CASES:
        left = until - time.monotonic()
        if (options.model and case.name not in options.model) or (options.out / f"{case.name}.json").exists():
            continue
        if left < 2 * MARGIN_S:
            print(f"{case.name}: not begun, the time is over")
            worst = max(worst, 1)
            continue
        began = time.monotonic()
        status = run(case, options, left)
        print(f"{case.name}: exit status {status} after {time.monotonic() - began:.0f} s", flush=True)
        worst = max(worst, status)
    return worst


if __name__ == "__main__":
    sys.exit(main())
