"""Names of recordings: BIDS-like templates, runs that count up, and never an existing file."""

from __future__ import annotations

import os
import re
import string
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from bela_module.errors import RecordingError, RequestError

SUFFIX: Final = ".xdf"
SIDECAR_SUFFIXES: Final = (".json", ".md")

_LABEL: Final = re.compile(r"[A-Za-z0-9]+")
_PREFIXES: Final = {"subject": "sub-", "session": "ses-", "task": "task-"}
_FIELDS: Final = ("subject", "session", "task", "run", "date", "time")
_NOT_WRITTEN: Final = (".xdfz", ".gz")
_MAX_RUN: Final = 10_000
_TOO_WIDE: Final = re.compile(r"\d{4}")


@dataclass(frozen=True, slots=True)
class NameParts:
    """What a template is filled with.

    Parameters
    ----------
    subject, session, task : str, optional
        Letters and digits, as BIDS wants them.
    run : int, optional
        By default the first one of which no file exists.
    """

    subject: str | None = None
    session: str | None = None
    task: str | None = None
    run: int | None = None

    @property
    def given(self) -> dict[str, str | int]:
        """Those that are given."""
        pairs = {
            "subject": self.subject,
            "session": self.session,
            "task": self.task,
            "run": self.run,
        }
        return {name: value for name, value in pairs.items() if value is not None}


def checked_label(field: str, text: str) -> str:
    """Check a subject, session or task; without the prefix that the file's name gives it.

    Raises
    ------
    ValueError
        It has other characters than letters and digits.
    """
    label = text.removeprefix(_PREFIXES[field])
    if not _LABEL.fullmatch(label):
        raise ValueError(f"{text!r}: {field} takes letters and digits, as in file names of BIDS")
    return label


def default_template(parts: NameParts) -> str:
    """Give the template for what is given: ``sub-{subject}_task-{task}_run-{run:02d}``.

    Without a part it is ``bela_{date}_{time}``.
    """
    given = parts.given
    if not given:
        return "bela_{date}_{time}"
    words = [f"{prefix}{{{field}}}" for field, prefix in _PREFIXES.items() if field in given]
    return "_".join([*words, "run-{run:02d}"])


class FileTemplate:
    """A name or a template of names for recordings.

    Parameters
    ----------
    file : str or None
        A name or a template, with or without ``.xdf``; a folder that exists takes the default
        template, and so does ``None`` in the folder that is given later.
    parts : NameParts
        What the template is filled with.

    Raises
    ------
    RequestError
        When the template has unknown fields, or lacks or has too much of the parts.
    """

    def __init__(self, file: str | None, parts: NameParts) -> None:
        self._parts = parts
        self._folder = Path(file) if file and os.path.isdir(file) else None  # too long: no folder
        is_default = file is None or self._folder is not None
        self._template = default_template(parts) if is_default else _checked_file(str(file))
        self._is_default = is_default
        self._fields = _fields_of(self._template)
        if unused := parts.given.keys() - self._fields:
            names = ", ".join(f"{{{name}}}" for name in sorted(unused))
            raise RequestError(
                f"the name {file!r} has no place for {names}: add it, or leave the name away"
            )
        if missing := self._fields - {*parts.given, "run", "date", "time"}:
            names = ", ".join(f"--{name}" for name in sorted(missing))
            raise RequestError(f"the name {file!r} needs {names}")
        self._filled(1, datetime.now().astimezone())  # wrong formats are refused here

    def reserve(self, folder: Path, now: datetime) -> Path:
        """Choose a name that nothing has, and make an empty file of that name.

        Parameters
        ----------
        folder : Path
            Where a default name goes; made when it does not exist.
        now : datetime
            For names with a time.

        Returns
        -------
        Path
            Absolute. Neither ``.json`` nor ``.md`` of the same name exist.

        Raises
        ------
        RecordingError
            When the file exists, or cannot be made.
        """
        parts = self._parts
        where = (self._folder or folder) if self._is_default else Path()
        counts_up = "run" in self._fields and parts.run is None
        run = parts.run or 1
        while True:
            path = (where / self._filled(run, now)).expanduser().absolute()
            if (there := _existing(path)) is None and _make(path):
                return path
            if not counts_up or run >= _MAX_RUN:
                raise RecordingError(
                    f"{there or path} exists already and is not written over; choose another name"
                    + (", or leave --run away to count up" if parts.run is not None else "")
                )
            run += 1

    def _filled(self, run: int, now: datetime) -> str:
        date, time = f"{now:%Y-%m-%d}", f"{now:%H-%M-%S}"
        values = {**self._parts.given, "run": run, "date": date, "time": time}
        try:
            text = self._template.format_map(values)
        except (ValueError, TypeError) as error:
            raise RequestError(f"the name {self._template!r} is no template: {error}") from None
        return text if text.lower().endswith(SUFFIX) else text + SUFFIX


def sidecars_of(path: Path) -> dict[str, Path]:
    """Give the files beside a recording, by their suffix."""
    return {suffix: path.with_suffix(suffix) for suffix in SIDECAR_SUFFIXES}


def _checked_file(file: str) -> str:
    if not file.strip() or file.endswith(("/", "\\")):
        raise RequestError(f"{file!r} is no name of a file, and no folder that exists")
    if file.lower().endswith(_NOT_WRITTEN):
        raise RequestError(f"{file!r}: recordings are written as {SUFFIX}, not compressed")
    return file


def _fields_of(template: str) -> set[str]:
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise RequestError(f"the name {template!r} is no template: {error}") from None
    fields = {name for _, name, _, _ in parsed if name is not None}
    if any(_TOO_WIDE.search(spec) for _, _, spec, _ in parsed if spec):
        raise RequestError(f"the name {template!r} is no template: a field is too wide")
    if unknown := fields.difference(_FIELDS):
        raise RequestError(
            f"the name {template!r} has {{{sorted(unknown)[0]}}}; known are "
            + ", ".join(f"{{{name}}}" for name in _FIELDS)
        )
    return fields


def _existing(path: Path) -> Path | None:
    names = (path, *sidecars_of(path).values())
    return next((one for one in names if os.path.lexists(one)), None)  # a dead link, too


def _make(path: Path) -> bool:
    """Make an empty file; tell whether it did not exist."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("xb").close()
    except FileExistsError as error:
        if os.path.lexists(path):
            return False
        raise RecordingError(f"{path} cannot be written: {error.filename} is no folder") from error
    except OSError as error:
        raise RecordingError(
            f"{path} cannot be written: {error.strerror or error}; choose another folder"
        ) from error
    return True
