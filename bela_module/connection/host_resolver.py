"""Host name lookup with a deadline, in a daemon thread.

The resolver takes several seconds for ``bela.local`` when the board is off, and the end of the
program would wait for a lookup of the event loop's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading


async def resolve(host: str, timeout_s: float) -> str:
    """Return the address of a host; IPv4 where there is one, since boards listen there.

    Raises
    ------
    OSError
        When the name is not known.
    TimeoutError
        When it takes too long.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[str] = loop.create_future()

    def settle(address: str, error: OSError | None) -> None:
        if found.done():
            return
        if error is None:
            found.set_result(address)
        else:
            found.set_exception(error)

    def look_up() -> None:
        address, failure = "", None
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            answers.sort(key=lambda answer: answer[0] != socket.AF_INET)
            address = str(answers[0][4][0])
        except OSError as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, address, failure)

    threading.Thread(target=look_up, name="bela-resolver", daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await found
