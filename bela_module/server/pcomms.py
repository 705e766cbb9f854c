"""The PCOMM map: which method of the session carries out which command."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from bela_module.requests import (
    AnyRequest,
    MonitorRequest,
    ReleaseRequest,
    Request,
    ScheduleRequest,
    SendRequest,
    SetRequest,
    StartRequest,
    make_request,
)

Reply = dict[str, Any]
"""What a query answers: one JSON object."""

Outcome = Future[str] | Future[Reply] | Reply | int
"""What a handler returns: work under way, a reply, or (as in every Dareplane module) a number."""

Handler = Callable[..., Outcome]
"""A handler takes the fields of the payload as keywords, and returns at once."""


class SessionApi(Protocol):
    """What the server needs of a session; none of it may wait for the board.

    The futures end with words on what was done, or with the `BelaError` that prevented it.
    """

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

    def list_variables(self) -> Future[Reply]:
        """Ask the board for its variables."""

    def status(self) -> Reply:
        """Describe the state, immediately."""

    def subscribe(self, callback: Callable[[str, str], None]) -> None:
        """Have each event (name, marker text) reported, in the session's own thread."""

    def note_error(self, text: str) -> None:
        """Keep the words of a refused or failed command as the last error."""

    def close(self, timeout_s: float = 5.0) -> None:
        """Leave the board clean and end; idempotent."""


def pcommand_map(session: SessionApi) -> dict[str, Handler]:
    """Map each PCOMM that concerns the session to its handler.

    Parameters
    ----------
    session : SessionApi
        What carries them out.

    Returns
    -------
    dict of str to callable
        Handlers in the style of ``DefaultServer.pcommand_map``: ``handler(**payload)``. They
        raise `RequestError` for a payload that is not allowed.
    """
    return {
        "START": _checked(StartRequest, session.start),
        "SCHEDULE": _checked(ScheduleRequest, session.schedule),
        "MONITOR": _checked(MonitorRequest, session.monitor),
        "SET": _checked(SetRequest, session.set_values),
        "RELEASE": _checked(ReleaseRequest, session.release),
        "SEND": _checked(SendRequest, session.send),
        "LIST": _checked(Request, lambda _: session.list_variables()),
        "STATUS": _checked(Request, lambda _: session.status()),
    }


def _checked(model: type[AnyRequest], carry_out: Callable[[AnyRequest], Outcome]) -> Handler:
    def handler(**payload: object) -> Outcome:
        return carry_out(make_request(model, payload))

    return handler
