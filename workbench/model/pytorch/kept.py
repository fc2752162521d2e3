"""The PyTorch module kept beside an exported model: found, and read. Reading the module runs code of its file."""

from __future__ import annotations

import io
import json
import pickle
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import ModelError
from workbench.model.pytorch.call import Call
from workbench.model.pytorch.export import FOREIGN
from workbench.model.pytorch.origin import ENDING, FORMAT, torch_origin

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.model.model import Model

REMEDY = "Make both with Model.from_torch(module, example, path=...)."


@dataclass(frozen=True)
class KeptModule:
    """A module from a file.

    Attributes
    ----------
    module : torch.nn.Module
        On the CPU, in evaluation mode.
    call : Call
        How it is called.
    torch : str
        The version of PyTorch that wrote it.
    """

    module: Any
    call: Call
    torch: str


def kept_module_path(model: Model) -> Path:
    """Return the file of the module that a model was exported from; no code of it is run.

    A file made from an exported one, such as ``NAME.ready.onnx``, has the module of ``NAME.onnx``.

    Raises
    ------
    ModelError
        When there is none; the message says why where that is known.
    """
    origin = torch_origin(model)
    named = [origin.module] if origin is not None and origin.module else []
    parts = model.path.name.removesuffix(".onnx").split(".")
    names = [*named, *(".".join(parts[:count]) + ENDING for count in range(len(parts), 0, -1))]
    for name in dict.fromkeys(names):
        path = model.path.with_name(name)
        if path.is_file():
            return path
    if origin is not None and origin.missing:
        raise ModelError(f"{model.path.name}: its PyTorch module was not kept: {origin.missing}.", remedy=REMEDY)
    raise ModelError(f"{model.path.name}: there is no PyTorch module beside it ({names[0]}).", remedy=REMEDY)


def read_module(torch: Any, path: Path, model: Model) -> KeptModule:  # noqa: ANN401
    """Load a module that :meth:`workbench.model.model.Model.from_torch` kept.

    Parameters
    ----------
    torch : module
        PyTorch.
    path : Path
        From :func:`kept_module_path`. A pickle: loading it runs code.
    model : Model
        The model, whose inputs and outputs the module's must be.

    Raises
    ------
    ModelError
        When the file is no such file, belongs to another model, or its classes cannot be found here.
    """
    try:
        header = torch.load(path, map_location="cpu", weights_only=True)
        if header["format"] != FORMAT:
            raise ModelError(f"{path}: written by another release of the workbench (format {header['format']}).", remedy=REMEDY)
        given = json.loads(header["call"])
        call = Call(given["args"], given["kwargs"], tuple(given["inputs"]), tuple(given["outputs"]))
    except (*FOREIGN, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"{path}: not a module kept by the workbench, or damaged: {_first_line(error)}", remedy=REMEDY
        ) from error
    _check(call, path, model)
    sys.path += [folder for folder in header["folders"] if folder not in sys.path]
    try:
        module = torch.load(io.BytesIO(header["module"].numpy().tobytes()), map_location="cpu", weights_only=False)
    except (*FOREIGN, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"{path}: the {header['name']} that PyTorch {header['torch']} kept cannot be loaded: {_first_line(error)}",
            remedy="Install what its classes need, at the versions it was made with; or export it again.",
        ) from error
    return KeptModule(module.eval(), call, str(header["torch"]))


def _check(call: Call, path: Path, model: Model) -> None:
    for what, kept, wanted in (("inputs", call.inputs, model.inputs), ("outputs", call.outputs, model.outputs)):
        names = tuple(spec.name for spec in wanted)
        if set(kept) != set(names):
            raise ModelError(
                f"{path}: it has the {what} {', '.join(kept)}; {model.path.name} has {', '.join(names)}.",
                remedy="The two do not belong together: export the module again.",
            )


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:300]}" if text else type(error).__name__
