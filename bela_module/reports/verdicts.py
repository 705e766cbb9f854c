"""Verdicts on a recording: ok, warn or fail, with a sentence for each reason. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bela_module.reports.clock_account import ClockAccount
from bela_module.reports.event_markers import TROUBLES, EventMarker
from bela_module.reports.stream_account import BreakKind, StreamAccount

LOST_FAIL_SHARE: Final = 0.01
"""Share of the time of a stream that may be lost before the recording fails."""

UNCERTAINTY_WARN_S: Final = 0.005
"""Stated uncertainty from which on it is worth a warning."""

RATE_WARN_PPM: Final = 1000.0
"""Difference of the effective from the nominal rate from which on it is worth a warning."""


class ReportVerdict(StrEnum):
    """How good something is; the last is the worst."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class ReportFinding:
    """A reason for a verdict.

    Parameters
    ----------
    verdict : ReportVerdict
        How bad it is.
    about : str
        Stream, board or file that it is about.
    text : str
        What was found, in words.
    """

    verdict: ReportVerdict
    about: str
    text: str


def worst(verdicts: Iterable[ReportVerdict]) -> ReportVerdict:
    """Give the worst of some verdicts; ok when there is none."""
    order = list(ReportVerdict)
    return max(verdicts, key=order.index, default=ReportVerdict.OK)


def judge_stream(account: StreamAccount) -> list[ReportFinding]:
    """Judge a stream; one finding that is ok when nothing is wrong with it."""
    name = account.title
    found = [ReportFinding(verdict, name, text) for verdict, text in _stream_faults(account)]
    if found:
        return found
    what = "no time is missing" if account.stream.nominal_rate_hz > 0 else "no loss is told"
    return [
        ReportFinding(ReportVerdict.OK, name, f"{_counted(account.n_samples, 'sample')}, {what}")
    ]


def _stream_faults(account: StreamAccount) -> Iterator[tuple[ReportVerdict, str]]:
    warn, fail = ReportVerdict.WARN, ReportVerdict.FAIL
    if account.n_samples == 0:
        if account.stream.nominal_rate_hz > 0:
            yield warn, "no sample was recorded: nothing streamed while the recorder was there"
        else:
            yield ReportVerdict.OK, "no sample was recorded: the variable was not assigned"
        return
    if account.n_backwards:
        yield fail, f"{account.n_backwards} stamps are earlier than the one before"
    if account.n_repeated and account.stream.nominal_rate_hz > 0:
        yield warn, f"{account.n_repeated} stamps are the same as the one before"
    if account.losses:
        verdict = fail if account.missing_share >= LOST_FAIL_SHARE else warn
        yield (
            verdict,
            f"{account.n_missing} samples are missing in {_counted(len(account.losses), 'gap')}: "
            f"{account.missing_s:.3f} s, {100 * account.missing_share:.3g} % of the time",
        )
    if jumps := [one for one in account.breaks if one.kind is BreakKind.CLOCK]:
        yield (
            warn,
            (
                f"the board's clock stood still, {_counted(len(jumps), 'time')}, "
                f"{sum(one.duration_s for one in jumps):.4f} s in all: blocks that the board missed"
            ),
        )
    if account.stream.nominal_rate_hz <= 0 and (n_told := sum(account.told.values())):
        yield warn, f"events tell of {n_told} lost values"
    if account.n_told_elsewhere:
        yield (
            warn,
            (
                f"events tell of {account.n_told_elsewhere} lost values before its first sample, "
                "after its last or between runs, where no gap is seen"
            ),
        )
    for text in account.disagreements:
        yield warn, f"stamps and events disagree: {text}"
    if abs(account.rate_error_ppm) > RATE_WARN_PPM:  # never so when it is NaN
        yield (
            warn,
            (
                f"the rate is {account.effective_rate_hz:.2f} Hz, {account.rate_error_ppm:+.0f} "
                f"ppm from the {account.stream.nominal_rate_hz:.2f} Hz announced"
            ),
        )


def judge_clock(board: str, account: ClockAccount | None) -> ReportFinding:
    """Judge what was stated of the stamps of a board."""
    if account is None or math.isnan(account.max_uncertainty_s):
        what = "no bela_clock in this file" if account is None else "bela_clock has no uncertainty"
        text = f"{what}: nothing states how large the errors of the stamps can be"
        return ReportFinding(ReportVerdict.WARN, board, text)
    text = (
        f"stamps are within {1e3 * account.max_uncertainty_s:.3f} ms, "
        f"{1e3 * account.median_uncertainty_s:.3f} ms in the median, as stated"
    )
    if account.max_uncertainty_s > UNCERTAINTY_WARN_S:
        n_large = int((account.uncertainty_s > UNCERTAINTY_WARN_S).sum())
        text += (
            f"; more than {1e3 * UNCERTAINTY_WARN_S:g} ms in {n_large} of {account.stamps_s.size} "
            "statements: a slow network, rare ticks, or a busy computer"
        )
        return ReportFinding(ReportVerdict.WARN, board, text)
    return ReportFinding(ReportVerdict.OK, board, text)


def judge_events(board: str, has_events: bool, markers: Sequence[EventMarker]) -> ReportFinding:
    """Judge what the module told while it was recorded; gaps are judged with the streams."""
    if not has_events:
        return ReportFinding(
            ReportVerdict.WARN,
            board,
            "no bela_events in this file: nothing tells of losses, restarts and errors",
        )
    troubles = Counter(marker.kind for marker in markers if marker.kind in TROUBLES)
    if troubles:
        counted = ", ".join(f"{kind} ({n})" for kind, n in troubles.items())
        return ReportFinding(ReportVerdict.WARN, board, f"events tell of trouble: {counted}")
    return ReportFinding(
        ReportVerdict.OK, board, f"{_counted(len(markers), 'event')}, none of trouble"
    )


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
