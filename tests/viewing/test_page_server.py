"""Serving pages: everything from here, only for pages that were opened from here."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("bokeh")

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bela_module.errors import BelaError, ExtraMissingError
from bela_module.viewing import page_server
from bela_module.viewing.page_server import (
    PageOptions,
    allowed_hosts,
    is_loopback,
    is_news,
    serve_pages,
)


async def get(url: str, host: str = "", path: str = "/") -> str:
    """Fetch a page by hand, if need be with the ``Host`` of another one."""
    address, port = url.removeprefix("http://").rstrip("/").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(address.strip("[]"), int(port))
    named = f"{host or address}:{port}"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {named}\r\nConnection: close\r\n\r\n".encode())
    body = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return body


def while_served(look: Callable[[str], object], **changes: object) -> None:
    options = {"ip": "127.0.0.1", "port": 0, "module_host": "127.0.0.1", "module_port": 1}
    page = PageOptions(**{**options, "controls": False, **changes})  # type: ignore[arg-type]

    async def run() -> None:
        ended, url = asyncio.Event(), asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve_pages(page, ended, url.set_result))
        try:
            done, _ = await asyncio.wait({serving, url}, return_when=asyncio.FIRST_COMPLETED)
            if serving in done:
                await serving
            await look(await url)  # type: ignore[misc]
        finally:
            ended.set()
            await asyncio.wait({serving})

    asyncio.run(run())


def test_all_of_a_page_comes_from_here() -> None:
    async def look(url: str) -> None:
        page = await get(url)
        assert page.startswith("HTTP/1.1 200")
        sources = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert any(source.startswith("/static/js/bokeh") for source in sources)
        assert [source for source in sources if "//" in source] == []

    while_served(look)


def test_a_page_of_another_site_may_not_connect() -> None:
    async def status_for(url: str, origin: str) -> int:
        address = url.replace("http", "ws") + "ws"
        try:
            async with connect(address, additional_headers={"Origin": origin}, proxy=None):
                return 101
        except InvalidStatus as error:
            return error.response.status_code

    async def look(url: str) -> None:
        port = url.rstrip("/").rsplit(":", 1)[1]
        for origin in ("http://evil.example", f"http://evil.example:{port}", "http://127.0.0.1:1"):
            assert await status_for(url, origin) == 403
        assert await status_for(url, f"http://localhost:{port}") != 403

    while_served(look)


async def connect_as(url: str, host: str) -> int:
    """Connect as the page of a site does whose name was given the address of this computer."""
    port = int(url.rstrip("/").rsplit(":", 1)[1])
    address = url.split("//", 1)[1].rsplit(":", 1)[0].strip("[]")
    try:
        async with connect(
            f"ws://{host}:{port}/ws",
            host=address,
            port=port,
            additional_headers={"Origin": f"http://{host}:{port}", "Sec-Fetch-Site": "same-origin"},
            proxy=None,
        ):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


def test_a_site_whose_name_was_given_this_address_is_refused() -> None:
    async def look(url: str) -> None:
        assert await connect_as(url, "evil.example") == 403
        assert await connect_as(url, "192.168.77.1") == 403
        assert await connect_as(url, "localhost") == 101
        for path in ("/", "/static/js/bokeh.min.js", "/autoload.js?bokeh-autoload-element=1"):
            assert (await get(url, "evil.example", path)).startswith("HTTP/1.1 403")
            assert (await get(url, "LocalHost", path)).startswith("HTTP/1.1 200")

    while_served(look)
    while_served(look, ip="0.0.0.0")


def test_the_address_to_which_a_browser_connects_is_its_own_host() -> None:
    async def look(url: str) -> None:
        port = url.rstrip("/").rsplit(":", 1)[1]
        elsewhere = f"http://127.0.0.3:{port}/"
        assert (await get(elsewhere)).startswith("HTTP/1.1 200")
        assert (await get(elsewhere, "127.0.0.4")).startswith("HTTP/1.1 403")

    if sys.platform != "linux":
        pytest.skip("only Linux has all of 127.0.0.0/8")
    while_served(look, ip="0.0.0.0")


def test_the_address_that_is_told_can_be_reached_by_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this computer has no IPv6")

    async def look(url: str) -> None:
        assert url.startswith("http://[::1]:")
        assert (await get(url)).startswith("HTTP/1.1 200")
        assert (await get(url, "evil.example")).startswith("HTTP/1.1 403")

    while_served(look, ip="::")
    while_served(look, ip="::1")


def test_a_port_that_is_taken_is_an_error_and_the_usual_one_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def look(url: str) -> None:
        assert f":{port}/" not in url

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BelaError, match=rf"127.0.0.1:{port}: .*name another --port"):
            while_served(look, port=port)
        monkeypatch.setattr(page_server, "DEFAULT_PORT", port)
        while_served(look, port=None)


def test_hosts_in_addresses_of_pages() -> None:
    assert allowed_hosts("127.0.0.1") == ["127.0.0.1", "localhost"]
    assert "[::1]" in allowed_hosts("::1")
    everywhere = allowed_hosts("0.0.0.0")
    assert socket.gethostname() in everywhere
    assert "0.0.0.0" not in everywhere
    assert "192.168.1.5" in allowed_hosts("192.168.1.5")
    assert "*" not in everywhere
    assert is_loopback("127.0.0.2")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")


def raised_by(module: str, error: str) -> logging.LogRecord:
    """Give the record of an error that a function of this module raises."""
    names: dict[str, Any] = {"__name__": module}
    exec(f"def fail():\n    raise {error}", names)
    try:
        names["fail"]()
    except (AssertionError, ValueError):
        exc_info = sys.exc_info()
    return logging.LogRecord("tornado.application", logging.ERROR, "", 0, "", (), exc_info)


def test_a_browser_that_goes_before_its_page_is_there_is_no_news() -> None:
    assert not is_news(raised_by("bokeh.server.connection", "AssertionError"))
    assert is_news(raised_by("bokeh.server.connection", "ValueError"))
    assert is_news(logging.LogRecord("tornado.application", logging.ERROR, "", 0, "", (), None))


@pytest.mark.parametrize(
    "module", ["bela_module.viewing.page", "bokeh.models.plots", "bokeh.serverless"]
)
def test_an_assertion_that_is_not_of_the_server_of_bokeh_is_news(module: str) -> None:
    assert is_news(raised_by(module, "AssertionError"))


def test_without_bokeh_nothing_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    def require() -> None:
        raise ExtraMissingError("Bokeh", "view")

    async def look(_url: str) -> None:
        pytest.fail("it is served")

    monkeypatch.setattr(page_server, "require_bokeh", require)
    with pytest.raises(ExtraMissingError):
        while_served(look)
