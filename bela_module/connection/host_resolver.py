"""Host name lookup with a deadline, in a daemon thread.

The resolver takes several seconds for ``bela.local`` when the board is off, and the end of the
program would wait for a lookup of the event loop's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence
from typing import Final

_SCOPE: Final = 3  # place of the interface's number in an address of IPv6


async def resolve(host: str, timeout_s: float) -> tuple[str, ...]:
    """Return all addresses of a host, each once; IPv4 first, since boards listen there.

    Raises
    ------
    OSError
        When the name is not known.
    TimeoutError
        When it takes too long.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[tuple[str, ...]] = loop.create_future()

    def settle(addresses: tuple[str, ...], error: OSError | None) -> None:
        if found.done():
            return
        if error is None:
            found.set_result(addresses)
        else:
            found.set_exception(error)

    def look_up() -> None:
        addresses: tuple[str, ...] = ()
        failure = None
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            answers.sort(key=lambda answer: answer[0] != socket.AF_INET)
            addresses = tuple(dict.fromkeys(_address(answer[4]) for answer in answers))
        except (OSError, UnicodeError) as error:  # a part of a name may be too long
            failure = error if isinstance(error, OSError) else OSError(str(error))
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, addresses, failure)

    threading.Thread(target=look_up, name="bela-resolver", daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await found


def _address(endpoint: Sequence[object]) -> str:
    """Write an address; one that is valid on one interface only, with the interface."""
    host, scope = str(endpoint[0]), endpoint[_SCOPE] if len(endpoint) > _SCOPE else 0
    return f"{host}%{scope}" if scope and "%" not in host else host
