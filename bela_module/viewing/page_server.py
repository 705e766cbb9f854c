"""Serves the live page: Bokeh's server on one address, for browsers that it was opened for."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from traceback import walk_tb
from typing import Any, Final

from bela_module.errors import BelaError
from bela_module.streams.lsl_clock import local_clock
from bela_module.validation import host_in_url
from bela_module.viewing.bokeh_extra import require_bokeh
from bela_module.viewing.module_feed import ModuleFeed
from bela_module.viewing.time_limits import SESSION_KEPT_S

DEFAULT_PORT: Final = 5006
LOOPBACK: Final = ("::1", "localhost")
EVERYWHERE: Final = ("0.0.0.0", "::", "")
_BOKEH_SERVER: Final = "bokeh.server."


@dataclass(frozen=True, slots=True)
class PageOptions:
    """Where and for what pages are served.

    Attributes
    ----------
    ip : str
        Address to listen at.
    port : int or None
        Port; 0 takes a free one, None the usual one, or a free one when that is taken.
    module_host, module_port : str, int
        Where the module serves its PCOMMs.
    controls : bool
        Whether pages may command the module.
    """

    ip: str
    port: int | None
    module_host: str
    module_port: int
    controls: bool


async def serve_pages(
    options: PageOptions, ended: asyncio.Event, on_listening: Callable[[str], None]
) -> None:
    """Serve pages until it is ended.

    Parameters
    ----------
    options : PageOptions
        Where, and for what.
    ended : asyncio.Event
        Ends it.
    on_listening : callable
        Told the address of the page once it is served.

    Raises
    ------
    ExtraMissingError
        When Bokeh is not installed.
    BelaError
        When the address cannot be listened at.
    """
    require_bokeh()
    from bokeh.document import Document

    from bela_module.viewing.page import Page

    feed = ModuleFeed(options.module_host, options.module_port, lists_variables=options.controls)

    def open_page(document: Document) -> None:
        Page(document, feed, local_clock, controls=options.controls)

    try:
        async with serving(open_page, options.ip, options.port) as url:
            on_listening(url)
            await ended.wait()
    finally:
        await feed.close()


@asynccontextmanager
async def serving(
    open_document: Callable[[Any], None], ip: str, port: int | None
) -> AsyncIterator[str]:
    """Serve a document to browsers; give its address.

    Parameters
    ----------
    open_document : callable
        Fills the document of a browser that has come.
    ip : str
        Address to listen at.
    port : int or None
        Port; 0 takes a free one, None the usual one, or a free one when that is taken.

    Raises
    ------
    BelaError
        When the address cannot be listened at.
    """
    from bokeh.application import Application
    from bokeh.application.handlers import FunctionHandler
    from bokeh.server.server import BaseServer
    from bokeh.server.tornado import BokehTornado
    from tornado.httpserver import HTTPServer
    from tornado.ioloop import IOLoop

    from bela_module.viewing.known_hosts import only_for_hosts

    logging.getLogger("bokeh").setLevel(logging.ERROR)
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    logging.getLogger("tornado.application").addFilter(is_news)
    sockets = _listen(ip, port)
    port = sockets[0].getsockname()[1]
    hosts = allowed_hosts(ip)
    web = BokehTornado(
        {"/": Application(FunctionHandler(open_document))},
        extra_websocket_origins=[f"{host}:{port}" for host in hosts],
        unused_session_lifetime_milliseconds=round(1000 * SESSION_KEPT_S),
        check_unused_sessions_milliseconds=round(500 * SESSION_KEPT_S),
    )
    http_server = HTTPServer(only_for_hosts(web, hosts))
    http_server.add_sockets(sockets)
    server = BaseServer(IOLoop.current(), web, http_server)
    server.start()
    try:
        yield f"http://{host_in_url(_reachable(ip))}:{port}/"
    finally:
        server.unlisten()
        server.stop()
        await http_server.close_all_connections()


def is_news(record: logging.LogRecord) -> bool:
    """Tell whether a message of the web server is of use.

    A browser that goes before its page is there (it was loaded again, or the computer is slow)
    makes Bokeh 3 fail with an ``AssertionError`` of its server, of which nothing comes. One that
    another package raises is reported.
    """
    if record.exc_info is None or record.exc_info[0] is not AssertionError:
        return True
    modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(record.exc_info[2])]
    return not modules or not f"{modules[-1]}.".startswith(_BOKEH_SERVER)


def is_loopback(ip: str) -> bool:
    """Tell whether only this computer reaches an address."""
    return ip in LOOPBACK or ip.startswith("127.")


def allowed_hosts(ip: str) -> list[str]:
    """Name the hosts in the addresses of pages that may connect: a page of elsewhere may not.

    Browsers send the ``Host`` of the address with each request and the ``Origin`` of the page with
    each websocket, and a page of another site can change neither. Both are compared with these:
    the name of another site may have been given this computer's address.

    Parameters
    ----------
    ip : str
        Where pages are served.
    """
    if is_loopback(ip):
        return ["127.0.0.1", "localhost", *([host_in_url(ip)] if ":" in ip else [])]
    name = socket.gethostname()
    hosts = ["127.0.0.1", "localhost", name, f"{name}.local", socket.getfqdn(), host_in_url(ip)]
    if ip in EVERYWHERE:
        hosts[-1] = "[::1]"
    return list(dict.fromkeys(hosts))


def _reachable(ip: str) -> str:
    # A socket at :: takes no connection by IPv4: asyncio and Python set IPV6_V6ONLY.
    return {"::": "::1", "0.0.0.0": "127.0.0.1", "": "127.0.0.1"}.get(ip, ip)


def _listen(ip: str, port: int | None) -> list[socket.socket]:
    """Bind the sockets; without a port the usual one, or a free one when that is taken."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    for tried in (DEFAULT_PORT, 0) if port is None else (port,):
        try:
            listening = socket.create_server((ip, tried), family=family)
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            listening.setblocking(False)
            return [listening]
    raise BelaError(
        f"the page cannot be served at {host_in_url(ip)}:{port}: {reason}; name another --port"
    )
