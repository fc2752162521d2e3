"""How wrong a Run may be: the target that accuracy must meet before a latency counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, ValidationError

from workbench.errors import SettingsError, nearest
from workbench.measure.accuracy import WRONG_REL_L2
from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workbench.measure.accuracy import OutputAccuracy
    from workbench.measure.task import TaskAccuracy
    from workbench.study.run import Run

NAMES = ("rel_l2", "cosine", "sqnr_db", "task_drop")
ALIASES = {"sqnr": "sqnr_db", "top1-drop": "task_drop", "top5-drop": "task_drop", "task-drop": "task_drop"}


class Target(Record):
    """What outputs must still be; every limit that is given must hold.

    Where `task_drop` is given and the Run knows its task accuracy and the reference's, that decides, for it is what the
    user wants of the model; the other limits then do not count. Labels, indices and other whole numbers are not judged
    by distances, and neither are outputs whose shape depends on the data. NaN and infinite values that the reference
    does not have never pass.

    Attributes
    ----------
    rel_l2 : float or None
        Largest relative L2 distance of any output from the reference's.
    cosine : float or None
        Smallest cosine.
    sqnr_db : float or None
        Smallest signal to quantisation noise ratio in dB.
    task_drop : float or None
        Most points (hundredths of the metric) that the task accuracy may lose.
    """

    rel_l2: float | None = Field(default=None, gt=0)
    cosine: float | None = Field(default=None, ge=-1, le=1)
    sqnr_db: float | None = None
    task_drop: float | None = Field(default=None, ge=0)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``rel_l2=1e-2``, ``cosine=0.999``, ``sqnr=30``, ``top1-drop=0.5``, or several with commas between.

        Raises
        ------
        SettingsError
            When a name or a number is not understood.
        """
        values: dict[str, float] = {}
        for part in text.split(","):
            name, _, number = part.strip().partition("=")
            name = ALIASES.get(name, name)
            if name not in NAMES:
                known = [*NAMES, *ALIASES]
                remedy = f"{nearest(name, known)} Known are {', '.join(known)}.".strip()
                raise SettingsError(f"Target {part.strip()!r}: there is no measure {name!r}.", remedy=remedy)
            try:
                values[name] = float(number)
            except ValueError as error:
                raise SettingsError(f"Target {part.strip()!r}: {number!r} is no number.", remedy="As in rel_l2=1e-2.") from error
        try:
            return cls(**values)
        except ValidationError as error:
            reason = error.errors()[0]
            raise SettingsError(f"Target {text!r}: {reason['loc'][0]}: {reason['msg'].lower()}.") from error

    def __str__(self) -> str:
        signs = {"rel_l2": ("relative L2", "≤"), "cosine": ("cosine", "≥"), "sqnr_db": ("SQNR", "≥")}
        parts = [
            f"{words} {sign} {getattr(self, name):g}" for name, (words, sign) in signs.items() if getattr(self, name) is not None
        ]
        parts += [f"at most {self.task_drop:g} points of task accuracy lost"] if self.task_drop is not None else []
        return ", ".join(parts) or "finite outputs"


# Choices of this package. Quantisation to eight bits that works is at 20 dB or better (relative L2 0.1, cosine 0.995):
# what is beyond these no longer says what the reference says. One point is what post-training quantisation of image
# classifiers is commonly allowed to lose.
DEFAULT_TARGET = Target(rel_l2=WRONG_REL_L2, cosine=0.99, task_drop=1.0)


class Acceptance(Record):
    """Whether a Run's outputs meet a target.

    Attributes
    ----------
    ok : bool
        ``True`` also where nothing is known: see `judged`.
    judged : bool
        Whether there was anything to judge by.
    why : str
        Why not, or what is not known; empty where the target is met.
    """

    ok: bool
    judged: bool
    why: str


def acceptable(run: Run, target: Target = DEFAULT_TARGET) -> Acceptance:
    """Say whether a Run is right enough for its latency to count.

    Parameters
    ----------
    run : Run
        In any state; one that failed is not acceptable.
    target : Target
        What must hold.
    """
    if run.status != "ok":
        return Acceptance(ok=False, judged=True, why=f"the Run {run.status}" if run.error is None else run.error.message)
    return judge(run.accuracy, run.task, target)


def judge(accuracy: Sequence[OutputAccuracy], task: TaskAccuracy | None, target: Target = DEFAULT_TARGET) -> Acceptance:
    """Say whether outputs meet a target; parameters as the Run's fields of the same names."""
    by_task = target.task_drop is not None and task is not None and task.drop is not None
    if not accuracy and not by_task:
        return Acceptance(ok=True, judged=False, why="the outputs were not compared with a reference")
    why = next(_misses(accuracy, task if by_task else None, target), "")
    return Acceptance(ok=not why, judged=True, why=why)


def _misses(accuracy: Sequence[OutputAccuracy], task: TaskAccuracy | None, target: Target) -> Iterator[str]:
    for output in accuracy:
        if not output.identical and (output.not_finite_differing or _unexplained(output)):
            yield f"{'NaN' if output.nan else 'infinite values'} in {output.output}"
    if task is not None and task.drop is not None and target.task_drop is not None:
        if task.drop > target.task_drop:
            yield f"{task.metric} drops by {task.drop:.2f} points, over {target.task_drop:g}"
        return
    judged = [output for output in accuracy if not output.identical and (not output.dtype or not output.not_real)]
    if target.cosine is not None:
        worst = min((o for o in judged if o.cosine is not None), key=lambda o: o.cosine or 0.0, default=None)
        if worst is not None and worst.cosine is not None and worst.cosine < target.cosine:
            yield f"cosine {worst.cosine:.3g} in {worst.output}"
    if target.rel_l2 is not None:
        worst = max((o for o in judged if o.rel_l2 is not None), key=lambda o: o.rel_l2 or 0.0, default=None)
        if worst is not None and worst.rel_l2 is not None and worst.rel_l2 > target.rel_l2:
            yield f"relative L2 {worst.rel_l2:.3g} in {worst.output}"
    if target.sqnr_db is not None:
        worst = min((o for o in judged if o.sqnr_db is not None), key=lambda o: o.sqnr_db or 0.0, default=None)
        if worst is not None and worst.sqnr_db is not None and worst.sqnr_db < target.sqnr_db:
            yield f"SQNR {worst.sqnr_db:.3g} dB in {worst.output}"


def _unexplained(output: OutputAccuracy) -> bool:
    """Whether NaN or infinite values are not known to be the reference's too: records of before both were counted."""
    return bool(output.nan or output.inf) and not output.dtype
