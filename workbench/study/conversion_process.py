"""The process that converts a model. Started by ``workbench.study.conversion``.

Reads its errand, one line of JSON, from the standard input and takes the end of that input for a cancellation. Writes
answers, one a line, to the standard output.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from workbench.errors import InputError, ModelError, SettingsError, WorkbenchError
from workbench.model.model import Model
from workbench.study.conversion import ConversionAnswer, ConversionErrand
from workbench.study.convert import Converted, convert

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.runtime.job import Event

BEFORE_WRITING = ("loading", "converting")


def main() -> None:
    """Do the errand."""
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print belongs to the log
    errand = ConversionErrand.model_validate_json(sys.stdin.readline())
    cancelled = threading.Event()
    threading.Thread(target=_watch, args=(cancelled,), daemon=True).start()
    try:
        _say(output, ConversionAnswer(converted=_convert(errand, cancelled, output)))
    except (SettingsError, InputError) as error:
        _say(output, ConversionAnswer(kind="settings", message=error.message, remedy=error.remedy))
    except WorkbenchError as error:
        _say(output, ConversionAnswer(kind="model", message=error.message, remedy=error.remedy))
    except MemoryError:
        _say(output, ConversionAnswer(kind="model", message=f"There is not enough memory to convert {errand.model}."))


def _watch(cancelled: threading.Event) -> None:
    sys.stdin.read()
    cancelled.set()


def _convert(errand: ConversionErrand, cancelled: threading.Event, output: IO[bytes]) -> Converted:
    told = ""

    def tell(event: Event) -> None:
        nonlocal told
        if cancelled.is_set() and event.stage in BEFORE_WRITING:
            raise ModelError("The conversion was cancelled.")
        if event.stage != told:  # the elapsed time alone is told many times a second
            told = event.stage
            _say(output, ConversionAnswer(event=event))

    model = Model.load(errand.model)
    with _inputs(errand, model) as inputs:
        return convert(
            model,
            errand.to,
            keep=errand.keep,
            ranges={each.tensor: each.amax for each in errand.ranges},
            clip=errand.clip,
            out=errand.out,
            inputs=inputs,
            profile=errand.profile,
            limit_s=errand.limit_s,
            cancelled=cancelled,
            on_event=tell,
        )


@contextmanager
def _inputs(errand: ConversionErrand, model: Model) -> Iterator[Path | None]:
    """Give a file with the first samples, where there are data: random inputs would lie outside calibrated ranges."""
    if errand.data is None:
        yield None
        return
    import numpy as np

    from workbench.runtime.data.dataset import open_dataset

    with tempfile.TemporaryDirectory(prefix="workbench-conversion-") as folder:
        path = Path(folder) / "inputs.npz"
        feeds = next(iter(open_dataset(errand.data, model).batches(errand.batch)))
        with path.open("wb") as file:
            np.savez(file, **feeds)  # type: ignore[arg-type]  # an input may be called as one of its parameters
        yield path


def _say(output: IO[bytes], answer: ConversionAnswer) -> None:
    output.write(answer.model_dump_json().encode() + b"\n")


if __name__ == "__main__":
    main()
