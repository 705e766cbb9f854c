"""Interface of a simulated board for timed faults: everything that they may change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bela_module.simulator.network.board_server import ChannelChoice
from bela_module.simulator.network.delays import Network
from bela_module.simulator.sketches.sketch import Sketch


class FaultTarget(Protocol):
    """A simulated board as timed faults see it; ``SimulatedBoard`` implements it."""

    @property
    def sketch(self) -> Sketch:
        """The running sketch."""

    def disconnect(self, *, clean: bool = False, socket: ChannelChoice = "both") -> None:
        """Close the connections of all clients."""

    def refuse_connections(self, refuse: bool) -> None:
        """Refuse new connections, or accept them again."""

    def call_later(self, delay_s: float, call: Callable[[], object]) -> None:
        """Call a function after a time."""

    def go_silent(self, silent: bool, *, socket: ChannelChoice = "both") -> None:
        """Stop writing to clients, or resume."""

    def stall_network(self, duration_s: float) -> None:
        """Hold back all messages for a time."""

    def set_network(self, network: Network) -> None:
        """Change the delays of the network."""

    def restart(
        self, sketch: str | Sketch | None = None, first_tick: int = 0, project: str = ""
    ) -> None:
        """Restart, perhaps with another sketch."""

    def step_clock(self, step_s: float) -> None:
        """Step the clock forward or back."""

    def miss_blocks(self, duration_s: float) -> None:
        """Miss the audio blocks of some time."""

    def delay_bursts(self, longest_s: float) -> None:
        """Render the next audio blocks late, by a random time."""

    def set_assigned(self, assigned: bool, variable: str = "") -> None:
        """Stop or resume the assignments of a variable, or of all."""

    def withhold_data(self, withhold: bool) -> None:
        """Stop sending data, or resume."""

    def inject_command(self, text: str) -> None:
        """Execute a control message as if another client had sent it."""

    def set_drift(self, drift_ppm: float) -> None:
        """Change the drift of the clock."""
