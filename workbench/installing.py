"""The line that installs what an optional part of the workbench needs."""

from __future__ import annotations

import importlib.metadata

from packaging.requirements import Requirement

DISTRIBUTION = "trt-workbench"


def install_line(extra: str) -> str:
    """Return the command that installs the packages of an extra, such as ``gpu``.

    The packages themselves are named, as this installation's metadata asks for them: so the line is right for a clone too.
    """
    try:
        wanted = [Requirement(text) for text in importlib.metadata.requires(DISTRIBUTION) or ()]
    except importlib.metadata.PackageNotFoundError:  # run from a folder, not installed
        wanted = []
    needed = [each for each in wanted if each.marker is not None and _belongs(each, extra)]
    if not needed:
        return f"pip install '{DISTRIBUTION}[{extra}]'"
    return "pip install " + " ".join(_quoted(each) for each in sorted(needed, key=lambda each: each.name))


def _belongs(requirement: Requirement, extra: str) -> bool:
    marker = requirement.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _quoted(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    limits = ",".join(sorted(map(str, requirement.specifier), key=lambda limit: limit.startswith("<")))
    return f"'{requirement.name}{extras}{limits}'"
