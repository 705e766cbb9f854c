"""What a recording proves: accounts of all streams, verdicts, and the same as a JSON object. Pure.

The keys of the JSON object are in ``docs/report.md``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bela_module.errors import RecordingError
from bela_module.reports.clock_account import ClockAccount, clock_account
from bela_module.reports.event_markers import EventMarker, event_markers
from bela_module.reports.pulses.pulse_report import PulseReport, judge_pulses, pulses_json
from bela_module.reports.recorded_loop import RecordedLoop, recorded_loops
from bela_module.reports.recorded_stream import LoadedRecording, RecordedStream, StreamRole
from bela_module.reports.stream_account import StreamAccount, account_for
from bela_module.reports.verdicts import (
    ReportFinding,
    ReportVerdict,
    judge_clock,
    judge_events,
    judge_stream,
    worst,
)


@dataclass(frozen=True, slots=True, eq=False)
class RecordingReport:
    """What a recording proves.

    Attributes
    ----------
    recording : LoadedRecording
        What was read.
    streams : tuple of StreamAccount
        Of our streams of samples.
    clocks : tuple of ClockAccount
        One for each board whose ``bela_clock`` is there.
    events : tuple of EventMarker
        Of all boards, in the order of their times.
    others : tuple of RecordedStream
        Streams of other programs.
    findings : tuple of ReportFinding
        Reasons for the verdict.
    loops : tuple of RecordedLoop
        One for each input whose commands were measured.
    pulses : PulseReport, optional
        Of two channels that saw the same pulses, when they were asked for.
    """

    recording: LoadedRecording
    streams: tuple[StreamAccount, ...]
    clocks: tuple[ClockAccount, ...]
    events: tuple[EventMarker, ...]
    others: tuple[RecordedStream, ...]
    findings: tuple[ReportFinding, ...]
    loops: tuple[RecordedLoop, ...] = ()
    pulses: PulseReport | None = None

    @property
    def verdict(self) -> ReportVerdict:
        """The worst of all findings."""
        return worst(finding.verdict for finding in self.findings)

    @property
    def begins_s(self) -> float:
        """LSL seconds of the first stamp in the file; times are shown since then."""
        return self.recording.begins_s

    @property
    def unix_begin_s(self) -> float:
        """Seconds since 1970 of the first stamp, as ``bela_clock`` tells; NaN when unknown."""
        known = [clock for clock in self.clocks if math.isfinite(clock.unix_minus_lsl_s)]
        return self.begins_s + known[0].unix_minus_lsl_s if known else math.nan

    def verdict_on(self, about: str) -> ReportVerdict:
        """Give the verdict on a stream or a board."""
        return worst(one.verdict for one in self.findings if one.about == about)


def report_on(recording: LoadedRecording, pulses: PulseReport | None = None) -> RecordingReport:
    """Account for all streams of a recording.

    Parameters
    ----------
    recording : LoadedRecording
        As read by :func:`bela_module.reports.xdf_reader.read_recording`.
    pulses : PulseReport, optional
        The lag between two of its channels, if it is to be in the report.
    """
    findings = [ReportFinding(ReportVerdict.WARN, "the file", text) for text in recording.warnings]
    accounts: list[StreamAccount] = []
    clocks: list[ClockAccount] = []
    events: list[EventMarker] = []
    loops: list[RecordedLoop] = []
    for board in dict.fromkeys(stream.board for stream in recording.streams if stream.is_ours):
        mine = [stream for stream in recording.streams if stream.board == board]
        told_by = [stream for stream in mine if stream.role is StreamRole.EVENTS]
        markers = event_markers(told_by)
        samples = [stream for stream in mine if stream.role is StreamRole.SAMPLES]
        known = frozenset(label for stream in samples for label in stream.labels)
        for stream in samples:
            is_twice = sum(one.name == stream.name for one in recording.streams) > 1
            title = f"{stream.name} ({board}, {stream.number})" if is_twice else stream.name
            account = account_for(stream, markers, known, title)
            accounts.append(account)
            findings += judge_stream(account)
        clock = clock_account(board, [one for one in mine if one.role is StreamRole.CLOCK])
        findings.append(judge_clock(board, clock))
        findings.append(judge_events(board, bool(told_by), markers))
        clocks += [] if clock is None else [clock]
        events += markers
        loops += recorded_loops(board, [one for one in mine if one.role is StreamRole.LOOP])
    findings += [] if pulses is None else judge_pulses(pulses)
    return RecordingReport(
        recording=recording,
        streams=tuple(accounts),
        clocks=tuple(clocks),
        events=tuple(sorted(events, key=lambda marker: marker.stamp_s)),
        others=tuple(s for s in recording.streams if s.role is StreamRole.OTHER),
        findings=tuple(findings),
        loops=tuple(loops),
        pulses=pulses,
    )


def require_ours(report: RecordingReport) -> None:
    """Refuse a recording that has no stream of this module, unless pulses were asked for.

    Raises
    ------
    RecordingError
        There is none; the message names what is there.
    """
    if report.pulses is not None or len(report.others) < len(report.recording.streams):
        return
    names = ", ".join(stream.name for stream in report.others[:8])
    raise RecordingError(
        f"{report.recording.path} has no stream of dp-bela (source_id 'bela:...'), only {names}; "
        "was the recorder started before the module had opened its streams?"
    )


def as_json(report: RecordingReport) -> dict[str, Any]:
    """Give the report as an object for JSON, once :func:`without_nan` has gone over it."""
    begins_s = report.begins_s
    return {
        "file": report.recording.path,
        "verdict": report.verdict.value,
        "begins_lsl_s": begins_s,
        "begins_unix_s": report.unix_begin_s,
        "duration_s": report.recording.ends_s - begins_s,
        "findings": [
            {"verdict": one.verdict.value, "about": one.about, "text": one.text}
            for one in report.findings
        ],
        "streams": [_stream_json(account, report) for account in report.streams],
        "clocks": [_clock_json(clock, begins_s) for clock in report.clocks],
        "loops": [loop.as_json() for loop in report.loops],
        "events": [
            {"at_s": one.stamp_s - begins_s, "text": one.text, "board": one.board}
            for one in report.events
        ],
        "other_streams": [
            {"name": one.name, "source_id": one.source_id, "samples": one.stamps_s.size}
            for one in report.others
        ],
        "pulses": None if report.pulses is None else pulses_json(report.pulses, begins_s),
    }


def _stream_json(account: StreamAccount, report: RecordingReport) -> dict[str, Any]:
    stream, begins_s = account.stream, report.begins_s
    has_samples = account.n_samples > 0
    return {
        "name": stream.name,
        "source_id": stream.source_id,
        "board": stream.board,
        "mode": stream.mode or None,
        "format": stream.channel_format,
        "channels": list(stream.labels),
        "verdict": report.verdict_on(account.title).value,
        "samples": account.n_samples,
        "first_s": float(stream.stamps_s[0]) - begins_s if has_samples else None,
        "last_s": float(stream.stamps_s[-1]) - begins_s if has_samples else None,
        "streamed_s": account.streamed_s,
        "nominal_rate_hz": stream.nominal_rate_hz,
        "effective_rate_hz": account.effective_rate_hz,
        "rate_error_ppm": account.rate_error_ppm,
        "missing_samples": account.n_missing,
        "missing_s": account.missing_s,
        "missing_share": account.missing_share,
        "not_numbers": account.n_not_numbers,
        "told_lost": account.told,
        "told_lost_elsewhere": account.n_told_elsewhere,
        "backward_stamps": account.n_backwards,
        "repeated_stamps": account.n_repeated,
        "breaks": [
            {
                "kind": one.kind.value,
                "at_s": one.begins_s - begins_s,
                "duration_s": one.duration_s,
                "samples": one.n_samples,
            }
            for one in account.breaks
        ],
    }


def _clock_json(clock: ClockAccount, begins_s: float) -> dict[str, Any]:
    return {
        "board": clock.board,
        "samples": clock.stamps_s.size,
        "max_uncertainty_s": clock.max_uncertainty_s,
        "median_uncertainty_s": clock.median_uncertainty_s,
        "median_drift_ppm": clock.median_drift_ppm,
        "restarts": clock.n_restarts,
        "at_s": (clock.stamps_s - begins_s).tolist(),
        "uncertainty_s": clock.uncertainty_s.tolist(),
        "drift_ppm": clock.drift_ppm.tolist(),
        "rtt_s": clock.rtt_s.tolist(),
    }


def without_nan(value: Any) -> Any:
    """Replace what is not finite by ``None``, since JSON has no such number."""
    if isinstance(value, Mapping):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
