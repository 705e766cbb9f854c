"""Compares a recording with what was streamed into it, stream by stream. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bela_module.reports.recorded_stream import LoadedRecording


@dataclass(frozen=True, slots=True)
class StreamProof:
    """Samples of a stream: in the file, and as they were streamed.

    Parameters
    ----------
    name : str
        The stream.
    n_in_file : int or None
        ``None`` when the stream is not in the file.
    n_streamed : int
        Samples that LSL was given.
    n_earlier : int
        Samples of those that LSL was given before the recorder was there, which may be in the file
        or not.
    n_later : int
        Samples that LSL was given after the count, up to the end of the recorder: as well.
    """

    name: str
    n_in_file: int | None
    n_streamed: int
    n_earlier: int = 0
    n_later: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether the file has just what was streamed."""
        if self.n_in_file is None:
            return False
        at_least, at_most = self.n_streamed - self.n_earlier, self.n_streamed + self.n_later
        return at_least <= self.n_in_file <= at_most

    @property
    def n_streamed_text(self) -> str:
        """How many were streamed, and how many of them LabRecorder was not there for."""
        before = f", {self.n_earlier} of them before it recorded" if self.n_earlier else ""
        after = f", and {self.n_later} while it ended" if self.n_later else ""
        return f"{self.n_streamed}{before}{after}"

    @property
    def text(self) -> str:
        """What is wrong, in words; empty when nothing is."""
        if self.is_complete:
            return ""
        if self.n_in_file is None:
            return f"{self.name} is not in the file"
        return f"{self.name}: {self.n_in_file} samples in the file, {self.n_streamed} were streamed"


def prove(
    recording: LoadedRecording,
    identity: str,
    streamed: Mapping[str, int],
    earlier: Mapping[str, int] | None = None,
    later: Mapping[str, int] | None = None,
    uids: Collection[str] = (),
) -> tuple[StreamProof, ...]:
    """Compare the counts of all streams of a board.

    Parameters
    ----------
    recording : LoadedRecording
        As read back from the file.
    identity : str
        What the ``source_id`` of each stream of the board begins with.
    streamed : mapping of str to int
        Samples that were streamed, by the stream's name.
    earlier : mapping of str to int, optional
        Samples that were streamed before the recorder was there.
    later : mapping of str to int, optional
        Samples that were streamed after the count, before the recorder ended.
    uids : collection of str, optional
        What LSL had named the streams of this process: other modules may have the same identity.
    """
    found: dict[str, int] = {}
    for stream in recording.streams:
        is_ours = not (uids and stream.uid) or stream.uid in uids
        if is_ours and stream.source_id.startswith(identity):
            found[stream.name] = found.get(stream.name, 0) + stream.stamps_s.size
    before, after = earlier or {}, later or {}
    return tuple(
        StreamProof(name, found.get(name), n_streamed, before.get(name, 0), after.get(name, 0))
        for name, n_streamed in streamed.items()
    )


def mismatches(proofs: Sequence[StreamProof]) -> list[str]:
    """Say what does not agree, in words."""
    return [proof.text for proof in proofs if not proof.is_complete]
