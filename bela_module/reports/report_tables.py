"""The tables of a report, as words: the same for a terminal and for a page. Pure."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bela_module.reports.pulses.pulse_report import PulseReport
from bela_module.reports.recorded_loop import RecordedLoop, delays
from bela_module.reports.recorded_stream import Floats
from bela_module.reports.recording_report import RecordingReport
from bela_module.reports.stream_account import BreakKind, StreamAccount
from bela_module.reports.verdicts import ReportVerdict

_MAX_BREAKS: Final = 10
_MAX_EVENTS: Final = 30
_MAX_TIMES: Final = 8


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table of words.

    Parameters
    ----------
    title : str
        What it is about.
    columns : tuple of str
        Heads of the columns, all of them empty when there are none.
    rows : sequence of tuple of str
        As many words each as there are columns. A verdict is one of ``ok``, ``warn``, ``fail``.
    numbers : frozenset of str
        Columns of numbers, which stand to the right.
    note : str
        What is left out, in words.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: frozenset[str] = frozenset()
    note: str = ""


def report_tables(report: RecordingReport) -> list[ReportTable]:
    """Give the tables of a report, the findings first; some may have no rows."""
    pulses = report.pulses
    return [
        _findings(report),
        ReportTable("Recording", ("", ""), recording_facts(report)),
        _streams(report),
        _loops(report.loops),
        *([] if pulses is None else [_pulses(pulses, report.begins_s)]),
        _breaks(report),
        _events(report),
    ]


def recording_facts(report: RecordingReport) -> list[tuple[str, str]]:
    """Say how long it is, when it was, what was stated of the clock, and what else is in it."""
    facts = []
    duration_s = report.recording.ends_s - report.begins_s
    if math.isfinite(duration_s):
        facts.append(("length", f"{duration_s:.1f} s"))
    with contextlib.suppress(ValueError, OverflowError, OSError):  # unknown, or damaged
        begun = datetime.fromtimestamp(report.unix_begin_s, UTC)
        facts.append(("begins", f"{begun:%Y-%m-%d %H:%M:%S} UTC"))
    facts += [
        (
            f"clock of {clock.board}",
            f"drift {_number(clock.median_drift_ppm, '+.1f')} ppm, {clock.stamps_s.size} "
            f"statements, {clock.n_restarts} restarts",
        )
        for clock in report.clocks
    ]
    if report.others:
        named = ", ".join(f"{one.name} ({one.stamps_s.size})" for one in report.others)
        facts.append(("other streams", named))
    return facts


def _findings(report: RecordingReport) -> ReportTable:
    order = list(ReportVerdict)
    rows = [
        (one.verdict.value, one.about, one.text)
        for one in sorted(report.findings, key=lambda one: -order.index(one.verdict))
    ]
    return ReportTable("Verdict", ("", "", ""), rows)


def _streams(report: RecordingReport) -> ReportTable:
    columns = (
        "", "stream", "samples", "Hz", "ppm", "gaps", "missing", "lost s", "told lost",
    )  # fmt: skip
    rows = [
        (report.verdict_on(account.title).value, account.title, *_stream_cells(account))
        for account in report.streams
    ]
    note = "ppm: off the nominal rate; told lost: values, by bela_events"
    return ReportTable("Streams", columns, rows, frozenset(columns[2:]), note)


def _stream_cells(account: StreamAccount) -> tuple[str, ...]:
    stream = account.stream
    n_samples = str(account.n_samples)
    effective, n_told = _number(account.effective_rate_hz, ".2f"), str(sum(account.told.values()))
    if stream.nominal_rate_hz <= 0:
        return n_samples, effective, *"----", n_told
    return (
        n_samples,
        effective,
        _number(account.rate_error_ppm, "+.1f"),
        str(len(account.losses)),
        str(account.n_missing),
        f"{account.missing_s:.3f}",
        n_told,
    )


def _loops(loops: Sequence[RecordedLoop]) -> ReportTable:
    columns = (
        "input", "commands", "lost", "one way ms", "p99", "max", "uncertainty ms", "round trip ms",
        "p99 back",
    )  # fmt: skip
    rows = []
    for loop in loops:
        one_way, back = delays(loop.one_way_s), delays(loop.round_trip_s)
        figures = (*one_way.values(), float(loop.uncertainty_s.max()), back["p50"], back["p99"])
        in_ms = (_number(1e3 * value, ".2f") for value in figures)
        rows.append((loop.title, str(loop.one_way_s.size), str(loop.n_lost), *in_ms))
    note = "from the stamp of the input to its effect, and until its echo was given to LSL"
    return ReportTable("Closed loop", columns, rows, frozenset(columns[1:]), note if rows else "")


def _number(number: float, spec: str) -> str:
    return format(number, spec) if math.isfinite(number) else "-"


def _breaks(report: RecordingReport) -> ReportTable:
    """Show the longest breaks of all streams in the order of their times."""
    pairs = [(one, account) for account in report.streams for one in account.breaks]
    longest = sorted(pairs, key=lambda pair: -pair[0].duration_s)[:_MAX_BREAKS]
    rows = [
        (
            f"{one.begins_s - report.begins_s:.4f}",
            f"{one.duration_s:.4f}",
            str(one.n_samples) if one.kind is BreakKind.LOSS else "-",
            one.kind.value,
            account.title,
        )
        for one, account in sorted(longest, key=lambda pair: pair[0].begins_s)
    ]
    columns = ("at s", "length s", "samples", "what", "stream")
    note = f"the {_MAX_BREAKS} longest of {len(pairs)}; --json has all"
    note = note if len(pairs) > _MAX_BREAKS else ""
    return ReportTable("Gaps and pauses", columns, rows, frozenset(columns[:3]), note)


def _events(report: RecordingReport) -> ReportTable:
    several = len({one.board for one in report.events}) > 1
    rows = [
        (f"{one.stamp_s - report.begins_s:.4f}", one.text, *([one.board] if several else []))
        for one in report.events[:_MAX_EVENTS]
    ]
    columns = ("at s", "event", "board") if several else ("at s", "event")
    n_events = len(report.events)
    note = f"the first {_MAX_EVENTS} of {n_events}; --json has all"
    note = note if n_events > _MAX_EVENTS else ""
    return ReportTable("Events", columns, rows, frozenset({"at s"}), note)


def _drift(pulses: PulseReport) -> str:
    drift = f"{pulses.drift_ppm:+.2f} ± {pulses.drift_error_ppm:.2f} ppm"
    if pulses.is_drifting:
        return f"{drift}, {1e3 * pulses.change_s:+.3f} ms in all"
    return f"none to be seen: {drift}"


def _pulses(pulses: PulseReport, begins_s: float) -> ReportTable:
    pulse, against = pulses.pulse.title, pulses.against.title
    later = "later" if pulses.lag_s >= 0 else "earlier"
    missing_s, missing_against_s = pulses.unmatched_s
    rows = [
        ("lag", f"{1e3 * pulses.lag_s:+.3f} ms in the median: {against} is {later} than {pulse}"),
        ("drift", _drift(pulses)),
        (
            "jitter",
            f"{1e3 * pulses.jitter_s:.3f} ms (robust SD), 95 % within {1e3 * pulses.p95_s:.3f} ms, "
            f"at most {1e3 * pulses.max_s:.3f} ms",
        ),
        ("resolution", f"{1e3 * pulses.resolution_s:.3f} ms, a sample of the slower channel"),
        (
            "pulses",
            f"{pulses.match.first.size} matched, {int(pulses.is_outlier.sum())} of them outliers",
        ),
        ("unmatched", _unmatched(pulse, missing_s, pulses.pulse_edges.times_s.size, begins_s)),
        (
            "unmatched",
            _unmatched(against, missing_against_s, pulses.against_edges.times_s.size, begins_s),
        ),
        ("to do", pulses.advice),
    ]
    return ReportTable(f"Pulses of {pulse} against {against}", ("", ""), rows)


def _unmatched(title: str, times_s: Floats, n_pulses: int, begins_s: float) -> str:
    """Say how many pulses of a channel have no counterpart, and when some of them are."""
    return f"{times_s.size} of {n_pulses} of {title}{_at(times_s - begins_s)}"


def _at(times_s: Sequence[float] | Floats) -> str:
    if len(times_s) == 0:
        return ""
    more = ", ..." if len(times_s) > _MAX_TIMES else ""
    return f", at {', '.join(f'{time_s:.3f}' for time_s in times_s[:_MAX_TIMES])}{more} s"
