"""What the server expects of a session is what the session has, method by method."""

from __future__ import annotations

import inspect
import typing

import pytest

from bela_module.server.pcomms import PCOMMS, Pcomm
from bela_module.server.session_api import SessionApi
from bela_module.session.session import Session
from tests.support.server_helpers import FakeSession

METHODS = [
    name
    for name, method in vars(SessionApi).items()
    if inspect.isfunction(method) and name[0] != "_"
]


@pytest.mark.parametrize("session", [Session, FakeSession])
@pytest.mark.parametrize("method", METHODS)
def test_sessions_have_each_method(method: str, session: type) -> None:
    expected = list(inspect.signature(getattr(SessionApi, method)).parameters)
    assert list(inspect.signature(getattr(session, method)).parameters) == expected


@pytest.mark.parametrize("session", [SessionApi, Session])
@pytest.mark.parametrize("pcomm", PCOMMS, ids=lambda pcomm: pcomm.name)
def test_methods_take_the_request_of_the_table(pcomm: Pcomm, session: type) -> None:
    if pcomm.session_method is None:
        return
    method = getattr(session, pcomm.session_method)
    _, *parameters = inspect.signature(method).parameters
    assert parameters == ([] if pcomm.request is None else ["request"])
    assert typing.get_type_hints(method).get("request") is pcomm.request
