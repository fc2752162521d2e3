"""The numbers inside a model, and what they say of each node before any set is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper

from workbench.measure.halving import Half, TensorRange, joined, range_of
from workbench.measure.sums import added, sums_of
from workbench.model.graph import nodes_of
from workbench.model.signature import FLOAT, element_types, opsets_of
from workbench.runtime.failures import told
from workbench.runtime.lowering.causes import causes_of
from workbench.runtime.lowering.session import exact_session
from workbench.runtime.lowering.trials import NodeEvidence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workbench.measure.sums import Sums
    from workbench.runtime.data.dataset import Feeds
    from workbench.runtime.lowering.trials import Lower
    from workbench.runtime.lowering.weights import Weights

AT_ONCE = 64  # tensors that are held at a time


class Activations:
    """The float32 tensors inside a model, run on some feeds.

    Parameters
    ----------
    ort : module
        onnxruntime.
    proto : onnx.ModelProto
        With its weights.
    feeds : list of dict
        What it is run on.
    errors : tuple of type
        What onnxruntime may raise.
    """

    def __init__(self, ort: Any, proto: onnx.ModelProto, feeds: Sequence[Feeds], errors: tuple[type[BaseException], ...]) -> None:  # noqa: ANN401
        self.ort, self.feeds, self.errors = ort, feeds, errors
        types = element_types(proto.graph, opsets_of(proto))
        weights = {tensor.name: tensor for tensor in proto.graph.initializer}
        made = [name for node in proto.graph.node for name in node.output if name and types.get(name) == FLOAT]
        given = [info.name for info in proto.graph.input if types.get(info.name) == FLOAT and info.name not in weights]
        self.names = made
        self.constants = {name for name in weights if types.get(name) == FLOAT}
        self.constants |= {node.output[0] for node in proto.graph.node if node.op_type == "Constant"}
        self.ranges: dict[str, TensorRange] = {}
        for name in self.constants & weights.keys():
            self._note(name, np.asarray(numpy_helper.to_array(weights[name]), dtype=np.float32))
        for each in feeds:
            for name in given:
                self._note(name, each[name])
        self.session = self.opened(proto)
        for names in self.parts():
            for each in feeds:
                for name, array in zip(names, self.session.run(names, each), strict=True):
                    self._note(name, array)

    def opened(self, proto: onnx.ModelProto, weights: Weights | None = None) -> Any:  # noqa: ANN401
        """Return a session of a model that gives every tensor looked at; `weights` are those of its placeholders."""
        with_all = onnx.ModelProto()
        with_all.CopyFrom(proto)
        there = {info.name for info in proto.graph.output}
        known = {name for node in proto.graph.node for name in node.output}
        with_all.graph.output.extend(
            onnx.ValueInfoProto(name=n) for n in dict.fromkeys(self.names) if n not in there and n in known
        )
        with told(self.errors, "load"):
            return exact_session(self.ort, with_all, weights)

    def parts(self) -> Iterator[list[str]]:
        """Yield the tensors' names, some at a time."""
        for start in range(0, len(self.names), AT_ONCE):
            yield self.names[start : start + AT_ONCE]

    def magnitudes(self) -> dict[str, float]:
        """Return the largest magnitude of each tensor that is no weight."""
        return {name: seen.largest for name, seen in self.ranges.items() if name not in self.constants}

    def errors_of(self, proto: onnx.ModelProto, weights: Weights | None) -> dict[str, Sums]:
        """Return how far each tensor of a lowered model is from this one's."""
        session = self.opened(proto, weights)
        there = {output.name for output in session.get_outputs()}
        parts: dict[str, list[Sums]] = {}
        for all_names in self.parts():
            names = [name for name in all_names if name in there]
            for each in self.feeds:
                ours, theirs = self.session.run(names, each), session.run(names, each)
                for name, expected, actual in zip(names, ours, theirs, strict=True):
                    if isinstance(expected, np.ndarray) and expected.shape == np.shape(actual):
                        parts.setdefault(name, []).append(sums_of(actual, expected))
        return {name: added(sums) for name, sums in parts.items()}

    def _note(self, name: str, array: Any) -> None:  # noqa: ANN401
        found = joined(self.ranges.get(name), range_of(array)) if isinstance(array, np.ndarray) else None
        if found is not None:
            self.ranges[name] = found


def evidence_of(  # noqa: PLR0913, PLR0917
    proto: onnx.ModelProto,
    names: Sequence[str],
    activations: Activations,
    lowered: onnx.ModelProto,
    to: Lower,
    weights: Weights | None,
) -> tuple[NodeEvidence, ...]:
    """Return what is seen of each candidate.

    Parameters
    ----------
    proto, lowered : onnx.ModelProto
        The model, and the same with everything lowered, its roundings written as casts.
    names : sequence of str
        The candidates.
    activations : Activations
        Of the model.
    to : str
        What it is lowered to.
    weights : Weights or None
        What placeholders in `lowered` stand for.
    """
    wanted = set(names)
    errors = activations.errors_of(lowered, weights)
    half: Half | None = None if to == "int8" else to
    found = []
    for node in nodes_of(proto.graph):
        if node.name not in wanted:
            continue
        causes, hard = causes_of(node.proto, activations.ranges, activations.constants, half) if half else ((), False)
        found.append(_evidence(node.name, node.proto, causes, errors, activations.ranges, hard=hard))
    return tuple(found)


def _evidence(  # noqa: PLR0913
    name: str,
    node: onnx.NodeProto,
    causes: tuple[str, ...],
    errors: dict[str, Sums],
    ranges: dict[str, TensorRange],
    *,
    hard: bool,
) -> NodeEvidence:
    before = [_error(errors[each]) for each in node.input if each in errors]
    after = [_error(errors[each]) for each in node.output if each in errors]
    error = max(after, default=0.0)
    entered = max(before, default=0.0)
    if error == float("inf") and entered != float("inf"):
        causes, hard = (*causes, "the first on its path whose output is not finite") if not hard else causes, True
    seen = [ranges[each].largest for each in (*node.input, *node.output) if each in ranges]
    finite = error != float("inf")
    return NodeEvidence(
        name=name,
        op_type=node.op_type,
        causes=causes,
        hard=hard,
        largest=max(seen, default=None),
        error=error if finite and after else None,
        growth=max(0.0, error - entered) if finite else 0.0,
    )


def _error(sums: Sums) -> float:
    if sums.odd:
        return float("inf")
    rel_l2 = sums.rel_l2
    return rel_l2 if rel_l2 is not None else 0.0
