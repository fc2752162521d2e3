"""The process that compares an exported model with its PyTorch module. Started by ``workbench.model.pytorch.from_torch``.

The module's inputs and outputs come as ``.npz`` files in the folder of the first argument: ``NAME.inputs.npz`` holds an
array for each input, ``NAME.outputs.npz`` one for each output under its number. ``cases.json`` lists the cases, with how much
rounding alone changes the outputs of each. Writes ``answer.json`` there, an answer for each case; all else goes to the log.
It needs no torch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import JobError, WorkbenchError
from workbench.measure.accuracy import OutputAccuracy, compare_output
from workbench.model.model import Model
from workbench.runtime.failures import failure_of
from workbench.runtime.session import exceptions_of, load_onnxruntime, reference_session

REFERENCE = "PyTorch module"
# Relative L2 distance that rounding explains, by the type that the module computes in. float32 sums in another order stay
# below 1e-4 even in deep networks; the other types have 13 and 16 bits less.
AGREES = {"float64": 1e-6, "float32": 1e-3, "float16": 2e-2, "bfloat16": 1e-1}
MARGIN = 10.0  # times the change that one rounding made: another one may make more
NEAR_TIES = 0.01  # share of labels and indices that may differ: which of two equal ones comes first is chance


def disagreement(row: OutputAccuracy, tolerance: float | None, unsteady: float = 0.0) -> str:
    """Return why an output is not the module's, in words; empty where it is.

    Parameters
    ----------
    row : OutputAccuracy
        The output against the module's.
    tolerance : float or None
        The largest relative L2 distance; by default what the type's rounding explains.
    unsteady : float
        How much rounding of the inputs alone changes an output of the module: that many times `MARGIN` is allowed too.
    """
    slack = MARGIN * unsteady
    if slack >= 1:  # nothing can be said of such an output
        return ""
    if row.identical:
        return ""
    if row.shape != row.reference_shape:
        return f"its shape is {list(row.shape)}, the module gives {list(row.reference_shape)}"
    if row.not_finite_differing:
        return f"{row.not_finite_differing:,} elements are NaN or infinite in one of the two only"
    if row.not_real:
        size = max(1, int(np.prod(row.shape)))
        differing = row.differing or 0
        return f"{differing:,} of {size:,} elements differ" if differing > max(NEAR_TIES, slack) * size else ""
    allowed = max(slack, tolerance if tolerance is not None else AGREES.get(row.dtype, AGREES["float32"]))
    if row.rel_l2 is None:  # the module gives zeros only
        return f"it differs by up to {row.max_abs:.3g} from zeros" if (row.max_abs or 0.0) > allowed else ""
    return f"it differs by {row.rel_l2:.3g} (relative L2 norm; {allowed:g} allowed)" if row.rel_l2 > allowed else ""


def check(session: Any, names: list[str], folder: Path, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Run a model's session on the inputs of one case; return the largest distance (`worst`), `why` it disagrees, or `fails`."""
    case, unsteady = asked["case"], asked["unsteady"]
    with np.load(folder / f"{case}.inputs.npz") as inputs, np.load(folder / f"{case}.outputs.npz") as outputs:
        feeds = {spec.name: inputs[spec.name] for spec in session.get_inputs()}
        expected = [outputs[str(i)] for i in range(len(outputs.files))]
    try:
        actual = session.run(None, feeds)
    except exceptions_of(load_onnxruntime("cpu")) as error:
        return {"fails": failure_of(error, "run").message}
    if len(actual) != len(expected):
        raise JobError(f"it has {len(actual)} outputs, the module gives {len(expected)}", kind="run")
    worst = 0.0
    for name, found, wanted in zip(names, actual, expected, strict=True):
        row = compare_output(name, found, wanted, REFERENCE)
        why = disagreement(row, asked["tolerance"], unsteady)
        if why:
            return {"why": f"output {name!r}: {why}"}
        worst = max(worst, row.rel_l2 or 0.0) if MARGIN * unsteady < 1 else worst
    return {"worst": worst}


def main() -> None:
    """Check the model that is the second argument."""
    folder, path = Path(sys.argv[1]), sys.argv[2]
    cases = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    answers: Any
    try:
        model, ort = Model.load(path), load_onnxruntime("cpu")
        try:
            session = reference_session(ort, model)
        except exceptions_of(ort) as error:
            raise failure_of(error, "load") from error
        answers = [check(session, [spec.name for spec in model.outputs], folder, asked) for asked in cases]
    except WorkbenchError as error:
        answers = {"failed": error.message, "remedy": error.remedy, "kind": type(error).__name__}
    (folder / "answer.json").write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
