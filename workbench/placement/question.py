"""What decides a predicted placement beside the model: the things that a user may want to change and see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, field_validator

from workbench.record import Record

if TYPE_CHECKING:
    from workbench.options.settings import Settings

ITERATIONS = 1000  # ONNX Runtime's default of trt_max_partition_iterations
NEWEST = "10.16"  # the newest TensorRT that a released ONNX Runtime loads


class Question(Record):
    """What if these decided the placement? It stands for the options of the same meaning, whatever the settings say.

    Attributes
    ----------
    exclude : tuple of str
        Operator types to keep from TensorRT (``trt_op_types_to_exclude``).
    min_subgraph : int
        TensorRT gets no run of fewer nodes (``trt_min_subgraph_size``).
    iterations : int
        How often the parser may be asked about the parts of a part (``trt_max_partition_iterations``).
    tensorrt : str
        Whose parser is followed: one of ``workbench.placement.support.RELEASES``.
    static : tuple of (str, int)
        Sizes of symbolic dimensions by their name; those without a name are ``INPUT:AXIS``, such as ``x:0``.
    """

    exclude: tuple[str, ...] = ()
    min_subgraph: int = Field(default=1, ge=1)
    iterations: int = Field(default=ITERATIONS, ge=1)
    tensorrt: str = NEWEST
    static: tuple[tuple[str, int], ...] = ()

    @field_validator("exclude")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(filter(None, {name.strip() for name in value})))

    @field_validator("static")
    @classmethod
    def _in_order(cls, value: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        for name, size in value:
            if size < 1:
                msg = f"the dimension {name!r} must be at least 1, not {size}"
                raise ValueError(msg)
        return tuple(sorted(dict(value).items()))

    @classmethod
    def of(cls, settings: Settings | None, tensorrt: str = NEWEST) -> Self:
        """Return the question that settings answer as they are: where a user starts from."""
        options = settings.provider_options if settings is not None else {}
        if settings is None or settings.provider != "tensorrt":
            return cls(tensorrt=tensorrt)
        return cls(
            exclude=tuple(str(options.get("trt_op_types_to_exclude") or "").split(",")),
            min_subgraph=max(1, int(options.get("trt_min_subgraph_size") or 1)),
            iterations=_positive(options.get("trt_max_partition_iterations")),
            tensorrt=tensorrt,
        )

    def replace(self, **changes: object) -> Self:
        """Return this question with some fields changed, validated anew."""
        return type(self)(**(dict(self) | changes))

    def changes_from(self, other: Question) -> tuple[str, ...]:
        """Return what is asked for here and not there, as a user would write it: options, and sizes of dimensions."""
        said = []
        if self.exclude != other.exclude:
            said.append(f"trt_op_types_to_exclude={','.join(self.exclude)}")
        if self.min_subgraph != other.min_subgraph:
            said.append(f"trt_min_subgraph_size={self.min_subgraph}")
        if self.iterations != other.iterations:
            said.append(f"trt_max_partition_iterations={self.iterations}")
        if self.tensorrt != other.tensorrt:
            said.append(f"TensorRT {self.tensorrt}")
        before, now = dict(other.static), dict(self.static)
        said.extend(f"{name} static at {size}" for name, size in self.static if before.get(name) != size)
        said.extend(f"{name} dynamic again" for name, _ in other.static if name not in now)
        return tuple(said)


def _positive(value: object) -> int:
    """Return an iteration limit; ONNX Runtime takes its default for what is not positive."""
    number = int(str(value)) if value is not None else ITERATIONS
    return number if number > 0 else ITERATIONS
