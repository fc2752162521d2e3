"""The process that does one step of making a model ready. Started by ``workbench.runtime.ready.steps_apart``.

Writes its answer, one JSON document, to the file that its first argument names; all else goes to the log.
"""

from __future__ import annotations

import sys
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.runtime.ready.comparison import compare
from workbench.runtime.ready.observation import observe
from workbench.runtime.ready.steps import fix, freeze, infer, specialise, symbolic
from workbench.runtime.ready.steps_apart import Answer, Errand

TASKS = {
    "fix": fix,
    "infer": infer,
    "observe": observe,
    "symbolic": symbolic,
    "freeze": freeze,
    "specialise": specialise,
    "compare": compare,
}


def main() -> None:
    """Do the errand of the second argument."""
    errand = Errand.model_validate_json(sys.argv[2])
    try:
        answer = TASKS[errand.task](errand)
    except WorkbenchError as error:
        answer = Answer(status="failed", why=str(error))
    except MemoryError:
        answer = Answer(status="failed", why="There is not enough memory for it.")
    Path(sys.argv[1]).write_text(answer.model_dump_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
