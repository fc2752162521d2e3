"""What a search for sensitive nodes found, and the same as text for other tools."""

from __future__ import annotations

import shlex
from typing import Literal, Self

from workbench.options.mapping import Options
from workbench.options.settings import Settings
from workbench.placement.wording import counted
from workbench.record import Evidence, Finding, Record
from workbench.runtime.lowering.trials import Lowering, NodeEvidence, SetMeasured
from workbench.study.target import Target, judge

SPREAD = 0.25  # share of the candidates from which keeping them is no repair any more


class SetError(Record):
    """What the outputs lose with one set of nodes in float32: the worst output of each measure.

    Attributes
    ----------
    ok : bool
        Whether the target holds.
    why : str
        Why not; empty where it holds.
    rel_l2, cosine, sqnr_db : float or None
        Of the worst output; ``None`` where nothing finite can be compared.
    not_finite : int
        How many elements are NaN or infinite where the reference's are not.
    task_value, task_drop : float or None
        Task accuracy, and the points lost; ``None`` without labels.
    """

    ok: bool
    why: str
    rel_l2: float | None
    cosine: float | None
    sqnr_db: float | None
    not_finite: int
    task_value: float | None = None
    task_drop: float | None = None

    @classmethod
    def of(cls, measured: SetMeasured, target: Target) -> Self:
        """Judge what was measured."""
        judged = judge(measured.accuracy, measured.task, target)
        ok = judged.ok and judged.judged and not measured.failure
        rows = measured.accuracy
        return cls(
            ok=ok,
            why="" if ok else measured.failure or judged.why,
            rel_l2=max((row.rel_l2 for row in rows if row.rel_l2 is not None), default=None),
            cosine=min((row.cosine for row in rows if row.cosine is not None), default=None),
            sqnr_db=min((row.sqnr_db for row in rows if row.sqnr_db is not None), default=None),
            not_finite=sum(row.not_finite_differing for row in rows),
            task_value=measured.task.value if measured.task else None,
            task_drop=measured.task.drop if measured.task else None,
        )

    def __str__(self) -> str:
        if self.not_finite:
            return f"{self.not_finite:,} elements are not finite"
        parts = [f"relative L2 {self.rel_l2:.3g}"] if self.rel_l2 is not None else []
        parts += [f"{round(self.task_drop, 2) + 0.0:.2f} points lost"] if self.task_drop is not None else []  # no -0.00
        return ", ".join(parts) or self.why or "no difference"


def unverified(verified: SetError | None) -> list[Finding]:
    """Say that the real graph misses the target that its emulation meets; nothing where it does not, or was not run."""
    if verified is None or verified.ok:
        return []
    meaning = "This provider computes half precision in float32, without the roundings between nodes: a GPU is nearer to the "
    seen = f"run here as it will be written, the graph misses the target: {verified}"
    action = "Measure the written model where it will run."
    return [Finding(level="warning", where="real graph", seen=seen, meaning=f"{meaning}emulation.", action=action)]


class Trial(Record):
    """One set that was tried.

    Attributes
    ----------
    number : int
        How many were run so far.
    kept : int
        How many nodes were in float32.
    error : SetError
        What came of it.
    best : int or None
        Size of the smallest set so far that holds.
    seconds : float
        Since the search began.
    fresh : bool
        Whether it was run now, rather than found among earlier answers.
    """

    number: int
    kept: int
    error: SetError
    best: int | None
    seconds: float
    fresh: bool

    def __str__(self) -> str:
        holds = "holds" if self.error.ok else "fails"
        smallest = f"; smallest so far {self.best}" if self.best is not None else ""
        return f"set {self.number}: {counted(self.kept, 'node')} in float32: {self.error}: {holds}{smallest}"


class RankedNode(Record):
    """A candidate in the order of suspicion.

    Attributes
    ----------
    node : NodeEvidence
        What was seen of it.
    keep : bool
        Whether it must stay in float32.
    alone : SetError or None
        What came of keeping it alone, where that was tried.
    """

    node: NodeEvidence
    keep: bool
    alone: SetError | None = None


class Sensitivity(Record):
    """What a search found.

    Attributes
    ----------
    model : str
        The model's name.
    content_hash : str
        Of its content.
    lowering : Lowering
        To what precision, on which provider and inputs.
    target : Target
        What must hold.
    status : str
        ``found``: no node of `keep` can be left out. ``impossible``: the target does not hold even with every candidate
        in float32. ``stopped``: cancelled, or out of time; `keep` is the smallest set so far, where one holds.
    keep : tuple of str
        The nodes to keep in float32 (out of INT8), the most suspicious first; empty where none need be.
    ranking : tuple of RankedNode
        All candidates, in the order of suspicion.
    lowered, repaired : SetError or None
        With everything lowered, and with `keep` in float32.
    verified : SetError or None
        `keep` in the real graph, where the search emulated it.
    tried, recalled : int
        Sets that were run now, and those whose answer was known from before.
    seconds : float
        Of the search.
    samples : int
        How many inputs each set was run on.
    origin : str
        Where they come from.
    emulated : bool
        Whether candidates computed in float32 with roundings.
    findings : tuple of Finding
        What is odd about the inputs, or could not be tried.
    evidence : str
        ``measured``, or ``recorded`` where it was read back.
    """

    model: str
    content_hash: str
    lowering: Lowering
    target: Target
    status: Literal["found", "impossible", "stopped"]
    keep: tuple[str, ...]
    ranking: tuple[RankedNode, ...]
    lowered: SetError | None
    repaired: SetError | None
    verified: SetError | None
    tried: int
    recalled: int
    seconds: float
    samples: int = 0
    origin: str = ""
    emulated: bool = False
    findings: tuple[Finding, ...] = ()
    evidence: Evidence

    @property
    def holds(self) -> bool:
        """Whether `keep` is known to meet the target."""
        return self.repaired is not None and self.repaired.ok

    @property
    def sentence(self) -> str:
        """What was found, in one sentence."""
        to = self.lowering.to
        if self.status == "impossible":
            return f"The target ({self.target}) does not hold even with every candidate in float32."
        if not self.holds:
            return f"The search was stopped before a set was found with which {to} meets the target ({self.target})."
        if not self.keep:
            return f"The whole model can be {to}: the target ({self.target}) holds."
        count = len(self.keep)
        named = ", ".join(self.keep[:3]) + (", …" if count > 3 else "")
        more = "" if self.status == "found" else "; the search was stopped, a smaller set may do"
        must = f"{count} of {len(self.ranking)} nodes must stay in float32"
        return f"{must} for {to} to meet the target ({self.target}): {named}{more}."

    def advice(self) -> list[str]:
        """Return what can be done with provider flags, which cannot name nodes."""
        kept = {row.node.op_type for row in self.ranking if row.keep}
        if not self.holds or not kept:
            return []
        found = []
        if len(self.keep) > SPREAD * len(self.ranking):
            found.append(
                "The error is spread over the whole model, no few nodes make it: relax the target, or choose another precision."
            )
        found.append(
            "Provider flags cannot keep single nodes in float32: write the graph with casts; `workbench convert` does, and says "
            "which flags the installed versions need beside them."
        )
        norms = {op for op in kept if "Normalization" in op}
        squares = {row.node.op_type for row in self.ranking if row.keep and any(c.startswith("square") for c in row.node.causes)}
        if norms or (squares and self.lowering.to == "fp16"):
            found.append("trt_layer_norm_fp32_fallback=True keeps layer normalisation in float32 where TensorRT recognises it.")
        if any(cause.startswith("softmax mask") for row in self.ranking if row.keep for cause in row.node.causes):
            found.append("A softmax mask of -1e4 in place of -1e9 masks as well, and float16 holds it: clip the weights.")
        return found

    def flag_settings(self) -> Settings | None:
        """Return TensorRT Settings that come nearest; ``None`` where no flag keeps these nodes in float32."""
        kept = [row.node for row in self.ranking if row.keep]
        norm = all("Normalization" in node.op_type for node in kept)
        if not self.holds or not norm or self.lowering.to != "fp16":
            return None
        options = Options({"trt_layer_norm_fp32_fallback": True} if kept else {})
        return Settings(provider="tensorrt", precision="fp16", provider_options=options)

    def tools(self) -> dict[str, str]:
        """Return the set as arguments of other tools, by the tool's name."""
        return {"trtexec": self.layer_precisions(), "polygraphy": self.polygraphy(), "modelopt autocast": self.autocast()}

    def layer_precisions(self) -> str:
        """Return the set as trtexec's ``--layerPrecisions``, for TensorRT 8.6 to 10: its layers have the nodes' names."""
        if not self.keep:
            return ""
        pairs = ",".join(f"{name}:fp32" for name in self.keep)
        return f"--precisionConstraints=obey --layerPrecisions={shlex.quote(pairs)}"

    def polygraphy(self) -> str:
        """Return the set as arguments of ``polygraphy run`` and ``polygraphy convert``."""
        if not self.keep:
            return ""
        pairs = " ".join(shlex.quote(f"{name}:float32") for name in self.keep)
        return f"--precision-constraints obey --layer-precisions {pairs}"

    def autocast(self) -> str:
        """Return the set as arguments of ModelOpt's AutoCast: it takes regular expressions."""
        import re

        if not self.keep:
            return ""
        names = " ".join(shlex.quote(f"^{re.escape(name)}$") for name in self.keep)
        return f"--nodes_to_exclude {names}"
