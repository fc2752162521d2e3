"""What forbids to compare the latencies of two Runs, and what weakens it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.study.outputs import RUN
from workbench.study.target import DEFAULT_TARGET, Target, judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.runtime.job import Environment
    from workbench.study.run import Run

# What a latency depends on, and its name. The host's own name is left out: containers get a new one each time.
ENVIRONMENT = (
    ("cpu", "processor"),
    ("cores", "processor cores"),
    ("onnxruntime", "ONNX Runtime"),
    ("onnxruntime_package", "ONNX Runtime's package"),
)
BUFFERS = {"host": "NumPy arrays in and out, copies included", "device": "buffers that stay on the GPU"}
GPU_ENVIRONMENT = (("gpu", "GPU"), ("driver", "NVIDIA driver"), ("tensorrt", "TensorRT"), ("cuda", "CUDA"))


def barriers(a: Run, b: Run, target: Target = DEFAULT_TARGET) -> list[str]:
    """Return why nothing can be said of which Run is faster; empty where something can."""
    return [*_same(a, b), *_outcomes(a, b), *_outputs(a, b, target), *_models(a, b), *_inputs(a, b), *_environments(a, b)]


def caveats(a: Run, b: Run) -> list[str]:
    """Return what weakens a comparison of two Runs, and does not forbid it."""
    return [*_unknown(a, b), *_converted(a, b), *_labels(a, b), *_fed(a, b), *_buffers(a, b), *_latencies(a, b)]


def _same(a: Run, b: Run) -> Iterator[str]:
    if a.id == b.id:
        yield "A and B are the same Run"


def _outcomes(a: Run, b: Run) -> Iterator[str]:
    for side, run in (("A", a), ("B", b)):
        if run.status != "ok":
            yield f"{side} {_ENDED[run.status]}" + (f": {run.error.message}" if run.error else "")
        elif run.latency is None:
            yield f"the latency of {side} was not measured"


_ENDED = {"failed": "failed", "crashed": "crashed", "cancelled": "was cancelled", "timeout": "took longer than allowed"}


def _outputs(a: Run, b: Run, target: Target) -> Iterator[str]:
    for side, run in (("B", b), ("A", a)):
        found = judge(run.accuracy, run.task, target)
        if not found.ok:
            told = next((f"output {o.output!r}: {o.wrong}" for o in run.accuracy if o.wrong), found.why)
            yield f"{side}'s outputs are wrong: its latency does not count ({told})"


def _models(a: Run, b: Run) -> Iterator[str]:
    ours, theirs = a.model.content_hash, b.model.content_hash
    if ours is None or theirs is None:
        yield "it is not known whether A and B ran the same model: its content could not be read"
    elif ours != theirs and not _one_yardstick(a, b):
        yield f"A and B ran different models: {_names(a, b)}"


def _names(a: Run, b: Run) -> str:
    return "their contents differ" if a.model.name == b.model.name else f"{a.model.name} and {b.model.name}"


def _one_yardstick(a: Run, b: Run) -> bool:
    """Whether two models were held against the same outputs, as one converted from the other is: they do the same work."""
    if not (a.accuracy and b.accuracy):
        return False
    if a.plan.reference == f"{RUN}{b.id}" or b.plan.reference == f"{RUN}{a.id}":
        return True
    ours, theirs = (Path(run.plan.reference or run.model.path).expanduser().absolute() for run in (a, b))
    return ours == theirs and (a.plan.reference, b.plan.reference) != (None, None)


def _inputs(a: Run, b: Run) -> Iterator[str]:
    ours, theirs = ({(i.name, i.dtype, i.shape) for i in run.inputs} for run in (a, b))
    if a.inputs and b.inputs and ours != theirs:
        shown = (", ".join(sorted(f"{n} {d} {list(s)}" for n, d, s in one)) for one in (ours - theirs, theirs - ours))
        yield f"A and B had inputs of different shapes: {' against '.join(text or 'none' for text in shown)}"


def _environments(a: Run, b: Run) -> Iterator[str]:
    if a.environment is None or b.environment is None:
        return
    parts = ENVIRONMENT if a.settings.provider == b.settings.provider == "cpu" else ENVIRONMENT + GPU_ENVIRONMENT
    changed = [text for name, what in parts if (text := _changed(a.environment, b.environment, name, what))]
    if changed:
        yield f"A and B ran in different environments: {'; '.join(changed)}"


def _changed(a: Environment, b: Environment, name: str, what: str) -> str:
    """Describe a difference; a part that is missing on one side, such as TensorRT in a CPU Run, played no part there."""
    ours, theirs = getattr(a, name), getattr(b, name)
    return f"{what} {ours} against {theirs}" if None not in (ours, theirs) and ours != theirs else ""


def _unknown(a: Run, b: Run) -> Iterator[str]:
    for side, run in (("A", a), ("B", b)):
        if run.status != "ok":
            continue
        if not run.accuracy:
            yield f"nobody knows whether {side}'s outputs are right: they were not compared with a reference"
        if run.environment is None:
            yield f"where {side} ran was not recorded"
        if not run.inputs:
            yield f"the inputs of {side} were not recorded"


def _converted(a: Run, b: Run) -> Iterator[str]:
    if a.model.content_hash != b.model.content_hash and _one_yardstick(a, b):
        yield f"A and B ran different models, whose outputs were held against the same reference: {_names(a, b)}"


def _labels(a: Run, b: Run) -> Iterator[str]:
    """Tell of whole numbers and strings that differ from the reference: labels, perhaps, on inputs that may be random."""
    for side, run in (("A", a), ("B", b)):
        for output in run.accuracy:
            what = f"{side}'s output {output.output!r}"
            if output.shape != output.reference_shape:
                yield f"{what} has the shape {list(output.shape)}, the reference's {list(output.reference_shape)}"
            elif output.differing and output.not_real:
                yield f"{what} differs from the reference in {output.differing:,} elements"


def _fed(a: Run, b: Run) -> Iterator[str]:
    if (a.plan.inputs, a.plan.seed) != (b.plan.inputs, b.plan.seed):
        yield "A and B were fed with different values, which matters where the work depends on the data"


def _buffers(a: Run, b: Run) -> Iterator[str]:
    """Tell of latencies with copies between host and GPU on one side only."""
    if a.plan.buffers != b.plan.buffers:
        sides = " and ".join(f"{side} with {BUFFERS[run.plan.buffers]}" for side, run in (("A", a), ("B", b)))
        yield f"the latencies are of different things: {sides}"


def _latencies(a: Run, b: Run) -> Iterator[str]:
    for side, run in (("A", a), ("B", b)):
        yield from (f"{side}: {warning}" for warning in (run.latency.warnings if run.latency else ()))
