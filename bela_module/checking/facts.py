"""What a check has measured, before it is judged. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bela_module.protocol.variables import Variable
from bela_module.tracking.runs import GapReason


@dataclass(frozen=True, slots=True)
class AddressAttempt:
    """One address of the board's name, and how connecting to it ended."""

    address: str
    error: str = ""
    """Why it failed; empty when something listens there."""
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class HeardVariable:
    """What was heard of a variable that others watch, without asking for it."""

    name: str
    n_values: int
    n_lost: int
    n_blocks: int
    sparse: bool
    is_assigned: bool = True
    """Whether anything came of it, or its value changed."""


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """Replies to requests for the list."""

    taken_s: tuple[float, ...] = ()
    """How long each took."""
    stood_still_s: tuple[float, ...] = ()
    """For how long this process had no processor meanwhile, at most; empty when not known."""
    n_lost: int = 0
    ticks: tuple[int, ...] = ()
    """The board's tick in each reply."""


@dataclass(frozen=True, slots=True)
class BoardFacts:
    """What is known of the board before anything streams."""

    url: str
    attempts: tuple[AddressAttempt, ...] = ()
    lookup_error: str = ""
    """Why the name has no address; empty when it has."""
    http_status: str = ""
    """First line of the answer to a plain HTTP request; empty when none came."""
    error: str = ""
    """Why it could not be asked for its variables; empty when it could."""
    project: str = ""
    declared_rate_hz: float = 0.0
    variables: tuple[Variable, ...] = ()
    n_asked_by_others: int = 0
    """Replies to requests of other programs, while the check asked nothing."""
    listened_s: float = 0.0
    """For how long that was counted."""
    replies_s: tuple[float, ...] = ()
    """How long some replies took before, when nothing else was asked."""


@dataclass(frozen=True, slots=True)
class ReceivedStream:
    """One of the check's own streams, as an inlet received it."""

    name: str
    n_samples: int
    delay_s: float | None
    """Median age of the newest sample when it was received; ``None`` without any."""


@dataclass(frozen=True, slots=True)
class LslFacts:
    """What became of the check's own streams on LSL."""

    n_opened: int = 0
    """How many there are; 0 when nothing was streamed."""
    found: tuple[str, ...] = ()
    """Names of those that a resolver found within the time limit."""
    found_in_s: float | None = None
    received: Mapping[str, ReceivedStream] = field(default_factory=dict)
    same_identity: tuple[str, ...] = ()
    """Computers on which other streams have the identity of this board."""
    error: str = ""
    """Why LSL could not be used; empty when it could."""


@dataclass(frozen=True, slots=True)
class ComputerFacts:
    """What is known of this computer."""

    folder: str = ""
    folder_error: str = ""
    """Why recordings cannot be written; empty when they can."""
    free_bytes: int = 0
    bytes_per_hour: float = 0.0
    pcomm_address: str = ""
    pcomm_port: str = "free"
    """``free``, ``ours`` (a dp-bela answers there), ``taken``, or why it cannot be used."""
    serves_this_board: bool = False
    """Whether the dp-bela that answers there is connected to the board of the check."""
    pcomm_state: str = ""
    log_address: str = ""
    has_log_server: bool = False
    open_files: int = 0
    open_file_limit: int | None = None
    lsl_ports: int = 0
    """How many TCP ports LSL may take, by its settings; 0 when that is not known."""
    free_lsl_ports: int = 0
    lsl_ports_per_stream: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What was seen while the check streamed."""

    streamed_s: float = 0.0
    """From START to STOP."""
    is_playback: bool = False
    """Whether the board plays a capture, which ends whenever it ends."""
    status: Mapping[str, Any] = field(default_factory=dict)
    """The last STATUS while it streamed."""
    final: Mapping[str, Any] = field(default_factory=dict)
    """STATUS after STOP."""
    uncertainty_s: float | None = None
    """Median of what was stated while it streamed."""
    first_sample_s: float | None = None
    """From START to the first sample of a regular stream."""
    delays_s: Mapping[str, float] = field(default_factory=dict)
    """Of each regular stream the median, over time, of its latest block's delay."""
    losses: Mapping[str, Mapping[GapReason, int]] = field(default_factory=dict)
    """Values that were lost, by stream and cause, as far as a gap was told of them."""
    problems: tuple[str, ...] = ()
    """Everything that stood in ``problems`` at any moment."""
    error: str = ""
    """Why START was refused; empty when it was not."""
    heard: tuple[HeardVariable, ...] = ()
    round_trips: RoundTrips = RoundTrips()
    changed: frozenset[str] = frozenset()
    """Variables whose value changed in the board's list meanwhile."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a check has measured."""

    board: BoardFacts
    run: RunFacts
    lsl: LslFacts
    computer: ComputerFacts
