"""Which hosts requests may be for."""

from __future__ import annotations

import types
from typing import Any

import pytest

pytest.importorskip("bokeh")

from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from bela_module.viewing.known_hosts import KnownHosts


def matches(host: str, came_to: str | None = None) -> bool:
    listening = types.SimpleNamespace(getsockname=lambda: (came_to, 5006))
    stream = types.SimpleNamespace(socket=listening if came_to is not None else None)
    connection: Any = types.SimpleNamespace(stream=stream)
    start_line = RequestStartLine("GET", "/", "HTTP/1.1")
    headers = HTTPHeaders({"Host": host})
    request = HTTPServerRequest(connection=connection, start_line=start_line, headers=headers)
    return KnownHosts(["127.0.0.1", "LocalHost", "[::1]"]).match(request) is not None


@pytest.mark.parametrize(
    "host", ["localhost:5006", "LOCALHOST", "localhost.", "127.0.0.1:9", "[::1]:5006"]
)
def test_hosts_that_are_known(host: str) -> None:
    assert matches(host)


@pytest.mark.parametrize(
    "host", ["evil.example:5006", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.5"]
)
def test_other_hosts(host: str) -> None:
    assert not matches(host)
    assert not matches(host, "10.0.0.6")


@pytest.mark.parametrize(
    ("host", "came_to"),
    [("10.0.0.5:1", "10.0.0.5"), ("10.0.0.5", "::ffff:10.0.0.5"), ("[fe80::1]:1", "fe80::1%eth0")],
)
def test_the_address_that_was_connected_to(host: str, came_to: str) -> None:
    assert matches(host, came_to)
