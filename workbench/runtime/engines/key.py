"""The key of engines: equal where the same engines would be built, different wherever they could differ.

ONNX Runtime's own cache goes by names and versions only (TRTGenerateId in tensorrt_execution_provider_utils.h), and loads an
old engine after a change of weights, attributes or most options.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.options.canonical import FLAGS, PROFILE_KEYS
from workbench.options.catalogue import catalogue
from workbench.options.effective import Effective, idle
from workbench.options.mapping import Options

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.options.option import OptionSpec
    from workbench.options.settings import Settings
    from workbench.runtime.job import Environment

VERSION = 1  # of what the key is made of; a change of it makes all engines of before unreachable
SHORT = 16  # hexadecimal digits that name a folder
CACHE_ENABLE = "trt_engine_cache_enable"
COMPATIBLE = "trt_engine_hw_compatible"
# Options of TensorRT that name files, whose contents count and not their paths
FILES = ("trt_int8_calibration_table_name", "trt_extra_plugin_lib_paths", "trt_engine_decryption_lib_path")
# Entries that do not change what is run, but who runs it
PARTITIONING = (
    "session.layer_assignment_settings",
    "session.name_based_layer_assignment",
    "session.resource_cuda_partitioning_settings",
)
FILE_ENTRIES = ("session.node_partition_config_file",)
# Beginnings of entries that the catalogue says nothing of, and that engines do not depend on
RUN_TIME_ENTRIES = ("ep.cuda.", "memory.", "mlas.", "session.inter_op", "session.intra_op", "session.log_", "session.moe_")


def engine_key(  # noqa: PLR0913
    content_hash: str,
    model_name: str,
    settings: Settings,
    *,
    onnxruntime: str | None,
    tensorrt: str | None,
    compute_capability: str | None,
) -> str:
    """Return a SHA-256 (hexadecimal) over all that engines depend on.

    Parameters
    ----------
    content_hash : str
        Of the model, as :meth:`workbench.model.model.Model.content_hash` takes it.
    model_name : str
        The model's file name, with or without ``.onnx``: ONNX Runtime's own hash holds it, so that it does not find the engines
        of a file that was renamed.
    settings : Settings
        Of them count the provider, precision, shape profile, the options that make TensorRT build anew, the session options
        that change the graph or its partitioning, and the contents of files that options name, relative to the current folder.
    onnxruntime, tensorrt, compute_capability : str or None
        Versions of the libraries, and the GPU's, such as ``9.0``. Engines built with ``trt_engine_hw_compatible`` are the same
        for every compute capability.
    """
    parts = {
        "version": VERSION,
        "content": content_hash,
        "name": model_name.removesuffix(".onnx"),
        "provider": settings.provider,
        "precisions": Effective(settings).precisions,
        "profile": [given.model_dump(mode="json") for given in settings.profile.ranges],
        # what TensorRT itself builds does not depend on ONNX Runtime's defaults
        "options": _provider_options(settings, onnxruntime if settings.provider == "tensorrt" else None),
        "session": _session_options(settings, onnxruntime),
        "onnxruntime": onnxruntime if settings.provider == "tensorrt" else None,
        "tensorrt": tensorrt,
        "architecture": architecture_of(compute_capability, settings),
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def key_on(model: Model, settings: Settings, environment: Environment) -> str | None:
    """Return the key of a model's engines on a machine; ``None`` where the machine's GPU or TensorRT is not known.

    Raises
    ------
    ModelError
        When the model's file has gone.
    """
    native, tensorrt = settings.provider == "native", environment.tensorrt_of(settings.provider)
    if tensorrt is None or environment.compute_capability is None:
        return None
    return engine_key(
        model.content_hash(),
        model.path.name,
        settings,
        onnxruntime=None if native else environment.onnxruntime,
        tensorrt=tensorrt,
        compute_capability=environment.compute_capability,
    )


def architecture_of(compute_capability: str | None, settings: Settings | None = None) -> str:
    """Return the architecture as ONNX Runtime writes it into file names: ``sm90``, or ``sm80+`` where any from Ampere on does.

    Parameters
    ----------
    compute_capability : str or None
        Such as ``9.0``.
    settings : Settings or None
        With which the engines are built; ``None`` for the GPU itself.
    """
    if settings is not None and settings.provider_options.get(COMPATIBLE):
        return "sm80+"
    return f"sm{compute_capability.replace('.', '')}" if compute_capability else "unknown"


def _provider_options(settings: Settings, release: str | None) -> list[tuple[str, Any]]:
    """Return the options that engines depend on, where they differ from the release's defaults."""
    # As the session will have them: with an engine cache, which some options need to do anything.
    options = Options({**settings.provider_options, CACHE_ENABLE: True})
    now = Effective(settings.model_copy(update={"provider_options": options}), release)
    found = []
    for spec in catalogue("tensorrt", release):
        value = now.value(spec.key)
        if not _counts(spec) or value == spec.default or idle(now, spec.key):
            continue
        found.append((spec.key, _contents(str(value)) if spec.key in FILES else value))
    return found


def _counts(spec: OptionSpec) -> bool:
    """Whether engines, or the names of their files, depend on an option; precision and profile are looked at apart."""
    if not spec.python or spec.key in FLAGS or spec.key in PROFILE_KEYS:
        return False
    return spec.effect == "rebuild" or spec.ort_cache is not None or spec.key in FILES


def _session_options(settings: Settings, release: str | None) -> list[tuple[str, Any]]:
    if settings.provider != "tensorrt":
        return []
    now = Effective(settings, release)
    known = {spec.key: spec for spec in catalogue("session")}
    found: list[tuple[str, Any]] = []
    for key in settings.session_options:
        spec, value = known.get(key), now.session(key)
        if key in FILE_ENTRIES:
            found.append((key, _contents(str(value))))
        elif spec is None:
            found += [] if key.startswith(RUN_TIME_ENTRIES) else [(key, value)]
        elif (spec.effect == "rebuild" or key in PARTITIONING) and value != spec.default:
            found.append((key, value))
    return sorted(found)


def _contents(paths: str) -> list[str]:
    """Return the hashes of files whose paths stand with semicolons between; a library that the system looks up has its name."""
    return [_content(part) for part in paths.split(";")]


def _content(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return path
