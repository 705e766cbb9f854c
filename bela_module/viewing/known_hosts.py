"""Refuses requests for hosts that are not this computer; needs Bokeh's Tornado."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.routing import AnyMatches, Matcher, Router, Rule, RuleRouter
from tornado.web import Application, RequestHandler

from bela_module.validation import host_in_url


def only_for_hosts(pages: Router, hosts: Iterable[str]) -> Router:
    """Give a router that passes on requests for some hosts and for the address they came to.

    Tornado accepts a websocket whose ``Origin`` is its ``Host``. A page of another site whose name
    was given this computer's address (DNS rebinding) has both.

    Parameters
    ----------
    pages : Router
        Answers what is passed on; all else is answered with 403.
    hosts : iterable of str
        Names and addresses, without a port; those of IPv6 in brackets.
    """
    refusal = Application([(r".*", _Refusal)])
    return RuleRouter([Rule(KnownHosts(hosts), pages), Rule(AnyMatches(), refusal)])


class KnownHosts(Matcher):
    """Matches requests by the host that they are for.

    Parameters
    ----------
    hosts : iterable of str
        Those that match, as does the address to which the client has connected.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Match a request; an empty dict when it does, None when not."""
        host = request.host_name.removesuffix(".")
        return {} if host in self._hosts or host == _local_host(request) else None


class _Refusal(RequestHandler):
    def prepare(self) -> None:
        self.set_status(403)
        self.finish(
            "This page is not served for the host in its address. "
            "Open it at the address that the program has told.\n"
        )


def _local_host(request: HTTPServerRequest) -> str | None:
    """Give the address of this computer to which a client has connected, as in a URL."""
    stream = getattr(request.connection, "stream", None)
    listening: socket.socket | None = getattr(stream, "socket", None)
    if listening is None:  # it has just gone
        return None
    address = str(listening.getsockname()[0])
    # Without the interface of a link-local address, and what stands for one of IPv4.
    return host_in_url(address.partition("%")[0].removeprefix("::ffff:"))
