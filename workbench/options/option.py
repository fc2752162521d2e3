"""One option: its values, the releases that know it, and what a change of it does."""

from __future__ import annotations

from typing import Literal

from workbench.options.mapping import OptionValue
from workbench.record import Record

OptionProvider = Literal["tensorrt", "cuda", "torch", "session"]
OptionType = Literal["bool", "int", "str", "enum", "path", "shapes"]
OptionEffect = Literal["rebuild", "reuse", "runtime", "ignored", "not-python"]
EngineCache = Literal["name", "profile", "stale"]

LARGEST_INT = 2**31 - 1
LARGEST_SIZE = 2**63 - 1


class OptionSpec(Record):
    """One option of a provider or of the session, as some releases of ONNX Runtime know it.

    An option whose default or values changed has one spec for each stretch of releases.

    Attributes
    ----------
    key : str
        As ONNX Runtime spells it.
    provider : str
        ``tensorrt``, ``cuda``, ``torch``, or ``session`` for session options.
    type : str
        ``bool``, ``int``, ``str``, ``enum`` (one of `choices`), ``path`` (of a file or folder), or ``shapes``.
    default : bool, int, str or None
        What ONNX Runtime takes when the option is not given; ``None`` when that is no value, such as no limit.
    choices : tuple of str or int
        The only values allowed; empty when there is no such list.
    minimum, maximum : int or None
        Range of an ``int``, both ends allowed.
    unit : str
        ``bytes`` for sizes, which may be written such as ``4GiB``; ``ms`` or ``µs`` for durations.
    pattern, form : str
        A regular expression for a ``str``, and the same in words.
    since, until : str or None
        First and last release that know it so; ``None`` when that is before or after all supported releases.
    effect : str
        What a change of it does when nothing else keeps it from having an effect: ``rebuild`` (TensorRT builds new engines),
        ``reuse`` (a new session, but engines stay valid), ``runtime`` (how the session runs; engines stay valid), ``ignored``
        (nothing), ``not-python`` (Python cannot set it).
    ort_cache : str or None
        How ONNX Runtime's own engine cache learns of a change: by the file's ``name``, by the ``profile`` file, or not at all
        (``stale``: the old engine is loaded without a word). ``None`` where the engine does not depend on it.
    group : str
        Heading to list it under.
    help : str
        One line in plain words.
    python : bool
        Whether it can be given from Python.
    instead : str
        What to do where it cannot.
    """

    key: str
    provider: OptionProvider
    type: OptionType
    default: OptionValue | None
    choices: tuple[str | int, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    unit: str = ""
    pattern: str = ""
    form: str = ""
    since: str | None = None
    until: str | None = None
    effect: OptionEffect
    ort_cache: EngineCache | None = None
    group: str
    help: str
    python: bool = True
    instead: str = ""

    @property
    def allowed(self) -> str:
        """The values it takes, in words."""
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        if self.type == "bool":
            return "true or false"
        if self.type == "int":
            return self._range()
        return self.form or {"path": "a path", "shapes": "NAME:SHAPE,NAME:SHAPE"}.get(self.type, "text")

    def _range(self) -> str:
        number = "a whole number of bytes" if self.unit == "bytes" else "a whole number"
        such = ", such as 1073741824 or 1GiB" if self.unit == "bytes" else ""
        if self.maximum is not None and self.maximum < LARGEST_INT:
            return f"{number} from {self.minimum} to {self.maximum}{such}"
        return f"{number}, {self.minimum} or more{such}" if self.minimum is not None else f"{number}{such}"
