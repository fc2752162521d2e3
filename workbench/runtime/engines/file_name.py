"""What the name of an engine file says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Form = Literal["engine", "stripped", "encrypted"]

# The longest first. `.plan` is what TensorRT's own tools commonly write.
_ENDINGS: tuple[tuple[str, Form], ...] = (
    (".stripped.engine.encrypted", "encrypted"),
    (".engine.encrypted", "encrypted"),
    (".stripped.engine", "stripped"),
    (".engine", "engine"),
    (".plan", "engine"),
)
# What ONNX Runtime appends, in this order (tensorrt_execution_provider.cc, where trt_node_name_with_precision is made).
_SUFFIXES = r"(?P<precisions>(?:_(?:fp16|bf16|int8))*)(?:_dlacore(?P<dla>\d+))?(?:_(?P<architecture>sm\d+\+?))?"
# The hash has 64 bits, so 20 digits at most. Without a prefix, the fused node's name is the beginning; with one, the hash and
# the number of the subgraph follow the prefix (GetCacheSuffix).
_FUSED = re.compile(rf"(?P<fused>.*TRTKernel_(?:sub)?graph_.*_(?P<hash>\d{{1,20}})_(?P<subgraph>\d+)_\d+){_SUFFIXES}", re.DOTALL)
_PREFIXED = re.compile(rf"(?P<prefix>.+)_(?P<hash>\d{{1,20}})_(?P<subgraph>\d+){_SUFFIXES}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class EngineName:
    """An engine file's name in its parts; what a name does not say is empty or ``None``.

    Attributes
    ----------
    stem : str
        The name up to the ending: what the ``.profile`` file beside it begins with, too.
    form : str
        ``engine``, ``stripped`` (without weights) or ``encrypted``.
    fused : str
        The fused node.
    prefix : str
        The user's own beginning, ``trt_engine_cache_prefix``.
    model_hash : str
        ONNX Runtime's hash.
    subgraph : int or None
        The number of the fused node among those of the model.
    precisions : tuple of str
        ``fp16``, ``bf16``, ``int8``.
    dla : int or None
        The DLA core.
    architecture : str or None
        ``sm90``, or ``sm80+`` for engines that run on every GPU from Ampere on.
    """

    stem: str
    form: Form
    fused: str = ""
    prefix: str = ""
    model_hash: str = ""
    subgraph: int | None = None
    precisions: tuple[str, ...] = ()
    dla: int | None = None
    architecture: str | None = None


def is_engine_name(name: str) -> bool:
    """Return whether a file's name ends as an engine's does."""
    return any(name.endswith(ending) for ending, _ in _ENDINGS)


def read_name(name: str) -> EngineName:
    """Read the name of an engine file, with its ending; names that follow no rule of ONNX Runtime keep only their form."""
    stem, form = next(((name.removesuffix(end), form) for end, form in _ENDINGS if name.endswith(end)), (name, "engine"))
    found = _FUSED.fullmatch(stem) or _PREFIXED.fullmatch(stem)
    if found is None:
        return EngineName(stem, form)
    parts = found.groupdict()
    return EngineName(
        stem=stem,
        form=form,
        fused=parts.get("fused") or "",
        prefix=parts.get("prefix") or "",
        model_hash=parts["hash"],
        subgraph=int(parts["subgraph"]),
        precisions=tuple(parts["precisions"].split("_")[1:]),
        dla=int(parts["dla"]) if parts["dla"] else None,
        architecture=parts["architecture"],
    )
