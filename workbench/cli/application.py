"""What the commands share: the application, its arguments, and how they answer."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from workbench.errors import EngineError, InputError, SettingsError, StoreError, WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.record import Finding
    from workbench.runtime.engines.cache import EngineCache

ORDER = (
    *("lab", "doctor", "inspect", "placement", "ready", "run", "runs", "compare", "survey"),
    *("shapes", "engines", "context", "calibrate", "convert", "sensitivity"),
)


class InOrder(TyperGroup):
    """Lists the commands in the order in which people come to need them, and new ones last."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401  # Typer or Click has its class, by the release
        """Return the commands' names."""
        return sorted(super().list_commands(ctx), key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


app = typer.Typer(
    name="workbench",
    cls=InOrder,
    help="Optimise ONNX models with ONNX Runtime's TensorRT provider.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Provider(StrEnum):
    """The providers that a session can be asked for."""

    tensorrt = "tensorrt"
    cuda = "cuda"
    cpu = "cpu"
    native = "native"
    torch = "torch"


class Precision(StrEnum):
    """The precisions that provider flags can ask for."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"
    int8 = "int8"


class Buffers(StrEnum):
    """Where inputs and outputs lie while the latency is measured."""

    host = "host"
    device = "device"


ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX file.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
StoreOption = Annotated[
    Path | None, typer.Option("--store", help="The file of kept Runs.", show_default="the user's data folder")
]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="The folder of built engines.", show_default="the user's cache folder"),
]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Build engines anew, and do not keep them.")]
ProviderOption = Annotated[Provider, typer.Option("--provider", help="Whom to ask for first.")]
OptionsOption = Annotated[
    list[str] | None, typer.Option("--option", "-o", metavar="KEY=VALUE", help="A provider or session option; repeatable.")
]
ProfileOption = Annotated[
    list[str] | None,
    typer.Option("--profile", metavar="NAME=MIN:OPT:MAX", help="An input's shapes, as x=1x3x8x8:4x3x8x8:8x3x8x8."),
]


@contextmanager
def reported(*, as_json: bool) -> Iterator[None]:
    """Turn the workbench's errors into a message or a document, and an exit status."""
    try:
        yield
    except WorkbenchError as error:
        wrong_use = isinstance(error, (EngineError, SettingsError, InputError, StoreError))
        kind = getattr(error, "kind", "usage" if wrong_use else "load")
        if as_json:
            failure = {"kind": kind, "message": error.message, "remedy": error.remedy}
            print_json({"status": "failed", "outcome": "error", "error": failure})
        else:
            say(f"error: {error}")
        raise typer.Exit(2 if wrong_use else 1) from error


def print_json(document: Any) -> None:  # noqa: ANN401
    """Print the one document of ``--json``."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def say(text: str) -> None:
    """Tell progress and warnings, on standard error."""
    sys.stderr.write(text + "\n")


def say_findings(findings: list[Finding] | tuple[Finding, ...]) -> None:
    """Tell what was found, a line each."""
    for finding in findings:
        say(f"{finding.level}: {finding}")


def settings_of(
    provider: Provider, options: list[str] | None, profile: list[str] | None, precision: Precision | None
) -> Settings:
    """Return the Settings that the arguments ask for."""
    from workbench.options.catalogue import keys_of
    from workbench.options.profile import ShapeProfile
    from workbench.options.settings import Settings
    from workbench.options.values import read_assignments

    given = read_assignments(options or [])
    session = {key for key in given if "." in key or key in keys_of("session")}
    return Settings(
        provider=provider.value,
        provider_options={key: value for key, value in given.items() if key not in session},
        session_options={key: value for key, value in given.items() if key in session},
        profile=ShapeProfile.from_arguments(profile or []),
        precision=precision.value if precision else None,
    )


def cache_of(folder: Path | None, *, no_cache: bool) -> EngineCache | None:
    """Return the engine cache that the arguments ask for; ``None`` for none.

    Raises
    ------
    SettingsError
        When a folder is named and none is wanted.
    """
    from workbench.runtime.engines.cache import EngineCache

    if no_cache and folder is not None:
        raise SettingsError("--cache and --no-cache contradict each other.", remedy="Give one of them.")
    return None if no_cache else EngineCache(folder)


def open_model(path: Path) -> Model:
    """Load a model."""
    from workbench.model.model import Model

    return Model.load(path)
