"""What a library needs of others, read without running any of its code.

A provider library of ONNX Runtime must not be loaded by hand: its initialisers call back into an ONNX Runtime that has not
introduced itself yet, and end the process. So its file is read, and the system's loader is asked to bind it on paper.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

LIMIT_S = 60
GIVEN_BY_ONNXRUNTIME = "Provider_GetHost"  # by libonnxruntime_providers_shared.so, which ONNX Runtime loads first
UNDEFINED = re.compile(r"undefined symbol: (?P<symbol>\S+)\s+\((?P<file>[^)]+)\)")


def needed_by(path: Path | str) -> tuple[str, ...]:
    """Return the names of the libraries that an ELF library asks for (DT_NEEDED); empty for other files.

    Parameters
    ----------
    path : Path or str
        The library.
    """
    from elftools.common.exceptions import ELFError
    from elftools.elf.dynamic import DynamicSection
    from elftools.elf.elffile import ELFFile

    try:
        with Path(path).open("rb") as file:
            dynamic = ELFFile(file).get_section_by_name(".dynamic")
            if not isinstance(dynamic, DynamicSection):
                return ()
            tags: Iterable[Any] = dynamic.iter_tags("DT_NEEDED")  # its typed interface leaves `needed` out
            return tuple(tag.needed for tag in tags)
    except (OSError, ELFError):
        return ()


def undefined_in(path: Path | str, folders: Iterable[str]) -> tuple[str, ...]:
    """Return the symbols of a library that the libraries at hand do not have; empty where the loader cannot be asked.

    Parameters
    ----------
    path : Path or str
        The library.
    folders : iterable of str
        Where those are that it needs, beside the system's own places.
    """
    ldd = shutil.which("ldd")
    if ldd is None:
        return ()
    places = [*dict.fromkeys(folders), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    environment = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(places)}
    try:
        # -r: bind data and functions too, and report what is missing
        done = subprocess.run([ldd, "-r", str(path)], capture_output=True, check=False, timeout=LIMIT_S, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    text = (done.stdout + done.stderr).decode(errors="replace")
    if "=> not found" in text:  # the loader looks elsewhere than this process does: then what is undefined says nothing
        return ()
    found = [match["symbol"] for match in UNDEFINED.finditer(text) if match["file"] == str(path)]
    return tuple(symbol for symbol in found if symbol != GIVEN_BY_ONNXRUNTIME)
