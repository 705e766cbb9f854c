"""What a timed fault can do to a board."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bela_module.simulator.network.board_server import ChannelChoice
from bela_module.simulator.network.delays import Network
from bela_module.simulator.sketches.sketch import Sketch


class FaultTarget(Protocol):
    """The simulated board, as far as timed faults change it."""

    @property
    def sketch(self) -> Sketch:
        """The sketch that it runs."""

    def disconnect(self, *, clean: bool = False, socket: ChannelChoice = "both") -> None:
        """End the connections of all clients."""

    def refuse_connections(self, refuse: bool) -> None:
        """Refuse new connections, or take them again."""

    def call_later(self, delay_s: float, call: Callable[[], object]) -> None:
        """Call a function after a time."""

    def go_silent(self, silent: bool, *, socket: ChannelChoice = "both") -> None:
        """Write nothing more to clients, or write again."""

    def stall_network(self, duration_s: float) -> None:
        """Hold all messages back for a time."""

    def set_network(self, network: Network) -> None:
        """Change the delays on the way."""

    def restart(
        self, sketch: str | Sketch | None = None, first_tick: int = 0, project: str = ""
    ) -> None:
        """Restart, perhaps with another sketch."""

    def step_clock(self, step_s: float) -> None:
        """Have the ticks jump."""

    def set_assigned(self, assigned: bool, variable: str = "") -> None:
        """Stop or resume the assignments of a variable, or of all."""

    def withhold_data(self, withhold: bool) -> None:
        """Send no blocks, or send them again."""

    def inject_command(self, text: str) -> None:
        """Carry out a control message as if another client had sent it."""

    def set_drift(self, drift_ppm: float) -> None:
        """Change how fast the clock runs."""
