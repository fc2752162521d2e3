"""The process that tries sets of nodes. Started by ``workbench.runtime.lowering.trials``.

The first line of its standard input says what to lower; each further line names a set. Each line is answered with one of
JSON. What libraries print goes to the log.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from workbench.errors import JobError, WorkbenchError
from workbench.runtime.lowering.bench import Bench
from workbench.runtime.lowering.trials import Lowering

if TYPE_CHECKING:
    from typing import TextIO


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        bench = Bench(Lowering.model_validate_json(sys.stdin.readline()))
    except (WorkbenchError, MemoryError) as error:
        _answer(answers, json.dumps({"error": _described(error)}))
        return
    _answer(answers, bench.ground.model_dump_json())
    for line in sys.stdin:
        asked = json.loads(line)
        _answer(answers, bench.measure(frozenset(asked["keep"]), emulate=asked["emulate"]).model_dump_json())


def _described(error: WorkbenchError | MemoryError) -> dict[str, str]:
    if isinstance(error, WorkbenchError):
        kind = error.kind if isinstance(error, JobError) else "inputs"
        return {"kind": kind, "message": error.message, "remedy": error.remedy}
    return {"kind": "memory", "message": "There is not enough memory to lower the model.", "remedy": "Use fewer samples."}


def _answer(stream: TextIO, text: str) -> None:
    stream.write(text + "\n")
    stream.flush()


if __name__ == "__main__":
    main()
