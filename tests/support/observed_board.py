"""A simulated board that notes what it is told and when, and lets things happen at that moment."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bela_module.simulator.faults.message_faults import Loss
from bela_module.simulator.network.board_connection import ClientChannel
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.simulated_clock import SimulatedClock
from bela_module.simulator.sketches.sketch import Sketch
from bela_module.simulator.watcher.simulated_watcher import ControlReply, DataPair
from bela_module.streams.lsl_clock import local_clock

_BLOCK_BYTES = 4096  # a message of so many or more is a block, whole or not


@dataclass(frozen=True)
class Command:
    """What a client asked for, and how far the board was when it came.

    Parameters
    ----------
    cmd, names, timestamps
        As they were written.
    boot : int
        How often the board had restarted.
    tick : int
        The last tick that had happened.
    lsl_s : float
        When that was.
    port : int
        Which connection it came on.
    """

    cmd: str
    names: tuple[str, ...]
    timestamps: tuple[int, ...]
    boot: int
    tick: int
    lsl_s: float
    port: int

    def timestamp_of(self, name: str) -> int | None:
        """Give the tick that was asked for a variable."""
        at = self.names.index(name) if name in self.names else len(self.timestamps)
        return self.timestamps[at] if at < len(self.timestamps) else None


class ObservedBoard(SimulatedBoard):
    """A board whose every boot and command is known.

    Attributes
    ----------
    commands : list of Command
        All that clients asked for.
    clocks : list of SimulatedClock
        The clock of each boot.
    last_ticks : list of int
        The last tick of each boot but the present one.
    n_blocks : int
        Blocks of watched variables that were sent, or that a fault has kept from being sent.
    n_repeated : int
        Blocks that were sent twice.
    """

    def __init__(self, sketch: Sketch, **options: Any) -> None:
        self.commands: list[Command] = []
        self.clocks: list[SimulatedClock] = []
        self.last_ticks: list[int] = []
        self.n_blocks = 0
        self.n_repeated = 0
        self._last_block = b""
        self._on_command: dict[str, Callable[[], object]] = {}
        self._on_block: list[Callable[[], object]] = []
        super().__init__(sketch, clock=local_clock, **options)

    @property
    def restarts(self) -> int:
        return len(self.last_ticks)

    @property
    def block_losses(self) -> list[Loss]:
        """What faults of messages have kept from the clients, without the values of monitors."""
        return [loss for loss in self.losses if not loss.monitor]

    def with_next(self, cmd: str, call: Callable[[], object]) -> None:
        """Have something happen right after the next command of a kind was obeyed."""
        self._on_command[cmd] = call

    def with_next_block(self, call: Callable[[], object]) -> None:
        """Have something happen right after the next block was sent."""
        self._on_block.append(call)

    def _boot(self, sketch: Sketch, first_tick: int) -> None:
        if self.clocks:
            self.last_ticks.append(self._watcher.tick)
        super()._boot(sketch, first_tick)
        self.clocks.append(self._clock)

    def receive_control(self, client: ClientChannel, text: str) -> None:
        tick = self._advance_to_now().tick
        port = client.connection.remote_address[1]
        came = [
            Command(
                _kind(entry),
                tuple(entry.get("watchers", ())),
                tuple(entry.get("timestamps", ())),
                self.restarts,
                tick,
                local_clock(),
                port,
            )
            for entry in json.loads(text).get("watcher", [])
        ]
        self.commands += came
        super().receive_control(client, text)
        for command in came:
            self._on_command.pop(command.cmd, lambda: None)()

    def send_data(self, message: bytes) -> None:
        if len(message) >= _BLOCK_BYTES:
            self.n_repeated += message is self._last_block
            self._last_block = message
        super().send_data(message)

    def _emit(self, messages: list[DataPair | ControlReply]) -> None:
        super()._emit(messages)
        n_blocks = sum(isinstance(m, DataPair) and not m.payload.monitor for m in messages)
        self.n_blocks += n_blocks
        if n_blocks:
            while self._on_block:
                self.call_later(0.0, self._on_block.pop())


def _kind(entry: dict[str, Any]) -> str:
    """Give the name of a command; ``look`` for a survey's watch: from now on, for some ticks."""
    is_look = "durations" in entry and not any(entry.get("timestamps", ()))
    return "look" if is_look else str(entry["cmd"])
