"""The table of PCOMMs: name, request model, session method, whether it is a query, help.

``GET_PCOMMS``, the validation of payloads, the dispatch to the session, ``--help`` and the test of
the table of `docs/pcomms.md` all read it. A further PCOMM is a row here, a request model in
:mod:`bela_module.requests` and a method of the session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from bela_module.requests import (
    CheckRequest,
    ConnectInputRequest,
    DisconnectInputRequest,
    MonitorRequest,
    PrepareRequest,
    ReleaseRequest,
    Request,
    ScheduleRequest,
    SendRequest,
    SetRequest,
    StartRequest,
    VerboseRequest,
    make_request,
)
from bela_module.server.session_api import QueryReply, SessionApi

PcommOutcome = Future[str] | Future[QueryReply] | QueryReply | int
"""What a handler returns: work under way, a reply, or (as in every Dareplane module) a number."""

PcommHandler = Callable[..., PcommOutcome]
"""A handler takes the fields of the payload as keywords, and returns at once."""


@dataclass(frozen=True, slots=True)
class Pcomm:
    """A row of the table: one command that a client can send."""

    name: str
    request: type[Request] | None
    """The model of its payload; None: it takes none."""
    session_method: str | None
    """The method of `SessionApi` that carries it out; None: the server answers it itself."""
    is_query: bool
    """Whether it is answered on every connection, and logged at level DEBUG only."""
    help: str
    is_listed: bool = True
    """Whether ``GET_PCOMMS`` names it: a control room makes a button of each name."""

    def parse(self, fields: Mapping[str, object]) -> Request:
        """Validate the fields of a payload; raises `RequestError` naming each one at fault."""
        return make_request(self.request or Request, fields)


PCOMMS: Final = (
    Pcomm("PREPARE", PrepareRequest, "prepare", False, "open the outlets, before any data"),
    Pcomm("START", StartRequest, "start", False, "stream until STOP"),
    Pcomm("SCHEDULE", ScheduleRequest, "schedule", False, "the board starts and ends the streams"),
    Pcomm("MONITOR", MonitorRequest, "monitor", False, "stream single values at a low rate"),
    Pcomm("SET", SetRequest, "set_values", False, "take control of variables and set them"),
    Pcomm("RELEASE", ReleaseRequest, "release", False, "give control back to the sketch"),
    Pcomm("SEND", SendRequest, "send", False, "send numbers to a buffer of the sketch"),
    Pcomm(
        "CONNECT_INPUT",
        ConnectInputRequest,
        "connect_input",
        False,
        "an LSL stream drives the board from now on",
    ),
    Pcomm(
        "DISCONNECT_INPUT",
        DisconnectInputRequest,
        "disconnect_input",
        False,
        "end an input, or all of them",
    ),
    Pcomm("CHECK", CheckRequest, None, False, "is all ready? a line for each check in the log"),
    Pcomm("LIST", None, "list_variables", True, "the board's variables as a line of JSON"),
    Pcomm("STATUS", None, "status", True, "state, board, clock, streams as a line of JSON"),
    Pcomm("VERBOSE", VerboseRequest, None, False, "a reply line for each command, or not", False),
    Pcomm("STOP", None, "stop", False, "end what streams, is scheduled or monitored"),
    Pcomm("CLOSE", None, None, False, "leave the board as it was found and end the module"),
    Pcomm("GET_PCOMMS", None, None, True, "the names of all PCOMMs"),
    Pcomm("UP", None, None, True, "answers 1"),
)
"""Every PCOMM, in the order in which ``GET_PCOMMS`` names those that are listed."""

PCOMMS_BY_NAME: Final[Mapping[str, Pcomm]] = {pcomm.name: pcomm for pcomm in PCOMMS}


def session_handlers(session: SessionApi) -> dict[str, PcommHandler]:
    """Make the handlers of all PCOMMs that a session carries out.

    They are called in the style of ``DefaultServer.pcommand_map``, ``handler(**payload)``, and
    raise `RequestError` for a payload that is not allowed.
    """
    return {
        pcomm.name: partial(_call_session, pcomm, getattr(session, pcomm.session_method))
        for pcomm in PCOMMS
        if pcomm.session_method is not None
    }


def _call_session(pcomm: Pcomm, method: Callable[..., Any], /, **payload: object) -> PcommOutcome:
    request = pcomm.parse(payload)
    outcome: PcommOutcome = method() if pcomm.request is None else method(request)
    return outcome


def pcomm_help() -> str:
    """List all PCOMMs with their payloads, for ``--help``."""
    lines = ["PCOMMs, each sent as NAME; or NAME|{json};"]
    for pcomm in PCOMMS:
        fields = pcomm.request.model_fields if pcomm.request is not None else {}
        lines.append(f"  {pcomm.name:16} {pcomm.help}")
        if fields:
            words = [f"{key} (required)" if f.is_required() else key for key, f in fields.items()]
            lines.append(f"  {'':16}   {', '.join(words)}")
    return "\n".join(lines)
