"""What a check has measured, before it is judged. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bela_module.protocol.variables import Variable


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


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """Replies to requests for the list."""

    taken_s: tuple[float, ...] = ()
    n_lost: int = 0


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
    """``free``, ``ours`` (a dp-bela answers there) or ``taken``."""
    pcomm_board_url: str = ""
    """The board of the dp-bela that answers there."""
    pcomm_state: str = ""
    log_address: str = ""
    has_log_server: bool = False
    open_files: int = 0
    open_file_limit: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What was seen while the check streamed."""

    seconds: float = 0.0
    status: Mapping[str, Any] = field(default_factory=dict)
    """The last STATUS while it streamed."""
    final: Mapping[str, Any] = field(default_factory=dict)
    """STATUS after STOP."""
    uncertainty_s: float | None = None
    """Median of what was stated while it streamed."""
    first_sample_s: float | None = None
    """From START to the first sample of a regular stream."""
    delay_s: float | None = None
    """Median, over time, of the latest block's delay after its last value."""
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
