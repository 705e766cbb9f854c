"""What is to be recorded, how it goes on, and what has come of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from bela_module.validation import Group

Status = dict[str, Any]
"""The STATUS object."""


class RecordingStage(StrEnum):
    """What a recording is at."""

    CONNECTING = "connecting"
    PREPARING = "preparing"
    RECORDING = "recording"
    FINISHING = "finishing"


@dataclass(frozen=True, slots=True)
class RecordingOrder:
    """What is to be recorded, and where.

    Parameters
    ----------
    path : Path
        An empty file, which is written over.
    program : Path
        LabRecorder.
    variables : tuple of str, optional
        What to stream; by default what the configuration says, else all.
    group : {"auto", "none", "all"}, optional
        Which variables share streams.
    whole_lab : bool
        Whether to record the streams of others as well.
    duration_s : float, optional
        After how long to end; by default when it is cancelled.
    exclusive : bool
        Whether to end what others watch.
    lsl_settings : str, optional
        Text of the ``lsl_api.cfg`` that LabRecorder is to use.
    follows_ticks : bool
        Whether the board begins and ends streams when told; a replayed one does not.
    """

    path: Path
    program: Path
    variables: tuple[str, ...] | None = None
    group: Group | None = None
    whole_lab: bool = False
    duration_s: float | None = None
    exclusive: bool = False
    lsl_settings: str | None = None
    follows_ticks: bool = True


@dataclass(frozen=True, slots=True)
class RecordingProgress:
    """How a recording goes on.

    Parameters
    ----------
    stage : RecordingStage
        What it is at.
    elapsed_s : float
        For how long it has streamed.
    n_bytes : int
        Size of the file.
    n_streams : int
        Streams in the file.
    n_samples, n_lost : int
        Samples that were streamed, and values that were lost.
    """

    stage: RecordingStage
    elapsed_s: float = 0.0
    n_bytes: int = 0
    n_streams: int = 0
    n_samples: int = 0
    n_lost: int = 0


@dataclass(slots=True)
class RecordingOutcome:
    """What a recording has come to, before the file is read back.

    Attributes
    ----------
    identity : str
        What the ``source_id`` of each stream of the board begins with.
    uids : frozenset of str
        What LSL had named the streams of this process when LabRecorder began.
    status : dict
        The last STATUS.
    streamed : dict of str to int
        Samples and markers that LSL was given, by the stream's name.
    earlier : dict of str to int
        Those of them that it was given before LabRecorder took samples.
    later : dict of str to int
        What it was given besides, until LabRecorder had ended: markers of what happened meanwhile.
    streamed_s : float
        For how long it streamed.
    problems : list of str
        What went wrong, in words.
    restored : Path or None
        Where the file is when its own name was taken by another one meanwhile.
    """

    identity: str = ""
    uids: frozenset[str] = frozenset()
    status: Status = field(default_factory=dict)
    streamed: dict[str, int] = field(default_factory=dict)
    earlier: dict[str, int] = field(default_factory=dict)
    later: dict[str, int] = field(default_factory=dict)
    streamed_s: float = 0.0
    problems: list[str] = field(default_factory=list)
    restored: Path | None = None

    def note(self, problem: str) -> None:
        """Keep a problem, once."""
        if problem not in self.problems:
            self.problems.append(problem)


class RecordingObserver:
    """Is told how a recording goes on, and asked whether to end it; does nothing by itself."""

    def progress(self, progress: RecordingProgress) -> None:
        """Learn how it goes on, some times a second."""

    def notice(self, text: str) -> None:
        """Learn of something worth knowing, once."""

    def is_cancelled(self) -> bool:
        """Tell whether to end now; asked some times a second."""
        return False
