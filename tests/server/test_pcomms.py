"""The PCOMM map: keywords in, requests out, refusals before the session is reached."""

from __future__ import annotations

import pytest

from bela_module.errors import RequestError
from bela_module.requests import ReleaseRequest
from bela_module.server.pcomms import pcommand_map
from tests.support.server_helpers import FakeSession


def test_handlers_take_the_payload_as_keywords() -> None:
    session = FakeSession()
    handlers = pcommand_map(session)
    future = handlers["RELEASE"](variables="gain")
    assert future.result() == "release done"  # type: ignore[union-attr]
    assert session.requests == [("release", ReleaseRequest(variables=("gain",)))]
    assert handlers["STATUS"]() == {"state": "idle", "last_error": None}


def test_what_is_wrong_never_reaches_the_session() -> None:
    session = FakeSession()
    handlers = pcommand_map(session)
    for pcomm in handlers:
        with pytest.raises(RequestError, match="nonsense: unknown key"):
            handlers[pcomm](nonsense=1)
    assert session.requests == []


def test_every_pcomm_of_the_interface_is_served_here_or_by_the_server() -> None:
    served_elsewhere = {"STOP", "VERBOSE", "UP", "GET_PCOMMS", "CLOSE"}
    assert set(pcommand_map(FakeSession())) | served_elsewhere == {
        "START", "SCHEDULE", "STOP", "MONITOR", "SET", "RELEASE", "SEND", "LIST", "STATUS",
        "VERBOSE", "UP", "GET_PCOMMS", "CLOSE",
    }  # fmt: skip
