"""A report as one HTML file with pictures, which needs no network, light or dark as the reader's.

The numbers are those of the JSON object, in tables.
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Final

from bela_module.errors import RecordingError
from bela_module.reports.recording_report import RecordingReport
from bela_module.reports.report_figures import as_svg, drawings
from bela_module.reports.report_tables import ReportTable, report_tables
from bela_module.version import __version__

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem;
  color: light-dark(#1c1c1c, #e6e6e6); background: light-dark(#ffffff, #161616); }
h1 { font-size: 1.3rem; overflow-wrap: anywhere; } h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .15rem .9rem .15rem 0; vertical-align: top; }
th { font-weight: 600; border-bottom: 1px solid #8888; }
td.number, th.number { text-align: right; }
.scroll { overflow-x: auto; } svg { max-width: 100%; height: auto; }
.ok { color: light-dark(#1a7f37, #57c878); } .warn { color: light-dark(#946000, #e3b341); }
.fail { color: light-dark(#c21f1f, #ff7b72); font-weight: 600; }
footer { margin-top: 3rem; color: #888; }
"""
_VERDICTS: Final = ("ok", "warn", "fail")
_CLASS: Final = {True: ' class="number"', False: ""}


def html_page(report: RecordingReport) -> str:
    """Write a report as a page.

    Raises
    ------
    ExtraMissingError
        matplotlib is not installed.
    """
    tables = report_tables(report)
    verdict = report.verdict.value
    name = escape(Path(report.recording.path).name)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{name}: {verdict}</title><style>{_STYLE}</style></head><body>",
        f'<h1><span class="{verdict}">{verdict.upper()}</span> {name}</h1>',
        *(_table(table) for table in tables[:2]),
    ]
    for number, drawing in enumerate(drawings(report)):
        parts.append(f"<h2>{escape(drawing[0])}</h2>{as_svg(drawing, f'picture{number}')}")
    parts += [_table(table) for table in tables[2:]]
    path = escape(report.recording.path)
    parts.append(f"<footer>dp-bela {__version__} report of {path}</footer></body></html>\n")
    return "\n".join(parts)


def write_html(report: RecordingReport, path: Path) -> None:
    """Write a report into an HTML file; an older one is replaced, but never the recording.

    Raises
    ------
    RecordingError
        It cannot be written there.
    ExtraMissingError
        matplotlib is not installed.
    """
    if os.path.exists(path) and path.samefile(report.recording.path):  # too long: not there
        raise RecordingError(f"--html {path} is the recording itself; give another name")
    page = html_page(report)
    try:
        path.write_text(page, encoding="utf-8", errors="backslashreplace")  # names may be no text
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror or error}") from error


def _table(table: ReportTable) -> str:
    if not table.rows:
        return ""
    numbers = [column in table.numbers for column in table.columns]
    head = "".join(
        f"<th{_CLASS[is_number]}>{escape(column)}</th>"
        for column, is_number in zip(table.columns, numbers, strict=True)
    )
    body = "".join(
        f"<tr>{''.join(_cell(cell, n) for cell, n in zip(row, numbers, strict=True))}</tr>"
        for row in table.rows
    )
    note = f"<p>{escape(table.note)}</p>" if table.note else ""
    head = f"<tr>{head}</tr>" if any(table.columns) else ""
    title = f"<h2>{escape(table.title)}</h2>"
    return f'{title}<div class="scroll"><table>{head}{body}</table></div>{note}'


def _cell(cell: str, is_number: bool) -> str:
    if cell in _VERDICTS:
        return f'<td class="{cell}">{cell}</td>'
    return f"<td{_CLASS[is_number]}>{escape(cell)}</td>"
