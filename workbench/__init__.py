"""An interactive workbench for optimising ONNX models with ONNX Runtime's TensorRT provider.

Nothing heavy is imported before it is used: not onnx, and never onnxruntime or tensorrt, which live in a worker process.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.errors import WorkbenchError as WorkbenchError
    from workbench.measure.task import TaskMetric as TaskMetric
    from workbench.model.model import Model as Model
    from workbench.options.profile import ShapeProfile as ShapeProfile
    from workbench.options.settings import Settings as Settings
    from workbench.panels.app import Workbench as Workbench
    from workbench.placement.predict import predict as predict_placement
    from workbench.placement.verdict import verdict_of as verdict_of
    from workbench.runtime.calibration.calibrate import calibrate as calibrate
    from workbench.runtime.data.dataset import DataSource as DataSource
    from workbench.runtime.doctor.diagnosis import diagnose as diagnose
    from workbench.runtime.engines.cache import EngineCache as EngineCache
    from workbench.runtime.job import Plan as Plan
    from workbench.runtime.job import StageTimeout as StageTimeout
    from workbench.runtime.lowering.trials import Lowering as Lowering
    from workbench.runtime.worker import Worker as Worker
    from workbench.samples.catalogue import sample_path as sample_path
    from workbench.study.compare import compare as compare
    from workbench.study.convert import convert as convert
    from workbench.study.execute import execute as execute
    from workbench.study.execute import measure_placement as measure_placement
    from workbench.study.run import Run as Run
    from workbench.study.sensitivity import find_sensitive as find_sensitive
    from workbench.study.store import Store as Store
    from workbench.study.target import Target as Target

__version__ = "0.1.0"

# public name -> the module that defines it, and its name there
_HOMES = {
    "DataSource": ("workbench.runtime.data.dataset", "DataSource"),
    "EngineCache": ("workbench.runtime.engines.cache", "EngineCache"),
    "Lowering": ("workbench.runtime.lowering.trials", "Lowering"),
    "Model": ("workbench.model.model", "Model"),
    "Plan": ("workbench.runtime.job", "Plan"),
    "Run": ("workbench.study.run", "Run"),
    "Settings": ("workbench.options.settings", "Settings"),
    "ShapeProfile": ("workbench.options.profile", "ShapeProfile"),
    "StageTimeout": ("workbench.runtime.job", "StageTimeout"),
    "Store": ("workbench.study.store", "Store"),
    "Target": ("workbench.study.target", "Target"),
    "TaskMetric": ("workbench.measure.task", "TaskMetric"),
    "Workbench": ("workbench.panels.app", "Workbench"),
    "WorkbenchError": ("workbench.errors", "WorkbenchError"),
    "Worker": ("workbench.runtime.worker", "Worker"),
    "calibrate": ("workbench.runtime.calibration.calibrate", "calibrate"),
    "compare": ("workbench.study.compare", "compare"),
    "convert": ("workbench.study.convert", "convert"),
    "diagnose": ("workbench.runtime.doctor.diagnosis", "diagnose"),
    "execute": ("workbench.study.execute", "execute"),
    "find_sensitive": ("workbench.study.sensitivity", "find_sensitive"),
    "measure_placement": ("workbench.study.execute", "measure_placement"),
    "predict_placement": ("workbench.placement.predict", "predict"),
    "sample_path": ("workbench.samples.catalogue", "sample_path"),
    "verdict_of": ("workbench.placement.verdict", "verdict_of"),
}

__all__ = [
    "DataSource",
    "EngineCache",
    "Lowering",
    "Model",
    "Plan",
    "Run",
    "Settings",
    "ShapeProfile",
    "StageTimeout",
    "Store",
    "Target",
    "TaskMetric",
    "Workbench",
    "WorkbenchError",
    "Worker",
    "calibrate",
    "compare",
    "convert",
    "diagnose",
    "execute",
    "find_sensitive",
    "measure_placement",
    "predict_placement",
    "sample_path",
    "verdict_of",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
