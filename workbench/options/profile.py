"""Shape profiles: between which shapes TensorRT's engines must work, and for which they are tuned."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pydantic import field_validator, model_validator

from workbench.errors import SettingsError
from workbench.options.shapes import FORM, format_shape, parse_argument, parse_shape, parse_shapes
from workbench.record import Finding, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workbench.model.model import Model

Shape = tuple[int, ...]


class InputRange(Record):
    """The shapes of one input.

    Attributes
    ----------
    name : str
        The input.
    min, opt, max : tuple of int
        The smallest shape, the one that TensorRT tunes for, and the largest; also read from text such as ``1x3x224x224``.
        For an input whose values decide shapes (a shape tensor) the values, as ONNX Runtime's own options have it; so 0 is
        allowed here, and refused for dimensions where the model is known.
    """

    name: str
    min: Shape
    opt: Shape
    max: Shape

    @field_validator("min", "opt", "max", mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        return parse_shape(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> InputRange:
        check_range(self)
        return self

    @property
    def fixed(self) -> bool:
        """Whether it allows one shape only."""
        return self.min == self.max

    def __str__(self) -> str:
        return f"{self.name}={format_shape(self.min)}:{format_shape(self.opt)}:{format_shape(self.max)}"


def check_range(given: InputRange) -> None:
    """Raise SettingsError unless the shapes have one rank, no negative number, and min ≤ opt ≤ max on every axis."""
    what = f"profile of input {given.name!r}"
    if not len(given.min) == len(given.opt) == len(given.max):
        ranks = f"min has {len(given.min)}, opt {len(given.opt)}, max {len(given.max)}"
        raise SettingsError(f"{what}: the three shapes differ in rank: {ranks} dimensions.")
    if not given.min:
        raise SettingsError(
            f"{what}: the shapes have no dimensions.",
            remedy="A scalar needs no profile, unless its value decides shapes: then give the value.",
        )
    for axis, (low, opt, high) in enumerate(zip(given.min, given.opt, given.max, strict=True)):
        if min(low, opt, high) < 0:
            raise SettingsError(f"{what}: axis {axis} has min {low}, opt {opt}, max {high}; none may be negative.")
        if not low <= opt <= high:
            raise SettingsError(f"{what}: axis {axis} has min {low}, opt {opt}, max {high}; min ≤ opt ≤ max must hold.")


class ShapeProfile(Record):
    """Ranges of the inputs' shapes.

    Attributes
    ----------
    ranges : tuple of InputRange
        In the order of the names. A name that stands there twice has two profiles, in that order: TensorRT then tunes for both.
        Beside the model's inputs it may name tensors inside it, which are inputs of an engine where the graph is split.
    """

    ranges: tuple[InputRange, ...] = ()

    @field_validator("ranges", mode="after")
    @classmethod
    def _ordered(cls, ranges: tuple[InputRange, ...]) -> tuple[InputRange, ...]:
        # Only the order of one input's own profiles means something: equal profiles must be equal records.
        return tuple(sorted(ranges, key=lambda given: given.name))

    @classmethod
    def from_arguments(cls, arguments: Iterable[str]) -> ShapeProfile:
        """Read ``NAME=MIN:OPT:MAX`` texts, such as ``x=1x3x224x224:8x3x224x224:32x3x224x224``.

        ``NAME=SHAPE`` allows that shape only. Names may hold colons and equals signs.

        Raises
        ------
        SettingsError
            Saying which part cannot be read.
        """
        found = []
        for text in arguments:
            name, low, opt, high = parse_argument(text)
            found.append(InputRange(name=name, min=low, opt=opt, max=high))
        return cls(ranges=tuple(found))

    @classmethod
    def from_options(cls, min: str, opt: str, max: str) -> ShapeProfile:  # noqa: A002  # the options are called so
        """Read the texts of ``trt_profile_min_shapes``, ``_opt_shapes`` and ``_max_shapes``.

        Names with colons are read too, though ONNX Runtime does not: a name ends at the last colon before a shape.

        Raises
        ------
        SettingsError
            When a text cannot be read, or the three do not name the same inputs equally often.
        """
        texts = {"min": min, "opt": opt, "max": max}
        pairs = {which: parse_shapes(text, f"trt_profile_{which}_shapes") for which, text in texts.items()}
        counts = {which: Counter(name for name, _ in found) for which, found in pairs.items()}
        for which in ("opt", "max"):
            if counts[which] != counts["min"]:
                odd = sorted((counts["min"] - counts[which]) + (counts[which] - counts["min"]))
                raise SettingsError(
                    f"trt_profile_min_shapes and trt_profile_{which}_shapes do not name the same inputs: {', '.join(odd)}.",
                    remedy="Every input needs a min, an opt and a max shape.",
                )
        ordered = {which: sorted(found, key=lambda pair: pair[0]) for which, found in pairs.items()}
        together = zip(ordered["min"], ordered["opt"], ordered["max"], strict=True)
        return cls(ranges=tuple(InputRange(name=n, min=low, opt=mid, max=high) for (n, low), (_, mid), (_, high) in together))

    @classmethod
    def of_dimensions(cls, model: Model, sizes: Mapping[str, int | tuple[int, int, int]]) -> ShapeProfile:
        """Propose a profile for every dynamic input from the sizes of the symbolic dimensions.

        Parameters
        ----------
        model : Model
            Its inputs must have a known rank.
        sizes : mapping of str to int or (min, opt, max)
            By symbolic name, such as ``{"batch": (1, 8, 32)}``; ``x[0]`` for axis 0 of input ``x``, which goes first; ``?`` for
            all dimensions without a name.

        Raises
        ------
        SettingsError
            When a dimension has no size, or a size belongs to no dimension.
        """
        from workbench.options.fit import ranges_of_dimensions

        return cls(ranges=tuple(ranges_of_dimensions(model, sizes)))

    def __bool__(self) -> bool:
        return bool(self.ranges)

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs it speaks of, each once."""
        return tuple(dict.fromkeys(given.name for given in self.ranges))

    @property
    def count(self) -> int:
        """How many profiles there are: the most that one input has."""
        return max((len(self.of(name)) for name in self.names), default=0)

    def profile(self, number: int) -> tuple[InputRange, ...]:
        """Return the ranges of profile `number`, from 0; an input with fewer profiles has its last."""
        return tuple(self.of(name)[min(number, len(self.of(name)) - 1)] for name in self.names)

    def of(self, name: str) -> tuple[InputRange, ...]:
        """Return the profiles of one input; empty where it has none."""
        return tuple(given for given in self.ranges if given.name == name)

    def to_options(self) -> dict[str, str]:
        """Return the three ``trt_profile_*_shapes`` texts; empty where there is no profile."""
        if not self.ranges:
            return {}
        return {
            f"trt_profile_{which}_shapes": ",".join(f"{r.name}:{format_shape(getattr(r, which))}" for r in self.ranges)
            for which in ("min", "opt", "max")
        }

    def to_arguments(self) -> list[str]:
        """Return the ``NAME=MIN:OPT:MAX`` texts that :meth:`from_arguments` reads."""
        return [str(given) for given in self.ranges]

    def inexpressible(self) -> tuple[str, ...]:
        """Return the names that ONNX Runtime's parser of the profile options would take wrongly.

        It splits at the first colon of what lies between commas (ONNX Runtime, tensorrt_execution_provider_utils.h).
        """
        return tuple(name for name in self.names if ":" in name or "," in name)

    def check(self, model: Model) -> list[Finding]:
        """Compare the profile with a model's inputs.

        Returns
        -------
        list of Finding
            What works but may not be meant.

        Raises
        ------
        SettingsError
            When an input does not exist, has another rank or a fixed dimension of another size, when a dynamic input is
            missing, or inputs have different numbers of profiles.
        """
        from workbench.options.fit import findings_of_fit

        return findings_of_fit(self, model)

    def __str__(self) -> str:
        return " ".join(self.to_arguments()) or "no profile"


def read_profile(value: object) -> object:
    """Turn ``NAME=MIN:OPT:MAX`` texts into a profile; what may be a profile's fields is left to pydantic.

    Raises
    ------
    SettingsError
        For texts that cannot be read, and values that are nothing of the kind.
    """
    if value is None:
        return ShapeProfile()
    if isinstance(value, ShapeProfile | dict):
        return value
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts):
        return ShapeProfile.from_arguments(texts)
    raise SettingsError(f"profile: {value!r} is no shape profile.", remedy=f"Give a list of {FORM}.")
