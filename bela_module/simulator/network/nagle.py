"""Nagle's algorithm at the board's control sockets, with delayed acknowledgements of clients.

A small message is not sent while an earlier one is unacknowledged. A client that says nothing
delays its acknowledgement, and one that sends something puts it into that: so a reply that it did
not ask for waits on the board, and comes with an old tick just after its next request.

On data sockets nothing is held back: in recordings of a real board's code, header and payload
always came together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bela_module.simulator.time_limits import (
    DELAYED_ACK_S,
    FIRST_ACK_CHECK_S,
    LONGEST_ACK_CHECK_S,
)


@dataclass(frozen=True, slots=True)
class TcpTiming:
    """When the board's control sockets send a message."""

    nagle: bool = True
    """Whether they use Nagle's algorithm, as a board does."""
    ack_delay_s: float | None = None
    """How late a silent client acknowledges; by default, when its system really does."""


TCP_TIMINGS: Final[Mapping[str, TcpTiming]] = MappingProxyType(
    {
        "real": TcpTiming(),
        "delayed-ack": TcpTiming(ack_delay_s=DELAYED_ACK_S),
        "no-delay": TcpTiming(nagle=False),
    }
)
"""Timings by the name that ``--tcp`` takes."""


class NagleQueue:
    """Messages to one client that wait for the acknowledgement of earlier ones.

    Used in an event loop. It imitates Nagle's algorithm where the system cannot: where messages are
    delayed on a simulated way, or acknowledgements are to be late.

    Parameters
    ----------
    send : callable
        Sends a message on its way.
    is_acknowledged : callable
        Whether the client's system has acknowledged all that has arrived there.
    ack_travel_s : callable
        Draws how long an acknowledgement takes from the client to the board.
    """

    def __init__(
        self,
        send: Callable[[str | bytes], None],
        is_acknowledged: Callable[[], bool],
        ack_travel_s: Callable[[], float],
    ) -> None:
        self._send = send
        self._is_acknowledged = is_acknowledged
        self._ack_travel_s = ack_travel_s
        self._loop = asyncio.get_running_loop()
        self._enabled = False
        self._ack_delay_s: float | None = None
        self._waiting: list[str | bytes] = []
        self._n_on_way = 0  # messages of the last segment that have not arrived
        self._unacknowledged = False
        self._n_requests = 0
        self._n_requests_done = 0
        self._acknowledging_request: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait."""
        return sum(map(len, self._waiting))

    def configure(self, enabled: bool, ack_delay_s: float | None) -> None:
        """Turn it on or off; what waits is sent."""
        self._enabled = enabled
        self._ack_delay_s = ack_delay_s
        self._release()

    def send(self, message: str | bytes) -> None:
        """Send a message, now or when earlier ones are acknowledged."""
        if not self._enabled:
            self._send(message)
        elif self._unacknowledged:
            self._waiting.append(message)
        else:
            self._send_segment([message])

    def on_delivered(self) -> None:
        """Handle that a message has arrived at the client, which acknowledges the segment."""
        self._n_on_way = max(self._n_on_way - 1, 0)
        if self._n_on_way or not self._unacknowledged:
            return
        if self._ack_delay_s is None:
            self._look_again(FIRST_ACK_CHECK_S, self._loop.time() + DELAYED_ACK_S)
        else:
            self._expect_ack(self._ack_delay_s)

    def on_request_sent(self) -> None:
        """Handle that the client has sent a message, with an acknowledgement of what arrived."""
        self._n_requests += 1
        if self._unacknowledged and not self._n_on_way and self._acknowledging_request is None:
            self._acknowledging_request = self._n_requests

    def on_request_arrived(self) -> None:
        """Handle that a message of the client has arrived at the board."""
        self._n_requests_done += 1
        if self._n_requests_done == self._acknowledging_request:
            self._release()

    def close(self) -> None:
        """Drop what waits."""
        self._waiting.clear()
        self._stop_timer()

    def _send_segment(self, messages: list[str | bytes]) -> None:
        self._n_on_way = len(messages)
        self._unacknowledged = True
        for message in messages:
            self._send(message)

    def _look_again(self, wait_s: float, latest_s: float) -> None:
        self._timer = self._loop.call_later(wait_s, self._look_for_ack, wait_s, latest_s)

    def _look_for_ack(self, waited_s: float, latest_s: float) -> None:
        if self._loop.time() >= latest_s or self._is_acknowledged():
            self._expect_ack(0.0)
        else:
            self._look_again(min(2 * waited_s, LONGEST_ACK_CHECK_S), latest_s)

    def _expect_ack(self, delay_s: float) -> None:
        self._timer = self._loop.call_later(delay_s + self._ack_travel_s(), self._release)

    def _release(self) -> None:
        """Handle the acknowledgement: send all that waits as one segment."""
        self._stop_timer()
        self._unacknowledged = False
        self._acknowledging_request = None
        waiting, self._waiting = self._waiting, []
        if waiting and self._enabled:
            self._send_segment(waiting)
        else:
            for message in waiting:
                self._send(message)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
