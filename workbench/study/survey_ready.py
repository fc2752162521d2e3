"""A model made ready for TensorRT before it is surveyed, so that all configurations run the same file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.study.configuration import Configuration
from workbench.study.ready import make_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.options.profile import ShapeProfile
    from workbench.runtime.job import Event

LIMIT_S = 300.0


@dataclass(frozen=True)
class ReadyModel:
    """What a survey runs.

    Attributes
    ----------
    options : tuple of pairs of str
        TensorRT's options that the model needs.
    note : str
        What was done.
    """

    model: Model
    options: tuple[tuple[str, str], ...]
    note: str

    def configured(self, configurations: Sequence[Configuration]) -> list[Configuration]:
        """Return the configurations; those of TensorRT through ONNX Runtime get the options that the model needs."""
        return [self._configured(each) for each in configurations]

    def _configured(self, each: Configuration) -> Configuration:
        if each.settings.provider != "tensorrt" or not self.options:
            return each
        options = {**dict(self.options), **each.settings.provider_options}
        return each.model_copy(update={"settings": each.settings.replace(provider_options=options)})


def ready_model(
    model: Model,
    *,
    tensorrt: str = "10.16",
    profile: ShapeProfile | None = None,
    limit_s: float = LIMIT_S,
    on_event: Callable[[Event], None] | None = None,
) -> ReadyModel:
    """Make a model ready for TensorRT; where nothing helps, the model stays as it is and the note says why.

    Parameters
    ----------
    model : Model
        The model; a new file is written beside it, under a name that is free.
    tensorrt : str
        The release to make it ready for.
    profile, limit_s, on_event
        As for :func:`workbench.study.ready.make_ready`.

    Raises
    ------
    ModelError
        For a model that no runtime can read.
    """
    out = _free(model.path)
    done = make_ready(model, Settings(), profile=profile, out=out, tensorrt=tensorrt, limit_s=limit_s, on_event=on_event)
    if done.outcome == "ready" and done.path is not None:
        return ReadyModel(Model.load(done.path), done.options, f"Made ready for TensorRT {tensorrt}: {done.message}")
    options = done.options if done.outcome == "settings" else ()
    return ReadyModel(model, options, f"Made ready for TensorRT {tensorrt} ({done.outcome}): {done.message}")


def _free(path: Path) -> Path:
    """Return a name for the new file that no file has."""
    stem = path.name.removesuffix(".onnx")
    names = [f"{stem}.ready.onnx", *(f"{stem}.ready-{number}.onnx" for number in range(2, 1000))]
    return next(free for name in names if not (free := path.with_name(name)).exists())
