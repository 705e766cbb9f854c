"""Faults of the simulated board at a given time: of its connections, its sketch or its clock."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

from bela_module.errors import RequestError
from bela_module.protocol.control_commands import encode_commands, monitor_command
from bela_module.simulator.faults.fault_target import FaultTarget
from bela_module.simulator.network.board_server import ChannelChoice
from bela_module.simulator.network.delays import (
    DelayTime,
    HoldPeriod,
    HoldTime,
    JitterMean,
    LinkDelay,
    Network,
    SpikeShare,
    SpikeTime,
)
from bela_module.simulator.parameters import (
    DAY_S,
    Choice,
    NumberRange,
    VariableName,
    VariableNames,
    WholeRange,
    check_parameters,
)
from bela_module.simulator.simulated_clock import DRIFT_PPM
from bela_module.simulator.sketches.built_in import SKETCHES

_MAX_FIRST_TICK: Final = 10**15
_MAX_PERIOD_TICKS: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class TimedFault(ABC):
    """A fault at a given time after its injection, once or again and again.

    Raises
    ------
    RequestError
        When a parameter is out of its range.
    """

    at_s: Annotated[float, NumberRange(0, DAY_S, "s"), "after how long it happens"] = 0.0
    every_s: Annotated[
        float,
        NumberRange(0.01, DAY_S, "s", or_zero=True),
        "after how long again and again; 0 for once",
    ] = 0.0

    name: ClassVar[str]

    def __post_init__(self) -> None:
        """Check the parameters."""
        check_parameters(self, f"the fault {self.name!r}")

    @abstractmethod
    def apply(self, board: FaultTarget) -> None:
        """Change the board as the fault says."""


@dataclass(frozen=True, slots=True)
class LastingFault(TimedFault):
    """A fault with a duration, which ends before it begins again."""

    for_s: Annotated[float, NumberRange(0.001, DAY_S, "s"), "how long it lasts"] = 2.0

    def __post_init__(self) -> None:
        """Check also that it ends before it begins again."""
        TimedFault.__post_init__(self)
        if 0 < self.every_s <= self.for_s:
            raise RequestError(
                f"every_s={self.every_s} of the fault {self.name!r}: "
                f"it must be 0, or above for_s={self.for_s}"
            )


# ---- the connections -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Disconnect(TimedFault):
    """Connections end."""

    clean: Annotated[bool, "whether a close frame is sent first"] = False
    socket: Annotated[ChannelChoice, "which connections"] = "both"

    name = "disconnect"

    def apply(self, board: FaultTarget) -> None:
        """Close the connections."""
        board.disconnect(clean=self.clean, socket=self.socket)


@dataclass(frozen=True, slots=True)
class Refuse(LastingFault):
    """Connections end, and new ones are refused."""

    name = "refuse"

    def apply(self, board: FaultTarget) -> None:
        """Close the connections and stop listening for a while."""
        board.disconnect()
        board.refuse_connections(True)
        board.call_later(self.for_s, lambda: board.refuse_connections(False))


@dataclass(frozen=True, slots=True)
class Silence(LastingFault):
    """The board takes connections and says nothing on them; what it would have said is lost."""

    socket: Annotated[ChannelChoice, "on which connections"] = "both"

    name = "silence"

    def apply(self, board: FaultTarget) -> None:
        """Stop writing to clients for a while."""
        board.go_silent(True, socket=self.socket)
        board.call_later(self.for_s, lambda: board.go_silent(False, socket=self.socket))


@dataclass(frozen=True, slots=True)
class Stall(LastingFault):
    """Nothing arrives, either way; afterwards everything does."""

    for_s: Annotated[float, NumberRange(0.001, DAY_S, "s"), "how long it lasts"] = 1.0

    name = "stall"

    def apply(self, board: FaultTarget) -> None:
        """Hold back all messages for a while."""
        board.stall_network(self.for_s)


@dataclass(frozen=True, slots=True)
class Slow(TimedFault):
    """The network's delays are these from now on."""

    to_board_s: DelayTime = 0.0
    to_client_s: DelayTime = 0.0
    jitter_s: JitterMean = 0.0
    spike_share: SpikeShare = 0.0
    spike_s: SpikeTime = 0.0
    hold_s: HoldTime = 0.0
    hold_every_s: HoldPeriod = 1.0

    name = "slow"

    def apply(self, board: FaultTarget) -> None:
        """Change the delays."""
        rest = (self.jitter_s, self.spike_share, self.spike_s, self.hold_s, self.hold_every_s)
        board.set_network(
            Network(LinkDelay(self.to_board_s, *rest), LinkDelay(self.to_client_s, *rest))
        )


# ---- the board -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restart(TimedFault):
    """The board starts again and remembers nothing."""

    first_tick: Annotated[int, WholeRange(0, _MAX_FIRST_TICK), "where its ticks begin"] = 0
    sketch: Annotated[str, Choice(("", *SKETCHES)), "what it runs then; empty for the same"] = ""
    project: Annotated[str, "what the sketch is called then; empty for its own name"] = ""
    down_s: Annotated[float, NumberRange(0, DAY_S, "s"), "how long it takes no connections"] = 0.0

    name = "restart"

    def apply(self, board: FaultTarget) -> None:
        """Restart, and refuse connections for a while."""
        if self.down_s:
            board.refuse_connections(True)
            board.call_later(self.down_s, lambda: board.refuse_connections(False))
        board.restart(self.sketch or None, first_tick=self.first_tick, project=self.project)


@dataclass(frozen=True, slots=True)
class Pause(LastingFault):
    """The ticks stand still, as of a paused sketch; the board goes on answering."""

    name = "pause"

    def apply(self, board: FaultTarget) -> None:
        """Stop the ticks for a while."""
        board.step_clock(-self.for_s)


@dataclass(frozen=True, slots=True)
class Unassigned(LastingFault):
    """The sketch does not assign a variable."""

    variable: Annotated[str, VariableName(), "which"] = ""

    name = "unassigned"

    def apply(self, board: FaultTarget) -> None:
        """Stop the assignments for a while."""
        board.set_assigned(False, self.variable)
        board.call_later(self.for_s, lambda: board.set_assigned(True, self.variable))


@dataclass(frozen=True, slots=True)
class NoData(LastingFault):
    """The board answers but sends no data, as if no client wanted any."""

    name = "no-data"

    def apply(self, board: FaultTarget) -> None:
        """Withhold the data for a while."""
        board.withhold_data(True)
        board.call_later(self.for_s, lambda: board.withhold_data(False))


@dataclass(frozen=True, slots=True)
class OtherClient(TimedFault):
    """Another client sends a command."""

    cmd: Annotated[
        Literal["watch", "unwatch", "log", "unlog", "monitor", "control", "uncontrol"], "which"
    ] = "unwatch"
    variables: Annotated[str, VariableNames(), "for which"] = ""
    period_ticks: Annotated[
        int,
        WholeRange(0, _MAX_PERIOD_TICKS),
        "for monitor: its period; 1 for one value, 0 for no more",
    ] = 0

    name = "other-client"

    def __post_init__(self) -> None:
        """Check also that only ``monitor`` has a period."""
        TimedFault.__post_init__(self)
        if self.period_ticks and self.cmd != "monitor":
            raise RequestError(
                f"period_ticks={self.period_ticks} of the fault {self.name!r}: "
                f"it must be 0 with cmd={self.cmd}"
            )

    def apply(self, board: FaultTarget) -> None:
        """Send the command."""
        names = VariableNames().names(self.variables)
        names = names or [variable.name for variable in board.sketch.variables]
        command = {"cmd": self.cmd, "watchers": names}
        if self.cmd == "monitor":
            command = monitor_command(names, [self.period_ticks] * len(names))
        for text in encode_commands([command]):
            board.inject_command(text)


# ---- the clock -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepClock(TimedFault):
    """The board's clock steps: forward leaves ticks out, back makes the board stand still."""

    step_s: Annotated[float, NumberRange(-DAY_S, DAY_S, "s"), "how far; back below 0"] = 0.1

    name = "step-clock"

    def apply(self, board: FaultTarget) -> None:
        """Step the clock."""
        board.step_clock(self.step_s)


@dataclass(frozen=True, slots=True)
class Drift(TimedFault):
    """The board's clock drifts differently from now on."""

    ppm: Annotated[float, DRIFT_PPM, "how much it is faster"] = 100.0

    name = "drift"

    def apply(self, board: FaultTarget) -> None:
        """Change the drift."""
        board.set_drift(self.ppm)


@dataclass(frozen=True, slots=True)
class Underrun(TimedFault):
    """The board misses audio blocks and says nothing: its ticks lag by that from then on."""

    ms: Annotated[float, NumberRange(0.001, 60_000, "ms"), "how much, in whole blocks"] = 3.6

    name = "underrun"

    def apply(self, board: FaultTarget) -> None:
        """Miss the blocks."""
        board.miss_blocks(self.ms / 1000)


@dataclass(frozen=True, slots=True)
class LateBurst(TimedFault):
    """The board renders audio blocks late, then all of them at once; no tick lags."""

    ms: Annotated[
        float, NumberRange(0.001, 60_000, "ms"), "how late at most; less is as likely"
    ] = 30.0

    name = "late-burst"

    def apply(self, board: FaultTarget) -> None:
        """Delay the blocks."""
        board.delay_bursts(self.ms / 1000)
