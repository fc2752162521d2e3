"""Where an exported model comes from: what its file says of the PyTorch module, and the module kept beside it."""

from __future__ import annotations

import importlib
import io
import json
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import ModelError
from workbench.model.pytorch.call import Call
from workbench.model.pytorch.export import FOREIGN
from workbench.record import Finding, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

    from workbench.model.model import Model

KEY = "workbench.torch"  # among the model's metadata
ENDING = ".torch.pt"
FORMAT = 1
PROTOCOL = 4  # of pickle: the first that holds more than 4 GiB


class TorchOrigin(Record):
    """What an ONNX file says of the PyTorch module that it was exported from.

    Attributes
    ----------
    torch : str
        The version of PyTorch.
    exporter : str
        ``TorchScript`` or ``torch.export``.
    opset : int
        The opset asked for; the model's own may be higher.
    name : str
        The module's class.
    checked : tuple of str
        What model and module were compared on.
    worst_rel_l2 : float
        The largest relative L2 distance between their outputs.
    traced : tuple of str
        Lines of the module where values of the example were taken for constants; other values gave the same results.
    unsteady : tuple of str
        Outputs that already a change of the input by rounding changes much: they were not compared closely.
    fails : tuple of str
        Other values that the module takes and the model fails on, with the error.
    refused : str
        Why the exporter that comes first was not used; empty where it was.
    module : str or None
        The file beside the model that holds the module.
    missing : str
        Why there is none.
    """

    torch: str
    exporter: str
    opset: int
    name: str
    checked: tuple[str, ...]
    worst_rel_l2: float
    traced: tuple[str, ...] = ()
    unsteady: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()
    refused: str = ""
    module: str | None = None
    missing: str = ""

    def __str__(self) -> str:
        found = f"largest relative L2 distance {self.worst_rel_l2:.2g}"
        found = f"rounding alone changes {', '.join(self.unsteady)}" if self.unsteady else found
        compared = f"checked on {', '.join(self.checked)}; {found}"
        return f"{self.name}, exported by PyTorch {self.torch} ({self.exporter} exporter, opset {self.opset}); {compared}"


def module_path(model: Path) -> Path:
    """Return the file that holds the module of an ONNX file."""
    return model.with_name(model.name.removesuffix(".onnx") + ENDING)


def torch_origin(model: Model) -> TorchOrigin | None:
    """Return what a model's file says of the PyTorch module it was exported from; ``None`` where it was not."""
    return _origin(model.proto)


def stamped(path: Path) -> TorchOrigin | None:
    """Return the same of a file that may be anything."""
    from workbench.model.model import Model

    try:
        return torch_origin(Model.load(path))
    except ModelError:
        return None


def _origin(proto: onnx.ModelProto) -> TorchOrigin | None:
    text = next((entry.value for entry in proto.metadata_props if entry.key == KEY), None)
    if text is None:
        return None
    try:
        return TorchOrigin.model_validate_json(text)
    except ValueError:  # written by a later release, or by hand
        return None


def stamp(path: Path, origin: TorchOrigin) -> None:
    """Write into the model's metadata what it was exported from."""
    import onnx

    proto = onnx.load(str(path), load_external_data=False)
    entries = {
        KEY: origin.model_dump_json(),
        "torch_version": origin.torch,
        "torch_exporter": origin.exporter,
        "torch_opset": str(origin.opset),
    }
    for key, value in entries.items():
        proto.metadata_props.add(key=key, value=value)
    onnx.save(proto, str(path))


def keep_module(torch: Any, module: Any, call: Call, path: Path) -> str:  # noqa: ANN401
    """Write the module to a file; return why that is not possible, or an empty text.

    The header can be read without running the module's code; the module inside is a pickle, which cannot.
    """
    inside = io.BytesIO()
    try:
        torch.save(module, inside, pickle_module=_pickle_module(), pickle_protocol=PROTOCOL)
        data = torch.frombuffer(bytearray(inside.getbuffer()), dtype=torch.uint8)
        header = {
            "format": FORMAT,
            "torch": str(torch.__version__),
            "name": type(module).__name__,
            "call": json.dumps({"args": call.args, "kwargs": call.kwargs, "inputs": call.inputs, "outputs": call.outputs}),
            "folders": _folders(),
        }
        torch.save({**header, "module": data}, path)
    except (*FOREIGN, pickle.PicklingError) as error:
        path.unlink(missing_ok=True)
        text = str(error).strip().splitlines()
        return f"{type(module).__name__} cannot be pickled: {text[0][:200] if text else type(error).__name__}"
    return ""


def _pickle_module() -> Any:  # noqa: ANN401
    """Return cloudpickle, which also takes classes that were written in a notebook; pickle where it is missing."""
    try:
        return importlib.import_module("cloudpickle")
    except ImportError:
        return pickle


def _folders() -> list[str]:
    """Return the folders that this process finds modules in beside those of the interpreter."""
    own = (sys.prefix, sys.base_prefix, sys.exec_prefix)
    folders = [str(Path(entry or ".").absolute()) for entry in sys.path]
    return [folder for folder in dict.fromkeys(folders) if not folder.startswith(own) and Path(folder).is_dir()]


def findings_of_origin(model: Model) -> list[Finding]:
    """Return what is worth knowing of a model that was exported from PyTorch."""
    origin = torch_origin(model)
    return list(_findings(origin)) if origin is not None else []


def _findings(origin: TorchOrigin) -> Iterator[Finding]:
    yield _finding(str(origin), origin.refused, level="info")
    if origin.traced:
        way = "The model always takes the example's way there"
        yield _finding(
            f"the module decides by values at {', '.join(origin.traced[:5])}",
            f"{way}." if origin.fails else f"{way}; on other values that were tried it made no difference.",
        )
    if origin.unsteady:
        yield _finding(
            f"rounding alone changes {', '.join(origin.unsteady)} much",
            "The module sorts or compares numbers that are nearly equal, as detectors with random weights do: these outputs "
            "cannot be compared closely, here or between providers.",
        )
    if origin.fails:
        yield _finding(
            f"the model fails where the module does not: {'; '.join(origin.fails)}",
            "Exported detectors often fail where nothing is detected. Such a request ends with an error, not with wrong numbers.",
            "Check that such inputs cannot come, or catch the error.",
        )
    if origin.module is None:
        meaning = "The model cannot be measured with --provider torch."
        yield _finding(f"the module was not kept: {origin.missing}", meaning, level="info")


def _finding(seen: str, meaning: str, action: str = "", *, level: Literal["warning", "info"] = "warning") -> Finding:
    return Finding(level=level, where="PyTorch", seen=seen, meaning=meaning, action=action)
