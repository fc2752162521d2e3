"""See what shapes tensors have, by running the model on the CPU.

ONNX Runtime's profile tells for each node that ran, those of control-flow bodies included, the type and shape of what it
read and wrote. With graph optimisation off, nodes are those of the file.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from workbench.errors import InputError, JobError, ModelError
from workbench.model.known_shapes import Ran, write_observed
from workbench.model.model import Model
from workbench.runtime.data.inputs import ModelInput, read_inputs
from workbench.runtime.ready.inputs import Trial, dimensions_of, first_trials, other_scalars, varied
from workbench.runtime.ready.sessions import Runtime
from workbench.runtime.ready.steps import read, write
from workbench.runtime.ready.steps_apart import Answer, Errand

if TYPE_CHECKING:
    from collections.abc import Iterable

ENDING = "_kernel_time"
# Names of element types in a profile -> TensorProto.DataType
ELEMENTS = {
    "float": onnx.TensorProto.FLOAT,
    "uint8": onnx.TensorProto.UINT8,
    "int8": onnx.TensorProto.INT8,
    "uint16": onnx.TensorProto.UINT16,
    "int16": onnx.TensorProto.INT16,
    "int32": onnx.TensorProto.INT32,
    "int64": onnx.TensorProto.INT64,
    "string": onnx.TensorProto.STRING,
    "bool": onnx.TensorProto.BOOL,
    "float16": onnx.TensorProto.FLOAT16,
    "double": onnx.TensorProto.DOUBLE,
    "uint32": onnx.TensorProto.UINT32,
    "uint64": onnx.TensorProto.UINT64,
    "bfloat16": onnx.TensorProto.BFLOAT16,
}


@dataclass(slots=True)
class Observer:
    """Runs a model with profiling, and keeps what was seen.

    Attributes
    ----------
    until : float
        No run is started after this time (``time.monotonic``).
    runs : list of Ran
        What was seen in the runs that came to an end.
    count : int
        How many runs did.
    last : str
        Why the last run failed.
    """

    runtime: Runtime
    model: Model
    until: float
    seed: int
    runs: list[Ran] = field(default_factory=list)
    count: int = 0
    last: str = ""

    def tried(self, trials: Iterable[Trial]) -> Trial | None:
        """Return the first of some trials that the model runs on."""
        for trial in trials:
            if time.monotonic() > self.until:
                self.last = self.last or "there was no time left"
                return None
            if self.ran(trial.inputs(self.model, self.seed + self.count)):
                return trial
        return None

    def ran(self, inputs: list[ModelInput]) -> bool:
        """Run the model once; say whether it came to an end."""
        options = self.runtime.options()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path.cwd() / "profile")
        session = self.runtime.session(str(self.model.path), options)
        try:
            self.runtime.run(session, inputs)
        except JobError as error:
            self.last = error.message
            return False
        finally:
            profile = Path(session.end_profiling())
        self.runs += _read(profile)
        profile.unlink()
        self.count += 1
        return True


def observe(errand: Errand) -> Answer:
    """Write down the shapes that tensors are seen to have."""
    model = Model.load(errand.source)
    observer = Observer(Runtime.load(), model, time.monotonic() + errand.stop_after_s, errand.seed)
    complete = _vary(observer, model, errand)
    proto = read(errand.source)
    found = write_observed(proto.graph, observer.runs, varied=complete)
    write(proto, errand.target)
    how = f"{observer.count} runs" if observer.count > 1 else "one run"
    changes = (f"Added the shapes of {len(found):,} tensors, as {how} on the CPU showed them.",) if found else ()
    if not complete:
        note = "Not every dynamic dimension could be varied, so that only ranks were taken from what was seen."
        return Answer(status="done", changes=changes, why=note)
    return Answer(status="done", changes=changes, why="" if found else "All tensors that ran have a shape.")


def _vary(observer: Observer, model: Model, errand: Errand) -> bool:
    """Run the model on several shapes and ways through it; say whether each dynamic dimension was varied."""
    if errand.inputs is not None:
        if not observer.ran(read_inputs(errand.inputs, model)):
            raise InputError(f"The model fails on the inputs of {errand.inputs}: {observer.last}.")
        return not dimensions_of(model)
    base = observer.tried(first_trials(model, errand.profile))
    if base is None:
        raise ModelError(
            f"The model ran on no random inputs of any shape that was tried; the last error: {observer.last}.",
            remedy="Give real inputs (--inputs FILE.npz) or a shape profile (--profile NAME=SHAPE).",
        )
    # A scalar may choose between models for other sizes, such as two sampling rates.
    for other in other_scalars(model, base):
        sized = [Trial(t.shapes, other.scalars) for t in first_trials(model, errand.profile)]
        observer.tried(dict.fromkeys((other, *sized)))
    return _sizes(observer, model, base)


def _sizes(observer: Observer, model: Model, base: Trial) -> bool:
    dims = dimensions_of(model)
    if not dims or observer.tried(varied(model, base, dims, round_) for round_ in (0, 1)) is not None:
        return True
    done = [observer.tried(varied(model, base, [dim], round_) for round_ in (0, 1)) is not None for dim in dims]
    return all(done)


def _read(profile: Path) -> list[Ran]:
    found = []
    for event in json.loads(profile.read_text(encoding="utf-8", errors="replace")):
        if event.get("cat") == "Node" and event["name"].endswith(ENDING):
            given, written = (event["args"].get(key) for key in ("input_type_shape", "output_type_shape"))
            found.append(Ran(event["name"].removesuffix(ENDING), _pairs(given), _pairs(written)))
    return found


def _pairs(listed: Any) -> tuple[tuple[int, tuple[int, ...]], ...]:  # noqa: ANN401
    """Return types and shapes; releases before 1.20 put the list into a string."""
    entries = json.loads(listed) if isinstance(listed, str) else listed or []
    return tuple((ELEMENTS.get(kind, 0), tuple(shape)) for entry in entries for kind, shape in entry.items())
