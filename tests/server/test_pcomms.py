"""The table of PCOMMs: rows agree with the session, the platform and the documentation."""

from __future__ import annotations

import re

import pytest
from dareplane_utils.default_server.server import BUILT_IN_PCOMMS

from bela_module.errors import RequestError
from bela_module.requests import ReleaseRequest
from bela_module.server.pcomms import (
    PCOMMS,
    PCOMMS_BY_NAME,
    Pcomm,
    pcomm_help,
    session_handlers,
)
from tests.support.paths import ROOT
from tests.support.server_helpers import FakeSession

OF_THE_SESSION = [pcomm for pcomm in PCOMMS if pcomm.session_method is not None]


def name(pcomm: Pcomm) -> str:
    return pcomm.name


def test_handlers_take_the_payload_as_keywords() -> None:
    session = FakeSession()
    handlers = session_handlers(session)
    future = handlers["RELEASE"](variables="gain")
    assert future.result() == "release done"  # type: ignore[union-attr]
    assert session.requests == [("release", ReleaseRequest(variables=("gain",)))]
    assert handlers["STATUS"]() == {"state": "idle", "last_error": None}


def test_what_is_wrong_never_reaches_the_session() -> None:
    session = FakeSession()
    handlers = session_handlers(session)
    assert list(handlers) == [pcomm.name for pcomm in OF_THE_SESSION]
    for pcomm in handlers:
        with pytest.raises(RequestError, match="nonsense: unknown key"):
            handlers[pcomm](nonsense=1)
    assert session.requests == []


def test_the_platforms_own_pcomms_come_last() -> None:
    names = [pcomm.name for pcomm in PCOMMS]
    assert len(names) == len(PCOMMS_BY_NAME)
    assert names[-len(BUILT_IN_PCOMMS) :] == BUILT_IN_PCOMMS


def documented_rows() -> dict[str, str]:
    """Give the rows of the documented table by their names, those of one name together."""
    text = (ROOT / "docs" / "pcomms.md").read_text(encoding="utf-8")
    table = text.partition("## The PCOMMs\n")[2].strip().partition("\n\n")[0]
    rows: dict[str, str] = {}
    row_name = ""
    for line in table.splitlines()[2:]:
        first, _, rest = line.removeprefix("|").partition("|")
        row_name = first.strip(" `") or row_name
        rows[row_name] = rows.get(row_name, "") + rest
    return rows


def test_the_documentation_has_a_row_for_each() -> None:
    assert set(documented_rows()) == set(PCOMMS_BY_NAME)


@pytest.mark.parametrize("pcomm", PCOMMS, ids=name)
def test_the_documentation_and_the_help_name_each_key_of_the_payload(pcomm: Pcomm) -> None:
    row = documented_rows()[pcomm.name]
    fields = pcomm.request.model_fields if pcomm.request is not None else {}
    assert set(re.findall(r'"(\w+)":', row)) - {"gain", "left"} <= set(fields)
    help_text = pcomm_help()
    assert f"  {pcomm.name} " in help_text
    assert pcomm.help in help_text
    for key, field in fields.items():
        assert f'"{key}"' in row
        assert key in help_text
        assert not field.is_required() or "required" in row
