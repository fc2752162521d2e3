"""What a request of given shapes will do, said before it is run: run, fail, or build an engine first.

With an explicit profile ONNX Runtime's engines take what lies inside it, and fail for anything else. Without one they are
built at the first run for the shapes that it brings, and again whenever a later one leaves the range seen so far; the range
only grows, and is tuned for its upper end (ONNX Runtime, tensorrt_execution_provider.cc, 1.17 to 1.31).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workbench.errors import InputError, nearest
from workbench.model.model import DTYPES
from workbench.model.shape_operands import may_be_shape_tensor, shape_tensors, values_of
from workbench.options.profile import InputRange, ShapeProfile
from workbench.options.shapes import parse_shape
from workbench.placement.dataflow import ELEMENTS
from workbench.placement.prepare import prepare
from workbench.placement.tensor_ranges import tensor_ranges
from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from workbench.model.model import Model, TensorSpec
    from workbench.options.settings import Settings

Shape = tuple[int, ...]
Result = Literal["runs", "builds", "rebuilds", "fails"]
_DTYPE = {name: DTYPES[number] for number, name in ELEMENTS.items()}
# Where another profile takes the shape, TensorRT sees only later that it is not the one that runs.
ENQUEUE = "TensorRT EP execution context enqueue failed"
SET_SHAPE = "TensorRT EP failed to call nvinfer1::IExecutionContext::setInputShape() for input '{name}'"
PLEASE = "Please fix either the inputs/outputs or the model."


class KnownRange(Record):
    """Between which sizes an engine's input lies.

    Attributes
    ----------
    axes : tuple of int
        The axes that `min`, `opt` and `max` speak of.
    opt : tuple of int
        What it is tuned for; empty where that is not known.
    """

    name: str
    axes: Shape
    min: Shape
    opt: Shape = ()
    max: Shape

    @classmethod
    def of(cls, given: InputRange) -> KnownRange:
        """Return what a profile's range says."""
        axes = tuple(range(len(given.min)))
        return cls(name=given.name, axes=axes, min=given.min, opt=given.opt, max=given.max)

    def __str__(self) -> str:
        parts = [str(low) if low == high else f"{low} to {high}" for low, high in zip(self.min, self.max, strict=True)]
        return f"{self.name} [{', '.join(f'axis {at}: {part}' for at, part in zip(self.axes, parts, strict=True))}]"


class Outside(Record):
    """A size of a request, or a value of a shape tensor, that lies outside a range."""

    name: str
    axis: int
    size: int
    min: int
    max: int

    def __str__(self) -> str:
        return f"axis {self.axis} of {self.name!r} is {self.size}, outside {self.min} to {self.max}"


class Answer(Record):
    """What a request will do.

    Attributes
    ----------
    result : str
        ``runs``; ``builds`` (the first engine, inside the run) or ``rebuilds`` (a wider one); ``fails``.
    sentence : str
        The same for people, with the reason.
    profile : int or None
        The explicit profile that it lies in, from 0; ``None`` where there is none, or it lies in none.
    outside : tuple of Outside
        What leaves the range that counts.
    error : str
        The error's text, as the runtime gives it; empty where it does not fail.
    remedy : str
        What to do about a failure or a rebuild.
    range : tuple of KnownRange
        For ``builds`` and ``rebuilds``: the range afterwards, with what ONNX Runtime tunes for.
    """

    result: Result
    sentence: str
    profile: int | None = None
    outside: tuple[Outside, ...] = ()
    error: str = ""
    remedy: str = ""
    range: tuple[KnownRange, ...] = ()


def parse_requests(texts: Iterable[str]) -> dict[str, Shape]:
    """Read ``NAME=SHAPE`` texts, such as ``x=3x3x224x224``; values instead of a shape for inputs that decide shapes.

    Raises
    ------
    InputError
        For a text without ``=``, or a name that stands there twice.
    SettingsError
        For what is no shape.
    """
    found: dict[str, Shape] = {}
    for text in texts:
        name, equals, shape = text.rpartition("=")
        if not equals or not name.strip():
            raise InputError(f"request {text!r} names no input.", remedy="Write NAME=SHAPE, such as x=3x3x224x224.")
        if name.strip() in found:
            raise InputError(f"request: input {name.strip()!r} is given twice.", remedy="Ask about one request at a time.")
        found[name.strip()] = parse_shape(shape, f"request for input {name.strip()!r}")
    return found


def answer_request(
    model: Model,
    settings: Settings,
    request: Mapping[str, Shape],
    *,
    seen: Sequence[KnownRange] | None = None,
    expected: str = "",
) -> Answer:
    """Say what a request will do.

    Parameters
    ----------
    model : Model
        The model.
    settings : Settings
        Provider and shape profile.
    request : mapping of str to tuple of int
        A shape for each dynamic input, or the values of one that decides shapes; fixed inputs need not be given, nor those
        whose symbolic dimensions others give.
    seen : sequence of KnownRange or None
        Without a profile: the ranges that the engines at hand were built for; ``None`` where none is known.
    expected : str
        How long building took here, in words such as ``55 s in the one run of this model``; empty where nothing is known.

    Raises
    ------
    InputError
        For a name that the model has not, a dynamic input without a shape, and a symbolic dimension of two sizes.
    """
    refused = _refused(model, request)
    if refused is not None:
        return refused
    shapes = _complete(model, request)
    provider = settings.provider
    if provider not in ("tensorrt", "native"):
        return Answer(result="runs", sentence=f"{provider.upper()} takes any shape that fits the model.")
    dynamic = [spec.name for spec in model.inputs if spec.dynamic] + [spec.name for spec in shape_tensors(model)]
    if not dynamic:
        return Answer(result="runs", sentence="All inputs have fixed shapes: the engine is built for them.")
    if settings.profile:
        return _explicit(model, settings.profile, shapes, native=provider == "native")
    if provider == "native":
        told = "No profile is given: the engine is built for the shapes of this request, and takes these only."
        return Answer(result="builds", sentence=told, remedy="Give a shape profile.")
    return _implicit(model, shapes, dynamic, seen, expected)


# What ONNX Runtime refuses before any provider sees it


def _refused(model: Model, request: Mapping[str, Shape]) -> Answer | None:
    specs = {spec.name: spec for spec in model.inputs}
    holding = {spec.name for spec in shape_tensors(model)}
    for name, shape in request.items():
        if name not in specs:
            hint = nearest(name, list(specs)) or f"Its inputs are {', '.join(specs) or 'none'}."
            raise InputError(f"{model.name} has no input {name!r}.", remedy=hint)
        error = "" if name in holding else _misfit(specs[name], shape)
        if name in holding and len(shape) != values_of(specs[name]):
            raise InputError(f"The values of input {name!r} decide shapes: it holds {values_of(specs[name])}, not {len(shape)}.")
        if error:
            sentence = f"ONNX Runtime refuses it: input {name!r} does not fit the model ({specs[name]})."
            return Answer(result="fails", sentence=sentence, error=error, remedy="Send the shape that the model fixes.")
    return None


def _misfit(spec: TensorSpec, shape: Shape) -> str:
    """Return ONNX Runtime's error for a shape that the model does not take; empty where it does."""
    if spec.shape is None:
        return ""
    if len(spec.shape) != len(shape):
        return f"Invalid rank for input: {spec.name} Got: {len(shape)} Expected: {len(spec.shape)} {PLEASE}"
    wrong = [(at, got, dim) for at, (got, dim) in enumerate(zip(shape, spec.shape, strict=True)) if isinstance(dim, int)]
    told = [f"index: {at} Got: {got} Expected: {dim}" for at, got, dim in wrong if got != dim]
    if not told:
        return ""
    return f"Got invalid dimensions for input: {spec.name} for the following indices {' '.join(told)} {PLEASE}"


def _complete(model: Model, request: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the shapes of all inputs: those not given follow from fixed sizes and from symbolic ones given elsewhere."""
    sizes: dict[str, tuple[int, str]] = {}
    for spec in model.inputs:
        for dim, size in zip(spec.shape or (), request.get(spec.name, ()), strict=False):
            if isinstance(dim, str) and sizes.setdefault(dim, (size, spec.name))[0] != size:
                other, where = sizes[dim]
                raise InputError(
                    f"request: dimension {dim!r} is {size} in {spec.name!r} but {other} in {where!r}; it is one size."
                )
    found = dict(request)
    holding = {spec.name for spec in shape_tensors(model)}
    for spec in (spec for spec in model.inputs if spec.name not in request):
        known = [dim if isinstance(dim, int) else sizes.get(dim or "", (None, ""))[0] for dim in spec.shape or (None,)]
        shape = tuple(size for size in known if size is not None)
        if spec.name in holding or len(shape) < len(known):
            raise InputError(f"request: input {spec.name!r} has no shape.", remedy=f"Give it as {spec.name}=SHAPE ({spec}).")
        found[spec.name] = shape
    return found


# With an explicit profile


def _explicit(model: Model, profile: ShapeProfile, shapes: Mapping[str, Shape], *, native: bool) -> Answer:
    given = list(shapes)  # the model's inputs: what the user knows comes first
    shapes = _with_tensors(model, shapes, profile.names)
    outside = []
    for number in range(profile.count):
        ranges = sorted(profile.profile(number), key=lambda each: each.name not in given)
        outside.append(_outside(map(KnownRange.of, ranges), shapes))
    fitting = [number for number, wrong in enumerate(outside) if not wrong]
    several = profile.count > 1
    if fitting and (native or fitting[0] == 0):
        number = _tuned(profile, fitting, shapes) if native else 0
        which = f"profile {number + 1} of {profile.count}" if several else "the profile"
        more = " ONNX Runtime uses the first profile only." if several and not native else ""
        return Answer(result="runs", profile=number, sentence=f"It lies in {which}: it runs, nothing is built.{more}")
    if native:
        closest = min(outside, key=len)
        error = f"No shape profile of the engine takes these inputs: {closest[0]}."
        sentence = f"It lies in no profile: {closest[0]}. The request fails; nothing is rebuilt."
        return Answer(result="fails", sentence=sentence, outside=tuple(closest), error=error, remedy=_WIDEN)
    error = SET_SHAPE.format(name=outside[0][0].name)
    if fitting:
        return Answer(
            result="fails",
            profile=fitting[0],
            sentence=f"It lies in profile {fitting[0] + 1} of {profile.count}, but ONNX Runtime runs on the first only: "
            f"{outside[0][0]}. The request fails; nothing is rebuilt.",
            outside=tuple(outside[0]),
            error=ENQUEUE,
            remedy="Make a session of its own for each profile, give one that holds both, or use the provider 'native'.",
        )
    sentence = f"It lies outside the profile: {outside[0][0]}. The request fails; nothing is rebuilt."
    return Answer(result="fails", sentence=sentence, outside=tuple(outside[0]), error=error, remedy=_WIDEN)


def _tuned(profile: ShapeProfile, fitting: list[int], shapes: Mapping[str, Shape]) -> int:
    """Return the profile that is tuned for just these shapes, else the first that takes them: so the workbench chooses."""
    tuned = (k for k in fitting if all(given.opt == shapes.get(given.name, given.opt) for given in profile.profile(k)))
    return next(tuned, fitting[0])


_WIDEN = "Widen the profile, which builds new engines, or send shapes that lie in it."


def _outside(ranges: Iterable[KnownRange], shapes: Mapping[str, Shape]) -> list[Outside]:
    return [
        Outside(name=given.name, axis=axis, size=shapes[given.name][axis], min=low, max=high)
        for given in ranges
        for axis, low, high in zip(given.axes, given.min, given.max, strict=True)
        if axis < len(shapes.get(given.name, ())) and not low <= shapes[given.name][axis] <= high
    ]


def _with_tensors(model: Model, shapes: Mapping[str, Shape], names: Iterable[str]) -> dict[str, Shape]:
    """Return the shapes with those of tensors inside the model, as far as they follow from the inputs' shapes."""
    inside = [name for name in names if name not in shapes]
    if not inside:
        return dict(shapes)
    holding = {spec.name for spec in shape_tensors(model)}
    needed = {spec.name for spec in model.inputs if spec.dynamic} | holding
    ranges = [InputRange(name=n, min=s, opt=s, max=s) for n, s in shapes.items() if n in needed and s]
    graph = prepare(model).graph
    values = [graph.value(name) for name in inside]
    wanted = {
        name: may_be_shape_tensor(_DTYPE.get(value.element, ""), value.shape) for name, value in zip(inside, values, strict=True)
    }
    found = tensor_ranges(model, ranges, wanted)
    return {**shapes, **{each.name: each.given.opt for each in found if each.given is not None}}


# Without a profile


def _implicit(
    model: Model, shapes: Mapping[str, Shape], dynamic: Sequence[str], seen: Sequence[KnownRange] | None, expected: str
) -> Answer:
    takes = f". Building took {expected}" if expected else ". How long building takes here is not known yet"
    if not seen:
        after = tuple(KnownRange(name=n, axes=tuple(range(len(s))), min=s, opt=s, max=s) for n in dynamic if (s := shapes[n]))
        sentence = f"No profile is given and no engine is known: the first run builds inside Run(){takes}. {_range_text(after)}"
        return Answer(result="builds", sentence=sentence, range=after, remedy=_WARM_UP)
    shapes = _with_tensors(model, shapes, [given.name for given in seen])
    outside = _outside(seen, shapes)
    if not outside:
        return Answer(result="runs", sentence="It lies inside the range seen so far: it runs, nothing is built.")
    after = tuple(_grown(given, shapes.get(given.name, ())) for given in seen)
    sentence = f"It leaves the range seen so far: {outside[0]}. TensorRT builds anew inside Run(){takes}. {_range_text(after)}"
    return Answer(result="rebuilds", sentence=sentence, outside=tuple(outside), range=after, remedy=_WARM_UP)


_WARM_UP = "Warm up with the smallest and the largest shapes, or give a shape profile."


def _grown(given: KnownRange, shape: Shape) -> KnownRange:
    """Return a range as ONNX Runtime widens it: the optimum follows an upper end that moves."""
    if not all(axis < len(shape) for axis in given.axes):
        return given
    sizes = tuple(shape[axis] for axis in given.axes)
    low, high = tuple(map(min, given.min, sizes)), tuple(map(max, given.max, sizes))
    tuned = given.opt or given.max
    opt = tuple(new if new > old else kept for new, old, kept in zip(high, given.max, tuned, strict=True))
    return KnownRange(name=given.name, axes=given.axes, min=low, opt=opt, max=high)


def _range_text(ranges: Iterable[KnownRange]) -> str:
    return f"The range is then {'; '.join(map(str, ranges))}."
