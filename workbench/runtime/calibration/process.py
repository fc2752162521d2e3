"""The process that calibrates. Started by ``workbench.runtime.calibration.calibrate``.

Writes its answer to the file that its first argument names, and how far it is to the second; all else goes to the log.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InputError, JobError, Unavailable, WorkbenchError
from workbench.runtime.calibration.collect import collect
from workbench.runtime.calibration.records import Answer, Errand

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.runtime.calibration.records import Progress

EVERY_S = 0.05


class Reporter:
    """Writes how far it is, now and then.

    Parameters
    ----------
    path : Path
        The file, which is replaced each time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last: tuple[str, float] = ("", 0.0)

    def __call__(self, progress: Progress) -> None:
        """Write, unless that was done a moment ago."""
        now = time.monotonic()
        if progress.stage == self.last[0] and now - self.last[1] < EVERY_S:
            return
        self.last = (progress.stage, now)
        part = self.path.with_suffix(".part")
        part.write_text(progress.model_dump_json(), encoding="utf-8")
        part.replace(self.path)


def answered(errand: Errand, report: Callable[[Progress], None]) -> Answer:
    """Do an errand; what it can fail with is an answer too."""
    try:
        return collect(errand, report)
    except WorkbenchError as error:
        kinds = {InputError: "inputs", Unavailable: "provider"}
        kind = error.kind if isinstance(error, JobError) else kinds.get(type(error), "load")
        return Answer(kind=kind, message=error.message, remedy=error.remedy)
    except MemoryError:
        remedy = "Use a smaller batch: all activations of one feed are held at a time."
        return Answer(kind="memory", message="There is not enough memory for it.", remedy=remedy)


def main() -> None:
    """Do the errand of the third argument."""
    found = answered(Errand.model_validate_json(sys.argv[3]), Reporter(Path(sys.argv[2])))
    Path(sys.argv[1]).write_text(found.model_dump_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
