"""A report as a table for a terminal or a pipe."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bela_module.reports.pulse_report import PulseReport
from bela_module.reports.recorded_stream import Floats
from bela_module.reports.recording_report import RecordingReport
from bela_module.reports.verdicts import ReportVerdict

_STYLES: Final = {
    ReportVerdict.OK: "green",
    ReportVerdict.WARN: "yellow",
    ReportVerdict.FAIL: "bold red",
}
_MAX_BREAKS: Final = 10
_MAX_EVENTS: Final = 30
_MAX_TIMES: Final = 8


def render_report(report: RecordingReport) -> RenderableType:
    """Draw a report: verdict, streams, clock, gaps, events, and a sentence for each finding."""
    parts: list[RenderableType] = [_headline(report)]
    if report.streams:
        parts += [Text(), _stream_table(report)]
    parts += _clock_lines(report)
    parts += _breaks(report)
    parts += _events(report)
    if report.others:
        named = ", ".join(f"{one.name} ({one.stamps_s.size})" for one in report.others)
        parts += [Text(), Text(f"other streams: {named}")]
    if report.pulses is not None:
        parts += [Text(), *_pulses(report.pulses, report.begins_s)]
    parts += [Text(), finding_table(report)]
    return Group(*parts)


def _headline(report: RecordingReport) -> Text:
    duration_s = report.recording.ends_s - report.begins_s
    line = Text(report.verdict.value.upper(), _STYLES[report.verdict])
    line.append(f"  {report.recording.path}", "")
    if math.isfinite(duration_s):
        line.append(f"  {duration_s:.1f} s")
    if math.isfinite(report.unix_begin_s):
        begun = datetime.fromtimestamp(report.unix_begin_s, UTC)
        line.append(f"  from {begun:%Y-%m-%d %H:%M:%S} UTC")
    return line


def _table(*columns: str, left: Iterable[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right", no_wrap=True)
    return table


def _stream_table(report: RecordingReport) -> Table:
    table = _table(
        "verdict", "stream", "mode", "samples", "nominal Hz", "effective Hz", "ppm", "gaps",
        "missing", "lost s", "told lost", "pauses",
        left=("verdict", "stream", "mode"),
    )  # fmt: skip
    for account in report.streams:
        stream, verdict = account.stream, report.verdict_on(account.title)
        irregular = stream.nominal_rate_hz <= 0
        n_pauses = sum(one.kind.value == "pause" for one in account.breaks)
        table.add_row(
            Text(verdict.value, _STYLES[verdict]),
            Text(account.title),
            stream.mode or "-",
            str(account.n_samples),
            "-" if irregular else f"{stream.nominal_rate_hz:.2f}",
            _number(account.effective_rate_hz, ".2f"),
            _number(account.rate_error_ppm, "+.1f"),
            "-" if irregular else str(len(account.losses)),
            "-" if irregular else str(account.n_missing),
            "-" if irregular else f"{account.missing_s:.3f}",
            str(sum(account.told.values())),
            "-" if irregular else str(n_pauses),
        )
    return table


def _number(number: float, spec: str) -> str:
    return format(number, spec) if math.isfinite(number) else "-"


def _clock_lines(report: RecordingReport) -> list[RenderableType]:
    return [
        Text(
            f"clock of {clock.board}: drift {_number(clock.median_drift_ppm, '+.1f')} ppm, "
            f"{clock.stamps_s.size} statements, {clock.n_restarts} restarts"
        )
        for clock in report.clocks
    ]


def _breaks(report: RecordingReport) -> list[RenderableType]:
    """Draw the longest breaks of all streams in the order of their times."""
    all_breaks = [(one, account) for account in report.streams for one in account.breaks]
    if not all_breaks:
        return []
    longest = sorted(all_breaks, key=lambda pair: -pair[0].duration_s)[:_MAX_BREAKS]
    table = _table("at s", "length s", "samples", "what", "stream", left=("what", "stream"))
    for one, account in sorted(longest, key=lambda pair: pair[0].begins_s):
        table.add_row(
            f"{one.begins_s - report.begins_s:.4f}",
            f"{one.duration_s:.4f}",
            str(one.n_samples) if one.kind.value == "loss" else "-",
            one.kind.value,
            Text(account.title),
        )
    parts: list[RenderableType] = [Text(), table]
    if len(all_breaks) > _MAX_BREAKS:
        parts.append(Text(f"the {_MAX_BREAKS} longest of {len(all_breaks)}; --json has all"))
    return parts


def _events(report: RecordingReport) -> list[RenderableType]:
    """Draw the first events."""
    if not report.events:
        return []
    table = _table("at s", "event", left=("event",))
    for marker in report.events[:_MAX_EVENTS]:
        table.add_row(f"{marker.stamp_s - report.begins_s:.4f}", Text(marker.text))
    parts: list[RenderableType] = [Text(), table]
    if len(report.events) > _MAX_EVENTS:
        parts.append(Text(f"the first {_MAX_EVENTS} of {len(report.events)}; --json has all"))
    return parts


def _pulses(pulses: PulseReport, begins_s: float) -> list[RenderableType]:
    """Draw the lag between two channels."""
    table = Table(box=None, pad_edge=False, show_header=False)
    n_outliers = int(pulses.is_outlier.sum())
    for what, text in (
        (
            "lag",
            f"{1e3 * pulses.lag_s:+.3f} ms in the median: {pulses.against.title} is "
            f"{'later' if pulses.lag_s >= 0 else 'earlier'} than {pulses.pulse.title}",
        ),
        ("drift", f"{pulses.drift_ppm:+.2f} ppm, {1e3 * pulses.change_s:+.3f} ms in all"),
        (
            "jitter",
            f"{1e3 * pulses.jitter_s:.3f} ms (robust SD), 95 % within {1e3 * pulses.p95_s:.3f} ms, "
            f"at most {1e3 * pulses.max_s:.3f} ms",
        ),
        ("resolution", f"{1e3 * pulses.resolution_s:.3f} ms, a sample of the slower channel"),
        ("pulses", f"{pulses.match.first.size} matched, {n_outliers} of them outliers"),
        *(
            (
                "unmatched",
                f"{times_s.size} of {edges.times_s.size} of {chosen.title}{_at(times_s, begins_s)}",
            )
            for chosen, edges, times_s in zip(
                (pulses.pulse, pulses.against),
                (pulses.pulse_edges, pulses.against_edges),
                pulses.unmatched_s,
                strict=True,
            )
        ),
        ("to do", pulses.advice),
    ):
        table.add_row(what, Text(text))
    return [Text(f"pulses of {pulses.pulse.title} against {pulses.against.title}"), table]


def _at(times_s: Floats, begins_s: float) -> str:
    """List some times."""
    if times_s.size == 0:
        return ""
    shown = ", ".join(f"{time_s - begins_s:.3f}" for time_s in times_s[:_MAX_TIMES])
    return f", at {shown}{', ...' if times_s.size > _MAX_TIMES else ''} s"


def finding_table(report: RecordingReport) -> Table:
    """Draw the findings, a line each: those that are not ok first."""
    table = Table(box=None, pad_edge=False, show_header=False)
    order = list(ReportVerdict)
    for one in sorted(report.findings, key=lambda one: -order.index(one.verdict)):
        verdict = Text(one.verdict.value, _STYLES[one.verdict])
        table.add_row(verdict, Text(one.about), Text(one.text))
    return table
