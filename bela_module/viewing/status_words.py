"""What the head of the page says of a module, in words, from its STATUS object. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

_MAX_PROBLEMS: Final = 4
_MAX_NOTICES: Final = 2
_GOOD_STATES: Final = ("streaming", "prepared", "idle")


@dataclass(frozen=True, slots=True)
class HeaderWords:
    """The head of the page.

    Attributes
    ----------
    state : str
        One word.
    is_good : bool
        Whether that is a state in which nothing is waited for.
    board, clock, losses : str
        A short phrase each.
    problems : tuple of str
        What is wrong now, a sentence each.
    notices : tuple of str
        The latest of what was wrong before.
    """

    state: str
    is_good: bool
    board: str
    clock: str
    losses: str
    problems: tuple[str, ...]
    notices: tuple[str, ...] = ()

    def as_html(self) -> str:
        """Give it as HTML; whatever is in a name stays text."""
        kind = "bad" if self.problems else ("good" if self.is_good else "wait")
        parts = [f'<b class="state {kind}">{escape(self.state)}</b>']
        parts += [
            f'<span class="fact">{escape(words)}</span>'
            for words in (self.board, self.clock, self.losses)
            if words
        ]
        shown = [f"<li>{escape(words)}</li>" for words in self.problems[:_MAX_PROBLEMS]]
        more = len(self.problems) - _MAX_PROBLEMS
        if more > 0:
            shown.append(f"<li>and {more} more</li>")
        shown += [f'<li class="before">{escape(words)}</li>' for words in self.notices]
        problems = f'<ul class="problems">{"".join(shown)}</ul>' if shown else ""
        return f'<div role="status" class="facts">{"".join(parts)}</div>{problems}'


def describe_status(status: Mapping[str, Any] | None, address: str) -> HeaderWords:
    """Describe a module.

    Parameters
    ----------
    status : mapping or None
        Its STATUS object; None when it does not answer.
    address : str
        Where it is asked.
    """
    if status is None:
        problem = f"no dp-bela answers at {address}: is it running?"
        return HeaderWords("not there", False, "", "", "", (problem,))
    state = str(status["state"])
    problems = [*status["problems"], *status["shortfalls"]]
    check = status.get("last_check")
    if check and check["verdict"] != "ok":
        problems += [
            f"check: {one['name']}: {one['measured']}; {one['advice']}".removesuffix("; ")
            for one in check["checks"]
            if one["verdict"] == "fail"
        ]
    told = [text for text in status["notices"] if text not in problems]
    error = status["last_error"]
    if error and error not in (*told, *problems):
        told.append(error)
    return HeaderWords(
        state=state,
        is_good=state in _GOOD_STATES,
        board=_board_words(status["board"]),
        clock=_clock_words(status["clock"]),
        losses=_loss_words(status["streams"]),
        problems=tuple(str(problem) for problem in problems),
        notices=tuple(str(text) for text in told[-_MAX_NOTICES:]),
    )


def _board_words(board: Mapping[str, Any]) -> str:
    project = board["project"] or "no project known"
    return f"{project} at {board['url']}" + ("" if board["connected"] else ", not connected")


def _clock_words(clock: Mapping[str, Any]) -> str:
    uncertainty_s, drift_ppm = clock["uncertainty_s"], clock["drift_ppm"]
    if uncertainty_s is None:
        return "clock not known yet"
    drift = f", drift {drift_ppm:+.1f} ppm" if drift_ppm is not None else ""
    uncertainty = (
        f"{uncertainty_s:.2g} s" if uncertainty_s >= 1 else f"{_rounded(1e3 * uncertainty_s)} ms"
    )
    return f"times within {uncertainty}{drift}"


def _loss_words(streams: Sequence[Mapping[str, Any]]) -> str:
    if not streams:
        return "no streams"
    n_samples = sum(stream["samples"] for stream in streams)
    n_lost = sum(stream["lost"] for stream in streams)
    n_gaps = sum(stream["gaps"] for stream in streams)
    losses = f"{n_lost} lost in {_counted(n_gaps, 'gap')}" if n_lost else "none lost"
    return f"{_counted(len(streams), 'stream')}, {n_samples} samples, {losses}"


def _rounded(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
