"""Write a model in lower precision beside the old one, and compare what the two compute."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from workbench.errors import ModelError, SettingsError
from workbench.model.graph import nodes_of
from workbench.model.precision.half import to_half
from workbench.model.precision.qdq import insert_qdq
from workbench.model.precision.qdq_check import check_qdq
from workbench.options.precision_advice import PrecisionAdvice, advise
from workbench.options.profile import ShapeProfile
from workbench.options.releases import NEWEST, installed_release
from workbench.record import Finding, Record
from workbench.runtime.job import Event
from workbench.runtime.ready.steps_apart import Answer, Compared, Errand, perform
from workbench.study.new_file import new_file
from workbench.study.ready_files import publish

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import onnx

    from workbench.model.model import Model
    from workbench.model.precision.half_values import Half

Target = Literal["fp16", "bf16", "int8"]
LIMIT_S = 120.0
EXTERNAL_FROM = 1 << 30  # bytes from which weights go into a file of their own; protobuf ends at 2 GiB
NO_BFLOAT16 = (
    "ONNX Runtime's CPU provider computes nothing in bfloat16: its numbers were emulated. On a machine with a GPU, "
    "`workbench run NEW --provider cuda --reference OLD` compares the file itself."
)


class Converted(Record):
    """A model in lower precision.

    Attributes
    ----------
    model, target : str
        The old model's name, and the new file.
    to : str
        ``fp16``, ``bf16`` or ``int8``.
    keep : tuple of str
        The nodes that were asked to stay in float32.
    changes : tuple of str
        What changed, in words.
    findings : tuple of Finding
        What is worth a look.
    compared : tuple of Compared
        The new file's outputs against the old one's, on the CPU provider.
    emulated : tuple of Compared
        For fp16 and bf16 the same with every rounding in place. A CPU runs float16 nodes in float32 and drops the
        roundings between them, so that only these show an overflow; sums inside a node are float32's here too.
    not_compared : str
        Why one of the two is missing.
    advice : PrecisionAdvice
        How to run it with the installed release.
    seconds : float
        What all took.
    """

    model: str
    target: str
    to: Target
    keep: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    compared: tuple[Compared, ...] = ()
    emulated: tuple[Compared, ...] = ()
    not_compared: str = ""
    advice: PrecisionAdvice
    seconds: float


def convert(  # noqa: PLR0913
    model: Model,
    to: Target,
    *,
    keep: Collection[str] = (),
    exclude_ops: Collection[str] = (),
    ranges: Mapping[str, float] | None = None,
    clip: bool = False,
    out: str | Path | None = None,
    inputs: str | Path | None = None,
    profile: ShapeProfile | None = None,
    limit_s: float = LIMIT_S,
    cancelled: threading.Event | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Converted:
    """Write a model in lower precision.

    Parameters
    ----------
    model, to
        A model in float32, and ``fp16`` or ``bf16`` by casts, or ``int8`` by Q/DQ.
    keep, exclude_ops, ranges
        Nodes that stay as they are; for int8 operators that do, and the largest magnitude of each tensor.
    clip : bool
        For fp16: bring weights beyond its range to its end.
    out : path, optional
        The new file; ``NAME.TO.onnx`` beside the old by default. Nothing is overwritten.
    inputs, profile
        What to compare on: an ``.npz`` file with one array for each input, or random ones of the optimum shapes.
    limit_s, cancelled, on_event
        Seconds that each comparison may take, what ends it once set, and what is called with each stage.

    Raises
    ------
    SettingsError, ModelError
        When a node is not there, the profile is not the model's, int8 has no ranges, the file exists, or the model cannot be
        read or converted.
    """
    say, profile = _Teller(on_event), profile or ShapeProfile()
    profile.check(model)
    target = target_of(model, to, out)
    whole = _whole(model)
    say("converting")
    new, changes, findings = _converted(whole, to, keep, exclude_ops, ranges, clip=clip)
    findings += [RANDOM] if to == "int8" and inputs is None else []
    compare = _Comparison(model, inputs, profile, limit_s, cancelled or threading.Event(), say)
    with tempfile.TemporaryDirectory(prefix=".workbench-convert-", dir=target.parent) as folder:
        _save(new, Path(folder), target)
        first = compare(target, "comparing") if to != "bf16" else Answer(status="failed", why=NO_BFLOAT16)
        second = Answer(status="done")
        if to != "int8":
            second = compare(_emulated(whole, to, keep, Path(folder), clip=clip), f"comparing the numbers of {to}")
    advice = advise(to, onnxruntime=installed_release() or NEWEST, keep=bool(keep))
    findings += _broken(second if second.compared else first, to)
    said = {"model": model.name, "target": str(target), "to": to, "keep": keep, "changes": changes, "findings": findings}
    found = {"compared": first.compared, "emulated": second.compared, "not_compared": _missing(first, second)}
    return Converted.model_validate({**said, **found, "advice": advice, "seconds": time.monotonic() - say.began})


def _broken(answer: Answer, to: Target) -> list[Finding]:
    """Say which outputs hold NaN or infinite values that the old model's do not."""
    found: dict[str, int] = {}
    for row in (row for compared in answer.compared for row in compared.outputs if row.not_finite_differing):
        found[row.output] = max(row.not_finite_differing, found.get(row.output, 0))
    action = f"`workbench sensitivity --to {to}` finds the nodes to keep in float32."
    return [
        Finding(
            level="warning",
            where=output,
            seen=f"{count:,} elements are NaN or infinite in {to}, and are not in float32",
            action=action,
        )
        for output, count in found.items()
    ]


def _missing(*answers: Answer) -> str:
    return " ".join(dict.fromkeys(each.why for each in answers if each.status != "done"))


def _emulated(whole: onnx.ModelProto, to: Half, keep: Collection[str], folder: Path, *, clip: bool) -> Path:
    """Write the model with each rounding as casts."""
    path = folder / "emulated.onnx"
    _write(to_half(whole, to=to, keep=keep, clip=clip, emulate=True)[0], path)
    return path


def _whole(model: Model) -> onnx.ModelProto:
    """Return a model with its weights."""
    import onnx

    try:
        return onnx.load(str(model.path))
    except OSError as error:
        raise ModelError(f"{model.path}: cannot be read again: {error.strerror or error}.") from error


def _converted(  # noqa: PLR0913
    whole: onnx.ModelProto,
    to: Target,
    keep: Collection[str],
    exclude_ops: Collection[str],
    ranges: Mapping[str, float] | None,
    *,
    clip: bool,
) -> tuple[onnx.ModelProto, list[str], list[Finding]]:
    if to != "int8":
        new, halved = to_half(whole, to=to, keep=keep, clip=clip)
        operators = {node.name: node.op_type for node in nodes_of(whole.graph)}
        if all(operators.get(name) == "Cast" for name in halved.converted):
            why = " ".join(halved.reasons()) or "only casts compute in float32 here."
            remedy = "" if halved.kept and not keep else "Convert the model in float32, and keep fewer nodes."
            remedy = "Export the model at a later opset." if halved.later_opset_helps() else remedy
            raise ModelError(f"There is nothing to convert: {why}", remedy=remedy)
        return new, halved.changes(), halved.findings()
    if not ranges:
        raise SettingsError("INT8 needs the ranges of the activations.", remedy="Give --table, from `workbench calibrate`.")
    new, quantised = insert_qdq(whole, ranges, exclude_nodes=keep, exclude_ops=exclude_ops)
    if not quantised.quantised:
        already = any(node.op_type == "DequantizeLinear" for node in nodes_of(whole.graph))
        why = "It holds Q/DQ nodes already" if already else " ".join(quantised.changes()[1:]).rstrip(".") or "No range fits"
        message = f"No node of the model can be made to read int8. {why}."
        raise ModelError(message, remedy="Give the model in float32, with ranges of its own, and exclude less.")
    return new, quantised.changes(), quantised.findings() + check_qdq(new)


RANDOM = Finding(
    level="info",
    where="comparison",
    seen="the int8 model was compared on random inputs",
    meaning="They may lie far outside the ranges of the data that it was calibrated on, and are clipped then.",
    action="Give inputs of the kind it was calibrated on.",
)


def target_of(model: Model, to: Target, out: str | Path | None) -> Path:
    """Return the file to write, which does not exist.

    Raises
    ------
    SettingsError
        When the named file exists, or its folder does not.
    """
    if to not in get_args(Target):
        raise SettingsError(f"{to!r} is no precision to convert to.", remedy=f"They are {', '.join(get_args(Target))}.")
    return new_file(model, to, out)


def _save(proto: onnx.ModelProto, folder: Path, target: Path) -> None:
    """Write a model and, where it is large, its weights beside it, each at once or not at all."""
    draft = folder / target.name
    _write(proto, draft)
    try:
        for part in sorted(folder.iterdir(), reverse=True):  # the weights first: a model without them is none
            publish(part, target.with_name(part.name))
    except OSError as error:
        raise ModelError(f"{target}: cannot be written: {error.strerror or error}.", remedy="Name another file.") from error


def _write(proto: onnx.ModelProto, path: Path) -> None:
    import onnx

    large = proto.ByteSize() >= EXTERNAL_FROM
    try:
        if large:
            onnx.save(proto, str(path), save_as_external_data=True, location=f"{path.name}.data")
        else:
            path.write_bytes(proto.SerializeToString())
    except OSError as error:
        raise ModelError(f"{path}: cannot be written: {error.strerror or error}.", remedy="Make room there.") from error


class _Teller:
    """Says what is being done."""

    def __init__(self, on_event: Callable[[Event], None] | None) -> None:
        self.began, self.on_event = time.monotonic(), on_event
        self.stage = "loading"

    def __call__(self, stage: str = "") -> None:
        self.stage = stage or self.stage
        if self.on_event is not None:
            self.on_event(Event(stage=self.stage, elapsed_s=time.monotonic() - self.began))


class _Comparison:
    """Compares models with the old one."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        model: Model,
        inputs: str | Path | None,
        profile: ShapeProfile,
        limit_s: float,
        cancelled: threading.Event,
        say: _Teller,
    ) -> None:
        self.model, self.profile, self.limit_s, self.cancelled, self.say = model, profile, limit_s, cancelled, say
        self.inputs = str(Path(inputs).expanduser().absolute()) if inputs else None

    def __call__(self, path: Path, stage: str) -> Answer:
        self.say(stage)
        source = str(self.model.path)
        errand = Errand(task="compare", source=source, target=str(path), profile=self.profile, inputs=self.inputs)
        return perform(errand, self.limit_s, self.cancelled, self.say)
