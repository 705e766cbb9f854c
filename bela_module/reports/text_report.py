"""A report as text for a terminal or a pipe."""

from __future__ import annotations

import io
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bela_module.reports.recording_report import RecordingReport
from bela_module.reports.report_tables import ReportTable, recording_facts, report_tables
from bela_module.reports.verdicts import ReportVerdict

_STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def render_report(report: RecordingReport) -> RenderableType:
    """Draw a report: verdict and its reasons, streams, pulses, gaps and events."""
    verdict = report.verdict
    headline = _verdict(verdict)
    headline.append(f"  {report.recording.path}", "")
    parts: list[RenderableType] = [headline]
    parts += [Text(f"{what}: {text}") for what, text in recording_facts(report)]
    for table in report_tables(report):
        if table.rows and table.title != "Recording":
            parts += [Text(), *_table(table)]
    return Group(*parts)


def plain_report(report: RecordingReport, n_columns: int) -> str:
    """Write a report as lines of plain text, so many columns wide at most."""
    text = io.StringIO()
    console = Console(file=text, width=n_columns, highlight=False, color_system=None)
    console.print(render_report(report))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _verdict(verdict: ReportVerdict) -> Text:
    return Text(verdict.value.upper(), _STYLES[verdict.value])


def _table(table: ReportTable) -> list[RenderableType]:
    has_head = any(table.columns)
    drawn = Table(
        box=None, pad_edge=False, padding=(0, 1), header_style="bold", show_header=has_head
    )
    for column in table.columns:
        drawn.add_column(
            column, justify="right" if column in table.numbers else "left", overflow="fold"
        )
    for row in table.rows:
        drawn.add_row(*(Text(cell, _STYLES.get(cell, "")) for cell in row))  # names are no markup
    parts: list[RenderableType] = [] if has_head else [Text(table.title, "bold")]
    return [*parts, drawn, *([Text(table.note)] if table.note else [])]
