"""Fixtures of the server's tests: a running server with a fake session, and a log server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.log_server import LogServer
from tests.support.server_helpers import Serving, serving


@pytest.fixture
def running() -> Iterator[Serving]:
    with serving() as it:
        yield it


@pytest.fixture
def log_server() -> Iterator[LogServer]:
    server = LogServer()
    yield server
    server.close()
