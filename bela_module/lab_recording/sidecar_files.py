"""Writes what was recorded beside the recording: ``.json`` for programs, ``.md`` for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bela_module.errors import RecordingError
from bela_module.lab_recording.file_names import sidecars_of
from bela_module.lab_recording.file_proof import StreamProof, mismatches
from bela_module.reports.recording_report import RecordingReport, as_json, without_nan
from bela_module.reports.text_report import plain_report
from bela_module.reports.verdicts import ReportVerdict, worst

_COLUMNS: Final = 120


@dataclass(frozen=True, slots=True, eq=False)
class RecordedFile:
    """A recording that was read back.

    Parameters
    ----------
    path : Path
        The file.
    identity : str
        What the ``source_id`` of each stream of the board begins with.
    report : RecordingReport
        What it proves.
    proofs : sequence of StreamProof
        Samples in the file and as they were streamed.
    problems : sequence of str
        What else went wrong, in words.
    status : mapping
        The last STATUS.
    streamed_s : float
        For how long it streamed.
    versions : mapping of str to str
        Programs and libraries.
    configuration : mapping
        All settings, and what the command line asked for.
    """

    path: Path
    identity: str
    report: RecordingReport
    proofs: Sequence[StreamProof]
    problems: Sequence[str]
    status: Mapping[str, Any]
    streamed_s: float
    versions: Mapping[str, str]
    configuration: Mapping[str, Any]

    @property
    def faults(self) -> list[str]:
        """Why the recording is not complete, in words; empty when it is."""
        return [*mismatches(self.proofs), *self.problems]

    @property
    def own_verdict(self) -> ReportVerdict:
        """The worst finding about the board and the file; streams of others are only told of."""
        own = {a.title for a in self.report.streams if a.stream.source_id.startswith(self.identity)}
        own |= {":".join(self.identity.split(":")[1:3]), "the file"}
        return worst(one.verdict for one in self.report.findings if one.about in own)

    def as_json(self) -> dict[str, Any]:
        """Give all of it as an object for JSON; its keys are in ``docs/record.md``."""
        whole = {
            "file": str(self.path),
            "complete": not self.faults,
            "faults": self.faults,
            "streamed_s": self.streamed_s,
            "proof": [
                {
                    "name": proof.name,
                    "in_file": proof.n_in_file,
                    "streamed": proof.n_streamed,
                    "earlier": proof.n_earlier,
                    "later": proof.n_later,
                    "complete": proof.is_complete,
                }
                for proof in self.proofs
            ],
            "report": as_json(self.report),
            "versions": dict(self.versions),
            "configuration": dict(self.configuration),
            "status": dict(self.status),
        }
        replaced: dict[str, Any] = without_nan(whole)
        return replaced


def write_sidecars(recorded: RecordedFile) -> None:
    """Write both files beside the recording.

    Raises
    ------
    RecordingError
        When one of them exists already, or cannot be written.
    """
    texts = {".json": json.dumps(recorded.as_json(), indent=1) + "\n", ".md": as_text(recorded)}
    for suffix, path in sidecars_of(recorded.path).items():
        try:
            # names of files and folders may be no text
            with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
                file.write(texts[suffix])
        except OSError as error:
            raise RecordingError(
                f"{path} cannot be written: {error.strerror or error}; the recording itself is in "
                f"{recorded.path}"
            ) from error


def as_text(recorded: RecordedFile) -> str:
    """Give the page for people, in Markdown."""
    board = recorded.status.get("board", {})
    begun_s = recorded.report.unix_begin_s
    begun = f"{datetime.fromtimestamp(begun_s, UTC):%Y-%m-%d %H:%M:%S} UTC" if begun_s > 0 else "-"
    lines = [
        f"# {recorded.path.name}",
        "",
        "Complete: the file has every sample that was streamed."
        if not recorded.faults
        else "**Not complete:**",
        *(f"- {fault}" for fault in recorded.faults),
        "",
        f"- begun: {begun}",
        f"- streamed: {recorded.streamed_s:.1f} s",
        f"- board: {board.get('project') or '-'} at {board.get('url', '-')}",
        *(f"- {name}: {version}" for name, version in recorded.versions.items()),
        "",
        "| stream | samples in the file | streamed |",
        "|---|---:|---:|",
        *(
            f"| {_cell(one.name)} | {'-' if one.n_in_file is None else one.n_in_file} "
            f"| {one.n_streamed_text} |"
            for one in recorded.proofs
        ),
        "",
        "## Report",
        "",
        "```",
        plain_report(recorded.report, _COLUMNS),
        "```",
        "",
        "## Configuration",
        "",
        "```json",
        json.dumps(recorded.configuration, indent=1),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
