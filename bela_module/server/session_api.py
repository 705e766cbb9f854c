"""``SessionApi``: the methods of a session that the PCOMM server calls, one for each PCOMM."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from bela_module.config import Settings
from bela_module.requests import (
    ConnectInputRequest,
    DisconnectInputRequest,
    MonitorRequest,
    PrepareRequest,
    ReleaseRequest,
    ScheduleRequest,
    SendRequest,
    SetRequest,
    StartRequest,
)

QueryReply = dict[str, Any]
"""The answer to a query: one JSON object."""


class SessionApi(Protocol):
    """What the server needs of a session; no method may wait for the board.

    The futures end with words on what was done, or with the `BelaError` that prevented it.
    """

    @property
    def settings(self) -> Settings:
        """The settings that it uses."""

    @property
    def failure(self) -> BaseException | None:
        """What ended the session before its time; it carries out nothing any more."""

    def prepare(self, request: PrepareRequest) -> Future[str]:
        """Open the outlets, before any data."""

    def start(self, request: StartRequest) -> Future[str]:
        """Stream until `stop`."""

    def schedule(self, request: ScheduleRequest) -> Future[str]:
        """Have the board start and end the streams."""

    def stop(self) -> Future[str]:
        """End streaming or a schedule."""

    def monitor(self, request: MonitorRequest) -> Future[str]:
        """Stream single values at a low rate."""

    def set_values(self, request: SetRequest) -> Future[str]:
        """Take control of variables and set them."""

    def release(self, request: ReleaseRequest) -> Future[str]:
        """Give control back to the sketch."""

    def send(self, request: SendRequest) -> Future[str]:
        """Send a buffer of numbers to the sketch."""

    def connect_input(self, request: ConnectInputRequest) -> Future[str]:
        """Have a stream of LSL drive the board."""

    def disconnect_input(self, request: DisconnectInputRequest) -> Future[str]:
        """End an input, or all of them."""

    def list_variables(self) -> Future[QueryReply]:
        """Ask the board for its variables."""

    def status(self) -> QueryReply:
        """Describe the state, immediately."""

    def subscribe(self, callback: Callable[[str, str], None]) -> None:
        """Have each event (name, marker text) reported, in the session's own thread."""

    def note_error(self, text: str) -> None:
        """Keep the words of a refused or failed command as the last error."""

    def note_check(self, result: QueryReply) -> None:
        """Keep the result of a check for STATUS."""

    def close(self, timeout_s: float = 5.0) -> None:
        """Leave the board clean and end; idempotent."""
