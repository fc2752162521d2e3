"""What a placement means, in one sentence, and what to do about it."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING, Literal

from workbench.placement.reasons import cause_of
from workbench.placement.records import CPU, CUDA, TENSORRT
from workbench.placement.support import nearest_release
from workbench.record import Record

if TYPE_CHECKING:
    from workbench.placement.records import Placement

MOSTLY = 0.9  # share of the nodes from which on the rest is worth looking at node by node
TINY = 5  # nodes; an engine of fewer seldom pays for its start
REMEDIED = ("shape", "opset")  # kinds of failure that making the model ready may mend
SHORT = {TENSORRT: "TensorRT", CUDA: "CUDA", CPU: "CPU"}

Step = Literal["run", "compare", "change", "ready", ""]


class Verdict(Record):
    """Whether TensorRT runs the model.

    Attributes
    ----------
    answer : str
        ``YES``: all of it in one engine, or the session runs as it was asked to without TensorRT; ``MAYBE``: some of it;
        ``NO``: none of it, or there is no session.
    sentence : str
        What was found, with the numbers.
    advice : str
        The one next thing to do, in words.
    command : str
        The command that does it; empty where none does.
    step : str
        What the next thing is: ``run`` the model, ``compare`` with another provider, ``change`` what keeps nodes from
        TensorRT, make the model ``ready``; empty where only the user can do it.
    """

    answer: Literal["YES", "MAYBE", "NO"]
    sentence: str
    advice: str
    command: str = ""
    step: Step = ""

    @property
    def action(self) -> str:
        """The advice and its command in one line."""
        return f"{self.advice}: {self.command}" if self.command else self.advice


def verdict_of(placement: Placement) -> Verdict:
    """Return what a placement means, and what to do about it."""
    if placement.outcome == "error":
        return _failed(placement)
    counts = Counter(node.provider for node in placement.nodes if node.provider is not None)
    if not counts and not placement.groups:
        return _nothing(placement)
    if placement.runtime.tensorrt is None and not placement.engines():
        return _without_tensorrt(placement, counts)
    if not placement.engines():
        return _none(placement, counts)
    if set(counts) <= {TENSORRT} and placement.engines() == 1 and set(placement.coverage) <= {TENSORRT}:
        return _whole(placement, counts)
    return _partly(placement, counts)


def _failed(placement: Placement) -> Verdict:
    error = placement.error
    message = error.message if error is not None else "The session cannot be made."
    remedy = error.remedy if error is not None else ""
    advice = remedy or "Read the log, and change what it names."
    sentence = f"No session: {message}"
    if error is None or error.kind not in REMEDIED:
        return Verdict(answer="NO", sentence=sentence, advice=advice)
    advice = f"{remedy} Or make the model ready" if remedy else "Make the model ready"
    return Verdict(answer="NO", sentence=sentence, advice=advice, command=_ready(placement), step="ready")


def _nothing(placement: Placement) -> Verdict:
    if not placement.nodes:
        return Verdict(answer="NO", sentence="The graph has no nodes: there is nothing to run.", advice="Check the export.")
    text = f"ONNX Runtime computes everything ({_nodes(len(placement.nodes))}) when the session is made: nothing is left to run."
    return Verdict(answer="NO", sentence=text, advice="Give the model an input that its result depends on.")


def _without_tensorrt(placement: Placement, counts: Counter[str]) -> Verdict:
    shares = " and ".join(_share(provider, count) for provider, count in counts.most_common())
    sentence = f"{_says(placement)} {shares or 'nodes made by fusion only'}."
    command = _command(placement, "cuda" if CUDA in counts else "cpu")
    return Verdict(answer="YES", sentence=sentence, advice="Measure it", command=command, step="run")


def _says(placement: Placement) -> str:
    return "A session would run" if placement.evidence == "predicted" else "The session runs"


def _share(provider: str | None, count: int) -> str:
    return f"{_nodes(count)} on {SHORT.get(provider or '', provider)}"


def _nodes(count: int) -> str:
    return f"{count} node{'s' * (count != 1)}"


def _whole(placement: Placement, counts: Counter[str]) -> Verdict:
    count = counts[TENSORRT] or len(placement.groups[0].nodes)
    would = "would run" if placement.evidence == "predicted" else "runs"
    whole = "the whole model" + (f" ({_nodes(count)})" if count else "")
    sentence = f"TensorRT {would} {whole} as one engine."
    command = _command(placement, "tensorrt", " --precision fp16")
    return Verdict(answer="YES", sentence=sentence, advice="Build and measure it", command=command, step="run")


def _none(placement: Placement, counts: Counter[str]) -> Verdict:
    rest = " and ".join(_share(provider, count) for provider, count in counts.most_common())
    reasons = Counter(cause_of(node) for node in placement.nodes if node.provider is not None)
    reason = max(reasons, key=lambda text: reasons[text], default="")
    sentence = f"TensorRT {'would run' if placement.evidence == 'predicted' else 'runs'} no node: {rest}."
    if reason:
        return Verdict(answer="NO", sentence=sentence, advice=f"Change what stops it: {reason}.", step="change")
    command = _command(placement, "cuda")
    return Verdict(answer="NO", sentence=sentence, advice="Run on CUDA alone", command=command, step="compare")


def _partly(placement: Placement, counts: Counter[str]) -> Verdict:
    engines, total = placement.engines(), counts.total()
    ours = counts[TENSORRT]
    verb = "would run" if placement.evidence == "predicted" else "runs"
    share = f"{ours} of {total} nodes ({ours / total:.1%})" if total else "some nodes"
    rest = " and ".join(_share(p, c) for p, c in counts.most_common() if p != TENSORRT)
    sentence = f"TensorRT {verb} {share} as {engines} engine{'s' * (engines != 1)}" + (f", {rest}." if rest else ".")
    advice = _advice(placement, engines, ours / total if total else 0.0)
    step: Step = "change" if len(counts) > 1 or engines > 1 else "compare"
    return Verdict(answer="MAYBE", sentence=sentence, advice=advice, command=_command(placement, "cuda"), step=step)


def _advice(placement: Placement, engines: int, share: float) -> str:
    """Name what keeps most of the rest from TensorRT; where engines are many and tiny, a way to have fewer."""
    others = [node for node in placement.nodes if node.provider not in (TENSORRT, None)]
    causes = Counter(cause_of(node) for node in others)
    if not causes:
        return "Compare with CUDA alone"
    cause, count = causes.most_common(1)[0]
    what = f"{cause} ({_nodes(count)})" if len(causes) > 1 or count > 1 else cause
    tiny = sum(group.provider == TENSORRT and 0 < len(group.nodes) < TINY for group in placement.groups)
    if engines > 1 and share < MOSTLY and tiny * 2 > engines:
        return f"Most engines are tiny. Change what splits them, {what}, or compare with CUDA alone"
    return f"Change what keeps the rest from TensorRT: {what}. Or compare with CUDA alone"


def _command(placement: Placement, provider: str, more: str = "") -> str:
    return f"workbench run {_file(placement)} --provider {provider}{more}"


def _ready(placement: Placement) -> str:
    tensorrt = placement.runtime.tensorrt
    return f"workbench ready {_file(placement)}" + (f" --trt {nearest_release(tensorrt)}" if tensorrt else "")


def _file(placement: Placement) -> str:
    return shlex.quote(f"{placement.model or 'MODEL'}.onnx")
