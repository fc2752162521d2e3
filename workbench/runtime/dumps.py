"""What TensorRT's engines hold, read from the graphs that ONNX Runtime dumps of them.

Releases before 1.24 do not say which nodes an engine took. With ``trt_dump_subgraphs`` they write each fused graph, weights
included, into the current folder under the fused node's name. So a session is made in a temporary folder, while the options
that name files keep meaning the user's folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ModelError
from workbench.model.graph import bodies_of, nodes_in
from workbench.model.skim import skim
from workbench.placement.observed import EngineDump
from workbench.placement.records import TENSORRT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import onnx

    from workbench.model.model import Model
    from workbench.options.settings import Settings

DUMP = "trt_dump_subgraphs"
FUSED = "TensorrtExecutionProvider_TRTKernel_"  # followed by graph_ or subgraph_, the graph's name, a hash and two numbers
LARGEST_MODEL = 1_500_000_000  # bytes; ONNX Runtime cannot write 2 GB into one message, and writing takes time
ROOM = 2.2  # times the model: the engines' graphs, the parser's latest attempt, and what their structure takes
# What writes into the current folder, or must be given a relative path; then the folder stays the user's. An EP context
# model wants trt_engine_cache_path relative; a refitted engine is written without its folder.
STAYS = ("trt_dump_ep_context_model", "trt_weight_stripped_engine_enable")
STAYS_ENTRIES = (
    "session.collect_node_memory_stats_to_file",
    "session.model_external_initializers_file_folder_path",
    "session.node_partition_config_file",
)
FOLDERS = ("trt_engine_cache_path", "trt_timing_cache_path", "trt_onnx_model_folder_path", "trt_ep_context_file_path")
LIBRARIES = ("trt_extra_plugin_lib_paths", "trt_engine_decryption_lib_path")
# The options that make TensorRT use trt_engine_cache_path, whose default is the current folder.
CACHING = ("trt_engine_cache_enable", "trt_timing_cache_enable", "trt_int8_enable")

Providers = list[tuple[str, dict[str, str]]]


@dataclass
class Dumps:
    """What a session is made with, and what was read once it was made.

    Attributes
    ----------
    providers : list
        What ``InferenceSession`` takes.
    engines : list of EngineDump
        In the order of their numbers.
    notes : list of str
        Why some or all are missing.
    """

    providers: Providers
    engines: list[EngineDump] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@contextmanager
def dumped_engines(model: Model, settings: Settings, folder: Path) -> Iterator[Dumps]:
    """Make a session inside this block, with the providers it yields; its engines are read where the block ends.

    Parameters
    ----------
    model : Model
        The session's model.
    settings : Settings
        Its settings. The user may forbid dumping with ``trt_dump_subgraphs=False``; with ``True`` the dumps are kept in the
        current folder.
    folder : Path
        A temporary folder to be made, and removed at the end.
    """
    dumps = Dumps(settings.to_providers())
    why_not = _obstacle(model, settings, folder)
    if why_not:
        dumps.notes.append(f"The nodes of TensorRT's engines were not dumped: {why_not}.")
        yield dumps
        return
    home = Path.cwd()
    dumps.providers = [
        (name, absolute_options(options, home) | {DUMP: "True"} if name == TENSORRT else options)
        for name, options in dumps.providers
    ]
    try:
        os.chdir(folder)
        try:
            yield dumps
        finally:
            os.chdir(home)
        read_dumps(folder, dumps)
        if settings.provider_options.get(DUMP):
            _keep(folder, home, dumps)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _obstacle(model: Model, settings: Settings, folder: Path) -> str:
    """Return why the engines cannot be dumped, or an empty string once their folder is made."""
    options, entries = settings.provider_options, settings.session_options
    if options.get(DUMP) is False:
        return f"{DUMP} is False"
    stays = [*(key for key in STAYS if options.get(key)), *(key for key in STAYS_ENTRIES if key in entries)]
    if stays:
        return f"{stays[0]} needs the current folder"
    if any(node.op_type == "EPContext" for node in model.nodes):
        return "its engine was built before, and is not made from nodes of this file"
    size = model.size_bytes
    if size > LARGEST_MODEL:
        return f"the model has {size / 1e9:.1f} GB, and dumps hold the weights; the limit is {LARGEST_MODEL / 1e9:.1f} GB"
    try:
        Path.cwd()  # fails where the user has deleted it
        free = shutil.disk_usage(folder.parent).free
        if free < ROOM * size:
            return f"they may take {ROOM * size / 1e6:,.0f} MB, and {folder.parent} has {free / 1e6:,.0f} MB left"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    except OSError as error:
        return f"{error.filename or folder}: {error.strerror or error}"
    _prepare(model.proto.graph, folder)
    return ""


def _prepare(graph: onnx.GraphProto, folder: Path) -> None:
    """Make the folders that a slash in a graph's name stands for, which ONNX Runtime does not."""
    for kind, name in (("graph_", graph.name), *(("subgraph_", body.name) for body in _bodies(graph))):
        inside = Path(FUSED + kind + name).parent
        if "/" in name and ".." not in inside.parts:
            with contextlib.suppress(OSError, ValueError):  # then that engine has no dump, which is told
                (folder / inside).mkdir(parents=True, exist_ok=True)


def _bodies(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    for node in graph.node:
        for body in bodies_of(node):
            yield body
            yield from _bodies(body)


def absolute_options(options: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return TensorRT's options with every relative path taken from a folder, as ONNX Runtime would take it there.

    Parameters
    ----------
    options : mapping of str to str
        As ``Settings.to_providers`` writes them. The calibration table stays as it is: it is looked up in the engine
        cache's folder. So does a library without a slash: the system's loader looks for it, in no current folder.
    home : Path
        The folder that relative paths are taken from.
    """
    found = dict(options)
    if any(options.get(key) == "True" for key in CACHING):
        found.setdefault("trt_engine_cache_path", ".")
    for key in FOLDERS:
        if key in found:
            found[key] = str(home / found[key])
    for key in LIBRARIES:
        if key in found:
            found[key] = ";".join(str(home / one) if "/" in one else one for one in found[key].split(";"))
    return found


def read_dumps(folder: Path, dumps: Dumps) -> None:
    """Read all engines' graphs in a folder; the parser's latest attempt is none. What cannot be read becomes a note."""
    import onnx
    from google.protobuf.message import DecodeError

    for path in sorted(folder.rglob("*.onnx"), key=_order):
        engine = str(path.relative_to(folder)).removesuffix(".onnx")
        if not engine.startswith(FUSED):
            continue
        try:
            proto = onnx.ModelProto.FromString(skim(path))
        except (ModelError, DecodeError, OSError) as error:
            full = " (the disk may be full)" if path.stat().st_size == 0 or isinstance(error, ModelError) else ""
            dumps.notes.append(f"The nodes of {engine} are unknown: its dump cannot be read{full}.")
        else:
            dumps.engines.append(EngineDump(engine, tuple((node.name, node.op_type) for node in nodes_in(proto))))


def _order(path: Path) -> tuple[int, ...]:
    """Return the numbers at the end of a fused node's name: the engine's, and its place among all."""
    *_, engine, fused = ("0_0_" + path.stem).rsplit("_", 2)
    return tuple(int(part) if part.isdigit() else 0 for part in (engine, fused))


def _keep(folder: Path, home: Path, dumps: Dumps) -> None:
    """Move the dumps to where the user, who asked for them, expects them."""
    for path in sorted(folder.rglob("*.onnx")):
        target = home / path.relative_to(folder)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)
        except OSError as error:
            dumps.notes.append(f"{target}: the dump could not be kept there: {error.strerror or error}.")
            return
