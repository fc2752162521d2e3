"""A session that does what the graph says and nothing else, quickly made."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from workbench.runtime.session import refuse_others

if TYPE_CHECKING:
    from workbench.options.settings import Settings
    from workbench.runtime.lowering.weights import Weights

BIG = 2_000_000_000  # bytes beyond which a model does not fit into one protobuf message
CPU = "CPUExecutionProvider"

_numbers = itertools.count()


def exact_session(ort: Any, proto: onnx.ModelProto, weights: Weights | None = None) -> Any:  # noqa: ANN401
    """Return a session on the CPU without any optimisation.

    Parameters
    ----------
    ort : module
        onnxruntime.
    proto : onnx.ModelProto
        The model; changed where `weights` are given.
    weights : Weights, optional
        What its placeholders stand for.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")  # it costs more than it saves on few runs
    if weights is not None:
        weights.fill(proto, options, ort)
    return ort.InferenceSession(_source(proto), options, providers=[CPU], enable_fallback=0)


def candidate_session(ort: Any, proto: onnx.ModelProto, settings: Settings, options: Any) -> Any:  # noqa: ANN401
    """Return a session of a candidate as Settings want it.

    Raises
    ------
    JobError
        When the session does not have the provider asked for.
    """
    providers = settings.to_providers()
    session = ort.InferenceSession(_source(proto), options, providers=providers, enable_fallback=0)
    refuse_others(session.get_providers(), providers, "")
    return session


def _source(proto: onnx.ModelProto) -> bytes | str:
    if proto.ByteSize() < BIG:
        data: bytes = proto.SerializeToString()
        return data
    for old in Path().glob("set-*"):  # in the current folder, which is the process's own
        old.unlink()
    path = f"set-{next(_numbers)}.onnx"
    onnx.save(proto, path, save_as_external_data=True, location=f"{path}.data", size_threshold=1024)
    return path
