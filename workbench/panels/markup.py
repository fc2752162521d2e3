"""Small pieces of HTML for ``ipywidgets.HTML``. Every text that comes from elsewhere is escaped here."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workbench.record import Finding

LEVELS = ("info", "success", "warning", "error", "busy")


def notice(level: str, message: str, remedy: str = "") -> str:
    """Return a line with a colour for its level (one of ``LEVELS``); the remedy stands apart. Empty for no message."""
    if not message:
        return ""
    tail = f' <span class="wb-remedy">{escape(remedy)}</span>' if remedy else ""
    role = "alert" if level == "error" else "status"
    return f'<div class="wb-notice wb-{level}" role="{role}">{escape(message)}{tail}</div>'


def badge(text: str, kind: str = "plain", title: str = "") -> str:
    """Return a small label; evidence has kinds of its own (predicted, measured, recorded)."""
    return f'<span class="wb-badge wb-badge-{escape(kind)}" title="{escape(title)}">{escape(text)}</span>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return names and values in columns; the values are text."""
    items = "".join(
        f'<div class="wb-fact"><div class="wb-fact-name">{escape(name)}</div>'
        f'<div class="wb-fact-value">{escape(value)}</div></div>'
        for name, value in pairs
    )
    return f'<div class="wb-facts">{items}</div>'


def heading(text: str, note: str = "") -> str:
    """Return a small heading within a panel."""
    tail = f' <span class="wb-note">{escape(note)}</span>' if note else ""
    return f'<div class="wb-heading">{escape(text)}{tail}</div>'


def note(text: str) -> str:
    """Return a line of small print."""
    return f'<div class="wb-note">{escape(text)}</div>' if text else ""


def finding_list(findings: Sequence[Finding], nothing: str = "") -> str:
    """Return findings as a list, each with what was seen, what it means and what to do."""
    if not findings:
        return note(nothing)
    return f'<ul class="wb-findings">{"".join(_finding(finding) for finding in findings)}</ul>'


def _finding(finding: Finding) -> str:
    body = " ".join(escape(part) for part in (_sentence(finding.seen), finding.meaning) if part)
    action = f' <span class="wb-remedy">{escape(finding.action)}</span>' if finding.action else ""
    return f'<li class="wb-finding wb-{finding.level}"><b>{escape(finding.where)}</b> {body}{action}</li>'


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def grid(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Return a plain table of text; the columns at the positions `numbers` are right-aligned."""
    side = ["wb-right" if at in numbers else "" for at in range(len(header))]
    head = "".join(f'<th class="{side[at]}">{escape(cell)}</th>' for at, cell in enumerate(header))
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{side[at]}" title="{escape(cell)}">{escape(cell)}</td>' for at, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f'<table class="wb-grid"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def verdict(answer: str, sentence: str, action: str, mark: str, source: str = "") -> str:
    """Return a card with a short answer (YES, MAYBE or NO), what was found and what to do.

    Parameters
    ----------
    mark : str
        HTML of :func:`badge`.
    source : str
        What the answer speaks of, such as releases.
    """
    level = {"YES": "success", "MAYBE": "warning", "NO": "error"}.get(answer, "info")
    action = f'<div class="wb-advice">{escape(action)}</div>' if action else ""
    source = f'<span class="wb-note wb-source">{escape(source)}</span>' if source else ""
    return (
        f'<div class="wb-verdict wb-{level}"><div class="wb-answer">{escape(answer)}</div>'
        f'<div class="wb-verdict-text"><div>{mark}<b>{escape(sentence)}</b>{source}</div>{action}</div></div>'
    )


def label(text: str) -> str:
    """Return the label of a control beside it."""
    return f'<span class="wb-label">{escape(text)}</span>'


def lines(level: str, headline: str, texts: Sequence[str]) -> str:
    """Return a notice with further lines below it."""
    more = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<div class="wb-notice wb-{level}" role="status"><b>{escape(headline)}</b>{f"<ul>{more}</ul>" if more else ""}</div>'


def wrapping(table: str) -> str:
    """Return a table of :func:`grid` whose long cells go on in further lines instead of being cut off."""
    return f'<div class="wb-wrapping">{table}</div>'


def square(colour: str, name: str) -> str:
    """Return an entry of a legend: a square of a colour, ``#rrggbb``, and what it stands for."""
    return f'<span class="wb-key"><i style="background:{escape(colour)}"></i>{escape(name)}</span>'


def dimension(name: str, places: str) -> str:
    """Return the name of a dimension, and where it occurs."""
    return f'<b>{escape(name)}</b> <span class="wb-note">{escape(places)}</span>'


def dimension_head() -> str:
    """Return the headings over the fields of dimensions."""
    return '<div class="wb-dimension-head"><span>Dimension</span><span>min</span><span>opt</span><span>max</span></div>'


def log(texts: Sequence[str], total: int, *, unfolded: bool = False) -> str:
    """Return the last lines of a log, folded away or not; empty for none."""
    if not texts:
        return ""
    shown = "\n".join(escape(text) for text in texts)
    state = " open" if unfolded else ""
    return f'<details class="wb-log"{state}><summary>Log, {total:,} lines</summary><pre>{shown}</pre></details>'


def head(model: str, settings: str, doing: str) -> str:
    """Return the line over the tabs: what is open, and what goes on."""
    busy = f'<span class="wb-doing"><span class="wb-spinner"></span>{escape(doing)}</span>' if doing else ""
    return f'<div class="wb-headline"><b>{escape(model)}</b><span class="wb-note">{escape(settings)}</span>{busy}</div>'


def notes(texts: Sequence[str]) -> str:
    """Return what a reader should know besides, folded away; empty for nothing."""
    if not texts:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<details class="wb-notes"><summary>What this does not say</summary><ul>{items}</ul></details>'


def changes(rows: Iterable[tuple[str, str, str]]) -> str:
    """Return quantities before and after: (name, before, after)."""
    cells = "".join(
        f'<span class="wb-name">{escape(name)}</span><span class="wb-now">{escape(now)}</span>'
        f'<span>→</span><span class="wb-then">{escape(then)}</span>'
        for name, now, then in rows
    )
    return f'<div class="wb-change">{cells}</div>'


def moves(groups: Iterable[tuple[str, Sequence[tuple[str, str]]]], total: int, unlisted: int) -> str:
    """Return the nodes that move, folded away; each group is a way and the (name, operator) of its nodes."""
    if not total:
        return ""
    rows = [(way, name, operator) for way, nodes in groups for name, operator in nodes]
    more = note(f"and {unlisted:,} more") if unlisted else ""
    summary = f"{total:,} node{'s move' if total != 1 else ' moves'}"
    return folded(summary, grid(("", "Node", "Operator"), rows) + more)


def cost(pairs: Iterable[tuple[str, str]], header: Sequence[str], rows: Sequence[Sequence[str]], unlisted: int) -> str:
    """Return amounts with what they are of in a line, and a table folded away behind it."""
    line = "".join(f"<span><b>{escape(amount)}</b> {escape(of)}</span>" for amount, of in pairs)
    if not rows:
        return f'<div class="wb-cost">{line}</div>'
    more = note(f"and {unlisted:,} smaller ones") if unlisted else ""
    table = grid(header, rows, numbers=(4,))
    return f'<details class="wb-moves"><summary><span class="wb-cost">{line}</span></summary><div>{table}{more}</div></details>'


def folded(summary: str, content: str) -> str:
    """Return HTML of this module behind a line that unfolds it."""
    return f'<details class="wb-moves"><summary>{escape(summary)}</summary><div>{content}</div></details>'


def bullets(texts: Iterable[str]) -> str:
    """Return a plain list."""
    return f'<ul class="wb-bullets">{"".join(f"<li>{escape(text)}</li>" for text in texts)}</ul>'
