"""Read every engine of a folder that ONNX Runtime wrote, and print what was found as one JSON document.

::

    python benchmarks/engine_files.py FOLDER [MODEL]

With a model, each is judged for it with plain TensorRT settings. Where the tensorrt package can be imported, its Runtime is
asked to load each plan, and what it says of version, inputs and profiles stands beside what was read without it, so that the
two can be compared. That is done in this process: run it on the machine that built the engines.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a script's own folder is there, not the project's

from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.runtime.engines.files import read_folder
from workbench.runtime.engines.here import session_environment
from workbench.runtime.engines.judge import judge_file


def main() -> None:
    """Print the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of engines")
    parser.add_argument("model", nargs="?", type=Path, help="an ONNX file")
    given = parser.parse_args()
    folder = given.folder
    model = Model.load(given.model) if given.model is not None else None
    here = session_environment()
    settings = Settings() if model is not None else None
    found = []
    for file in read_folder(folder):
        judgement = judge_file(file, here, model=model, settings=settings)
        found.append(
            {
                "file": file.model_dump(mode="json"),
                "judgement": judgement.model_dump(mode="json"),
                "tensorrt_says": _asked(folder / file.name),
            }
        )
    machine = here.model_dump(mode="json", include={"gpu", "compute_capability", "tensorrt", "onnxruntime"})
    print(json.dumps({"folder": str(folder), "machine": machine, "engines": found}, indent=2, ensure_ascii=False))


def _asked(path: Path) -> dict[str, Any] | str:
    """Return what TensorRT itself says of a plan; or why it cannot be asked."""
    try:
        import tensorrt as trt
    except ImportError as error:
        return f"tensorrt cannot be imported: {error}"
    if not path.name.endswith(".engine") or path.name.endswith(".stripped.engine"):
        return "not a plan that loads by itself"
    engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        return "TensorRT refuses the plan"
    names = [engine.get_tensor_name(at) for at in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    return {
        "package": trt.__version__,
        "inputs": {name: list(engine.get_tensor_shape(name)) for name in inputs},
        "profiles": [
            {name: _ranges(engine, name, profile) for name in inputs} for profile in range(engine.num_optimization_profiles)
        ],
    }


def _ranges(engine: Any, name: str, profile: int) -> dict[str, list[int]]:  # noqa: ANN401
    """Return min, opt and max of an input in one profile: shapes, or values of a shape tensor."""
    if engine.is_shape_inference_io(name):
        found = engine.get_tensor_profile_values(profile, name) if hasattr(engine, "get_tensor_profile_values") else ()
    else:
        found = engine.get_tensor_profile_shape(name, profile)
    return dict(zip(("min", "opt", "max"), map(list, found), strict=False))


if __name__ == "__main__":
    main()
