"""From a PyTorch module to an ONNX model, checked against the module.

The module itself is kept beside the model, so that "PyTorch before, TensorRT after" can be measured alike.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import ModelError, Unavailable
from workbench.model.pytorch.call import Call, call_of, load_torch
from workbench.model.pytorch.cases import (
    MANY,
    Case,
    Dynamic,
    array_of,
    axes_of,
    example_case,
    grown,
    grown_cases,
    other_values,
    output_axes,
    unsteadiness,
)
from workbench.model.pytorch.export import CONTROL_FLOW, EXPORTERS, Axes, Exporter, Order, Traced, export
from workbench.model.pytorch.origin import TorchOrigin, keep_module, module_path, stamp, stamped

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECK_LIMIT_S = 600.0
EXAMPLE = "example"
UNSTEADY = 1e-2  # an output that rounding changes by more is worth a word
SIZES = (
    "The module uses a size as a plain number, as int(...) and len(...) give it: compute with tensor.shape itself, or leave that "
    "dimension out of `dynamic`."
)
CHECK = "workbench.runtime.export_check"  # started by its name: this layer does not import the runtime's


def export_module(  # noqa: PLR0913
    module: Any,  # noqa: ANN401
    example: Any,  # noqa: ANN401
    *,
    dynamic: Dynamic | None = None,
    path: str | Path | None = None,
    opset: int = 17,
    tolerance: float | None = None,
) -> Path:
    """Export a module; see :meth:`workbench.model.model.Model.from_torch`. Returns the file."""
    torch = load_torch("Model.from_torch")
    if not isinstance(module, torch.nn.Module):
        msg = f"Model.from_torch takes a torch.nn.Module, got {type(module).__name__}"
        raise TypeError(msg)
    target = _target(module, path)
    with _evaluating(module), torch.no_grad():
        call, tensors = call_of(module, example)
        case = example_case(module, call, tensors)
        axes = axes_of(dynamic, tensors)
        call = Call(call.args, call.kwargs, call.inputs, tuple(name for name, _ in case.outputs))
        making = _Making(torch, module, call, [case, *grown_cases(module, call, case, axes)], axes, opset, tolerance)
        with tempfile.TemporaryDirectory(prefix=".workbench-export-", dir=target.parent) as folder:
            draft, origin = making.made(Path(folder), target)
            missing = keep_module(torch, module, call, module_path(draft))
            stamp(draft, origin.model_copy(update={"module": None if missing else module_path(target).name, "missing": missing}))
            _publish(draft, target)
    return target


def _target(module: Any, path: str | Path | None) -> Path:  # noqa: ANN401
    """Return the file to write. One that was not exported here is not written over."""
    name = f"{type(module).__name__.lower()}.onnx" if path is None else path
    target = Path(name).expanduser().absolute()
    if not target.parent.is_dir():
        raise ModelError(f"{target}: there is no folder {target.parent}.", remedy="Make it, or give another path.")
    if target.exists() and stamped(target) is None:
        raise ModelError(f"{target} exists, and was not exported from PyTorch by the workbench.", remedy="Give another path.")
    return target


@contextlib.contextmanager
def _evaluating(module: Any) -> Iterator[None]:  # noqa: ANN401
    """Put a module and all its parts into evaluation mode, and back into what each was in."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


class _Making:
    """The work on one module."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        torch: Any,  # noqa: ANN401
        module: Any,  # noqa: ANN401
        call: Call,
        cases: list[Case],
        axes: Axes,
        opset: int,
        tolerance: float | None,
    ) -> None:
        self.torch, self.module, self.call, self.cases = torch, module, call, cases
        self.axes, self.opset, self.tolerance = axes, opset, tolerance
        self.unsteady = unsteadiness(module, call, cases[0])

    def made(self, folder: Path, target: Path) -> tuple[Path, TorchOrigin]:
        """Return the file of the first exporter whose model agrees with the module, and what it is made of.

        Raises
        ------
        ModelError
            When there is none; it says why of each.
        """
        refused: list[tuple[Exporter, ModelError]] = []
        for number, exporter in enumerate(EXPORTERS):
            draft = folder / str(number) / target.name
            draft.parent.mkdir()
            try:
                origin = self.exported(exporter, draft)
                before = "; ".join(f"{other}: {error.message}" for other, error in refused)
                return draft, origin.model_copy(update={"refused": before})
            except ModelError as error:
                refused.append((exporter, error))
        reasons = "; ".join(f"{error.message.rstrip('.')} (exporter: {exporter})" for exporter, error in refused)
        raise ModelError(f"{type(self.module).__name__} cannot be exported to ONNX: {reasons}.", remedy=refused[0][1].remedy)

    def exported(self, exporter: Exporter, draft: Path) -> TorchOrigin:
        traced = export(self.torch, exporter, self.order(exporter, draft))
        self.check_inputs(draft)
        answers = self.checked(draft, self.cases, traced)
        for case, answer in zip(self.cases, answers, strict=True):
            if "fails" in answer:
                raise self.refusal(case, f"the model does not run: {answer['fails']}", traced)
        others = list(other_values(self.module, self.call, self.cases[0])) if traced else []
        answers += self.checked(draft, others, traced)
        return TorchOrigin(
            torch=str(self.torch.__version__),
            exporter=exporter,
            opset=self.opset,
            name=type(self.module).__name__,
            checked=tuple(case.name for case in [*self.cases, *others]),
            worst_rel_l2=max(answer.get("worst", 0.0) for answer in answers),
            fails=tuple(
                f"{case.name}: {answer['fails']}"
                for case, answer in zip([*self.cases, *others], answers, strict=True)
                if "fails" in answer
            ),
            traced=tuple(map(str, traced)),
            unsteady=tuple(n for n, change in zip(self.call.outputs, self.unsteady, strict=True) if change > UNSTEADY),
        )

    def order(self, exporter: Exporter, draft: Path) -> Order:
        tensors = self.cases[0].tensors
        single = any(tensors[name].shape[axis] == 1 for name, named in self.axes.items() for axis in named)
        if exporter == "torch.export" and single:  # it takes a dimension of size 1 for a constant
            tensors = grown(tensors, self.axes, [dim for named in self.axes.values() for dim in named.values()])
        args, kwargs = self.call.arguments(tensors)
        return Order(
            module=self.module,
            args=args,
            kwargs=kwargs,
            inputs=self.call.inputs,
            outputs=self.call.outputs,
            axes=self.axes | output_axes(self.cases[0], self.cases[1:], self.axes),
            places=(tuple(self.call.args), self.call.kwargs),
            opset=self.opset,
            path=draft,
        )

    def check_inputs(self, draft: Path) -> None:
        """Raise ModelError where the exported graph lacks inputs: the module does not use them."""
        from workbench.model.model import Model

        names = [spec.name for spec in Model.load(draft).inputs]
        unused = [name for name in self.call.inputs if name not in names]
        if unused:
            raise ModelError(
                f"the module does not use its input{'s' * (len(unused) > 1)} {', '.join(map(repr, unused))}",
                remedy="Leave what is not used out of the example.",
            )

    def checked(self, draft: Path, cases: list[Case], traced: list[Traced]) -> list[dict[str, Any]]:
        """Compare model and module; return for each case the largest relative L2 distance (`worst`), or how the model `fails`.

        Raises
        ------
        ModelError
            When they disagree.
        Unavailable
            When there is no ONNX Runtime to run it with.
        """
        # what is chance in one output is chance in those that are chosen with it
        answers = self.compared(draft, cases, [max(self.unsteady)] * len(cases))
        for i, case in enumerate(cases):
            if "why" in answers[i]:  # before it counts, a closer look at what rounding alone does to these inputs
                chances = unsteadiness(self.module, self.call, case, MANY)
                (answers[i],) = self.compared(draft, [case], [max(chances)])
                if case is self.cases[0]:
                    self.unsteady = [max(pair) for pair in zip(self.unsteady, chances, strict=True)]
            if "why" in answers[i]:
                raise self.refusal(case, answers[i]["why"], traced)
        return answers

    def compared(self, draft: Path, cases: list[Case], chances: list[float]) -> list[dict[str, Any]]:
        answers = _compared(draft, cases, self.tolerance, chances)
        if isinstance(answers, list):
            return answers
        if answers["kind"] == "Unavailable":
            raise Unavailable(f"The export cannot be checked: {answers['failed']}", remedy=answers["remedy"])
        raise ModelError(f"the model does not run: {answers['failed']}", remedy=answers["remedy"])

    def refusal(self, case: Case, why: str, traced: list[Traced]) -> ModelError:
        example = case.name == EXAMPLE
        what = f"model and module disagree {'on the' if example else 'with'} {case.name}: {why}"
        if traced:
            where = ", ".join(map(str, traced[:3]))
            return ModelError(f"its path depends on the values of tensors at {where}: {what}", remedy=CONTROL_FLOW)
        sized = not example and "=" in case.name
        return ModelError(what, remedy=SIZES if sized else "Give another opset, or a tolerance that such a difference is within.")


def _compared(
    draft: Path, cases: list[Case], tolerance: float | None, chances: list[float]
) -> list[dict[str, Any]] | dict[str, Any]:
    """Let a process of its own run the model: the kernel does not load ONNX Runtime. Returns a dict where that is impossible."""
    with tempfile.TemporaryDirectory(prefix="workbench-check-") as name, tempfile.TemporaryFile() as log:
        folder = Path(name)
        for i, case in enumerate(cases):
            inputs = {input_: array_of(tensor, input_) for input_, tensor in case.tensors.items()}
            np.savez(folder / f"{i}.inputs.npz", **inputs)  # type: ignore[arg-type]
            np.savez(folder / f"{i}.outputs.npz", **{str(at): array for at, (_, array) in enumerate(case.outputs)})  # type: ignore[arg-type]
        asked = [{"case": i, "unsteady": chance, "tolerance": tolerance} for i, chance in enumerate(chances)]
        (folder / "cases.json").write_text(json.dumps(asked), encoding="utf-8")
        package = os.pathsep.join(filter(None, (str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-P", "-m", CHECK, str(folder), str(draft)]
        environment = {**os.environ, "PYTHONPATH": package}
        try:
            status = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, timeout=CHECK_LIMIT_S, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            return {"failed": f"it took longer than {CHECK_LIMIT_S:g} s", "remedy": "Give a smaller example.", "kind": ""}
        try:
            found: list[dict[str, Any]] | dict[str, Any] = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        except OSError:
            log.seek(0)
            last = log.read().decode(errors="replace").strip().splitlines()[-1:]
            text = f"ONNX Runtime ended its process (status {status}). {' '.join(last)}".rstrip()
            return {"failed": text, "remedy": "", "kind": ""}
    return found


def _publish(draft: Path, target: Path) -> None:
    """Move the model, and the files that belong to it, to their place."""
    extra = [file for file in draft.parent.iterdir() if file not in (draft, module_path(draft))]
    if extra:  # one file of weights under the model's name, not one for each tensor under the tensor's
        import onnx

        whole = onnx.load(str(draft))
        data = f"{target.name}.data"
        for file in extra:
            file.unlink()
        onnx.save_model(whole, str(draft), save_as_external_data=True, all_tensors_to_one_file=True, location=data)
        if (draft.parent / data).is_file():  # small weights stay in the model
            shutil.move(draft.parent / data, target.parent / data)
    kept = module_path(draft)
    if kept.is_file():
        kept.replace(module_path(target))
    else:
        module_path(target).unlink(missing_ok=True)  # that of an earlier export is not this model's module
    draft.replace(target)
