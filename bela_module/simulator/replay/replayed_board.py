"""A board that plays back a capture to its clients.

It answers ``list`` as the recorded board would have done at that moment. When a client watches,
the recorded data is sent, byte for byte and at its recorded spacing. Values go with their ticks,
so ticks are never changed; instead the playback begins a little before the recording, and where
a client takes longer than that before it watches, the ticks stand still until it does.

It plays once. It does not simulate: other variables, ticks or rates than the recorded ones,
answers to ``log``, ``control`` and ``set``, and pausing.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bela_module.connection.capture_file import read_capture
from bela_module.errors import RequestError
from bela_module.simulator import board_json
from bela_module.simulator.network.board_connection import ClientChannel
from bela_module.simulator.network.board_server import BoardServer
from bela_module.simulator.network.delays import NO_DELAY, Network
from bela_module.simulator.network.nagle import TCP_TIMINGS, TcpTiming
from bela_module.simulator.replay.capture_contents import read_contents
from bela_module.simulator.time_limits import REPLAY_LEAD_S, REPLAY_PREROLL_S, REPLAY_SLEEP_S


class ReplayedBoard(BoardServer):
    """A board that plays a capture; use it in a ``with`` statement.

    Parameters
    ----------
    path : str or Path
        The capture.
    speed : float
        How many times faster than recorded, above 0.
    network : Network
        Delays of the network.
    tcp : TcpTiming
        Nagle's algorithm and the acknowledgements of clients.
    host, port : str, int
        Address to listen on; port 0 takes a free one.
    seed : int
        Seed of everything random.
    clock : callable
        The host's clock in seconds.

    Attributes
    ----------
    finished : threading.Event
        Set after the last message.

    Raises
    ------
    CaptureError
        When the capture cannot be read or holds too little.
    RequestError
        When the speed is not above 0.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        speed: float = 1.0,
        network: Network = NO_DELAY,
        tcp: TcpTiming = TCP_TIMINGS["real"],
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if not speed > 0:
            raise RequestError(f"a speed of {speed}; it must be above 0")
        super().__init__(host=host, port=port, network=network, seed=seed, tcp=tcp)
        self.finished = threading.Event()
        self._contents = read_contents(read_capture(path))
        self._speed = speed
        self._host_clock = clock
        self._watched: set[str] = set()
        self._periods: dict[str, int] = {}
        self._n_sent = 0
        self._started = False
        line = self._contents.line
        # The ticks wait here for a client that watches late, before anything that was recorded.
        first_s = line.time_s(self._contents.first_tick - 1)
        self._hold_s = min(self._contents.start_s, first_s - REPLAY_LEAD_S)
        # Ticks begin at 0, which limits how long before the recording the playback can begin.
        self._position_s = max(line.time_s(0), self._hold_s - REPLAY_PREROLL_S)
        self._position_at_s: float | None = None

    @property
    def project(self) -> str:
        """Name of the recorded project."""
        return self._contents.project

    @property
    def true_tick_rate_hz(self) -> float:
        """Rate of the ticks on the host's clock, except while they stand still."""
        return self._contents.line.rate_hz * self._speed

    @property
    def watched(self) -> tuple[str, ...]:
        """Names of the variables with recorded blocks."""
        return self._contents.watched

    @property
    def monitored(self) -> tuple[str, ...]:
        """Names of the variables with recorded single values."""
        return self._contents.monitored

    def tick_now(self) -> int:
        """Return the last tick that has happened."""
        return self._in_loop(lambda: self._contents.line.tick(self._position()))

    def watched_names(self) -> list[str]:
        """Return the names of the watched variables."""
        return self._in_loop(lambda: sorted(self._watched))

    def _position(self) -> float:
        """Return the present time in the capture, in seconds; it starts with the first client."""
        now_s = self._host_clock()
        if self._position_at_s is not None:
            passed_s = (now_s - self._position_at_s) * self._speed
            self._position_s += passed_s
            if not self._started:
                self._position_s = min(self._position_s, self._hold_s)
            self._position_at_s = now_s
        return self._position_s

    # ---- in the event loop ---------------------------------------------------------------

    async def run(self) -> None:
        """Send the recorded data when they are due."""
        data = self._contents.data
        while True:
            position_s = self._position()
            while self._playing and data[self._n_sent][0] <= position_s:
                self.send_data(data[self._n_sent][1])
                self._n_sent += 1
                if self._n_sent == len(data):
                    self._finish()
            wait_s = REPLAY_SLEEP_S
            if self._playing:
                wait_s = min((data[self._n_sent][0] - position_s) / self._speed, wait_s)
            await asyncio.sleep(wait_s)

    @property
    def _playing(self) -> bool:
        return self._started and not self.finished.is_set()

    def _finish(self) -> None:
        self._watched.clear()
        self._periods.clear()
        self.finished.set()

    def on_clients_changed(self) -> None:
        """Start the time with the first client."""
        if self._position_at_s is None:
            self._position_at_s = self._host_clock()

    def receive_control(self, client: ClientChannel, text: str) -> None:
        """Answer ``list``; start on ``watch``, or on ``monitor`` if only that was recorded."""
        root = board_json.parse_message(text)
        if root is None:
            return
        self.handle_event(client, root)
        for command in board_json.items(root, "watcher"):
            if isinstance(command, dict):
                self._execute(command)

    def receive_data(self, client: ClientChannel, message: bytes) -> None:
        """Ignore a buffer."""

    def _execute(self, command: dict[str, Any]) -> None:
        known = {variable.name for variable in self._contents.lists[0][1].variables}
        names = [name for name in board_json.items(command, "watchers") if name in known]
        match command.get("cmd"):
            case "list":
                self.send_control(self._list_reply())
            case "watch" if names and not self.finished.is_set():
                self._watched.update(names)
                self._start()
            case "monitor" if names and not self._contents.watches:
                periods = board_json.items(command, "periods")
                asked = zip(names, map(board_json.unsigned, periods), strict=False)
                self._periods.update(asked)
                self._start()
                self._end_if_unwanted()
            case "unwatch":
                self._watched.difference_update(names)
                self._end_if_unwanted()

    def _start(self) -> None:
        self._position()
        self._started = True

    def _end_if_unwanted(self) -> None:
        if self._playing and not self._watched and not any(self._periods.values()):
            self._finish()

    def _list_reply(self) -> str:
        position_s = self._position()
        listed = self._contents.list_at(position_s)
        variables = [
            replace(
                variable,
                watched=variable.name in self._watched,
                monitor_period_ticks=self._periods.get(variable.name, 0),
                controlled=False,
                logged=False,
            )
            for variable in listed.variables
        ]
        tick = self._contents.line.tick(position_s)
        return board_json.list_reply(listed.sample_rate_hz, tick, variables)
