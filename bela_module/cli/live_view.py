"""Live table of STATUS on the terminal, and the summary line at the end of a run."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Status = dict[str, Any]

_STATE_STYLES = {"streaming": "bold green", "idle": "dim", "stopping": "dim"}
_MAX_ROWS = 40
_MAX_NOTICES = 12


def render(status: Status) -> RenderableType:
    """Draw a STATUS object.

    Parameters
    ----------
    status : dict
        The STATUS object.

    Returns
    -------
    renderable
        For a rich console.
    """
    parts: list[RenderableType] = [_headline(status), _clock_line(status)]
    if status["streams"]:
        parts.append(_table(status["streams"]))
    parts += [_input_line(one) for one in status.get("inputs", ())]
    parts += [Text(problem, style="bold yellow") for problem in status["problems"]]
    told = [text for text in status["notices"] if text not in status["problems"]]
    parts += [Text(text, style="yellow") for text in told[-_MAX_NOTICES:]]
    if status["last_error"] and status["last_error"] not in (*told, *status["problems"]):
        parts.append(Text(str(status["last_error"]), style="yellow"))
    return Group(*parts)


def _headline(status: Status) -> Text:
    board = status["board"]
    state = status["state"]
    line = Text.assemble(
        ("dp-bela ", "bold"),
        (state, _STATE_STYLES.get(state, "bold yellow")),
        f"  {board['project'] or 'no project yet'} at {board['url']}",
    )
    if board["tick_rate_hz"] is not None:
        line.append(f"  {board['tick_rate_hz']:.2f} ticks/s", style="dim")
    return line


def _clock_line(status: Status) -> Text:
    clock, counters = status["clock"], status["counters"]
    line = Text(style="dim")
    if clock["uncertainty_s"] is not None:
        line.append(f"times within {clock['uncertainty_s'] * 1e6:.0f} µs")
        line.append(f", drift {_number(clock['drift_ppm'], '+.1f')} ppm")
        line.append(f", round trip {_number(_scaled(clock['rtt_s'], 1e3), '.2f')} ms, ")
    line.append(f"{counters['blocks']} blocks")
    for key in ("reconnects", "restarts", "bad_frames", "orphan_headers", "orphan_payloads"):
        if counters[key]:
            line.append(f", {counters[key]} {key.replace('_', ' ')}", style="yellow")
    return line


def _input_line(one: Status) -> Text:
    """Say what an input has received and sent, and how long that took where it is known."""
    line = Text.assemble(
        ("input ", "dim"),
        f"{one['name']} {one['state']}: {one['samples']} samples, {one['sent']} sent, "
        f"{one['dropped']} dropped, {one['refused']} refused",
    )
    loop = one.get("loop")
    if loop and loop["one_way_s"]:
        delays = loop["one_way_s"], loop["round_trip_s"]
        one_way, round_trip = (f"{1e3 * d['p50']:.2f} (p99 {1e3 * d['p99']:.2f})" for d in delays)
        line.append(f", to the board {one_way} ms, and back {round_trip} ms", style="dim")
    if loop and loop["lost"]:
        line.append(f", {loop['lost']} lost", style="red")
    return line


def _table(streams: list[Status]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stream")
    table.add_column("mode")
    table.add_column("format")
    for column in ("nominal Hz", "measured Hz", "samples", "lost", "gaps", "delay s"):
        table.add_column(column, justify="right")
    for stream in streams[:_MAX_ROWS]:
        lost = str(stream["lost"])
        table.add_row(
            Text(stream["name"]),  # whatever is in it is no markup
            stream["mode"],
            stream["format"],
            _number(stream["nominal_rate_hz"], ".2f"),
            _number(stream["effective_rate_hz"], ".2f"),
            str(stream["samples"]),
            Text(lost, style="red" if stream["lost"] else ""),
            str(stream["gaps"]),
            _number(stream["delay_s"], ".3f"),
        )
    if len(streams) > _MAX_ROWS:
        table.add_row(f"... and {len(streams) - _MAX_ROWS} more")
    return table


def _number(value: float | None, spec: str) -> str:
    return "-" if value is None else format(value, spec)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def totals(status: Status) -> tuple[int, int]:
    """Add up samples and lost values over all streams."""
    streams = status["streams"]
    return sum(s["samples"] for s in streams), sum(s["lost"] for s in streams)


def shortcoming(status: Status) -> str | None:
    """Say in a line what was asked for and not delivered; ``None`` when nothing is missing."""
    streams = status["streams"]
    if not streams:
        return status["last_error"] or "no stream was begun"
    silent = [
        s["name"]
        for s in streams
        if s["samples"] == 0 and s["mode"] == "dense" and s.get("assigned", True)
    ]
    if silent:
        return f"no samples in {', '.join(silent)}"
    if status["shortfalls"]:
        return "; ".join(status["shortfalls"])
    samples, lost = totals(status)
    if lost:
        return f"{lost} values were lost, {samples} samples were delivered"
    return None
