"""Leaves the blocks of surveys, which belong to no stream, out of a capture. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bela_module.protocol.data_channel import MAX_HEADER_BYTES, parse_header
from bela_module.protocol.variables import PAYLOAD_BYTES, Variable


@dataclass(slots=True)
class SurveyFilter:
    """Passes on the data of a capture, but for the blocks of surveys.

    A survey watches from tick 0, which is at once, for some ticks; a SCHEDULE names a tick to
    come. Its block belongs to no stream: played again, it would look like the first of one, with
    a loss behind it.
    """

    variables: Sequence[Variable] = ()
    """The board's variables, in the order of its list."""
    _surveyed: set[str] = field(default_factory=set)
    _header: tuple[float, bytes] | None = None

    def note(self, commands: Iterable[dict[str, Any]]) -> None:
        """Learn which variables are watched for a survey from now on, or for another purpose."""
        for command in commands:
            names = command.get("watchers")
            if command.get("cmd") != "watch" or not isinstance(names, list):
                continue
            starts, durations = command.get("timestamps"), command.get("durations")
            is_survey = bool(durations) and isinstance(starts, list) and not any(starts)
            texts = {name for name in names if isinstance(name, str)}
            self._surveyed = self._surveyed | texts if is_survey else self._surveyed - texts

    def pass_on(self, time_s: float, message: bytes) -> list[tuple[float, bytes]]:
        """Take the next message of the data channel; return what is passed on, with its times."""
        if len(message) <= MAX_HEADER_BYTES and parse_header(message) is not None:
            passed = [self._header] if self._header is not None else []
            self._header = time_s, message
            return passed
        header, self._header = self._header, None
        if header is None:
            return [(time_s, message)]
        if len(message) == PAYLOAD_BYTES and self._is_surveyed(header[1]):
            return []
        return [header, (time_s, message)]

    def finish(self) -> list[tuple[float, bytes]]:
        """Return a header at the end of the capture, whose payload never came."""
        header, self._header = self._header, None
        return [header] if header is not None else []

    def _is_surveyed(self, header: bytes) -> bool:
        parsed = parse_header(header)
        if parsed is None or parsed[0] >= len(self.variables):
            return False
        return self.variables[parsed[0]].name in self._surveyed
