"""Looks for the board: each address of its name, its list of variables, a plain HTTP request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from typing import Final

from bela_module.checking.facts import AddressAttempt, BoardFacts
from bela_module.config import BoardSettings
from bela_module.connection.board_client import BoardClient
from bela_module.connection.host_resolver import resolve
from bela_module.errors import BelaError

_HTTP_S: Final = 1.0
_LATE_REPLY_S: Final = 0.1
_LOOK_S: Final = 0.1
_N_TIMED: Final = 5
_TIMING_S: Final = 1.0
_REQUEST: Final = b"GET / HTTP/1.1\r\nHost: bela\r\nConnection: close\r\n\r\n"


async def probe_board(
    board: BoardSettings, listen_s: float = 0.0, is_cancelled: Callable[[], bool] = lambda: False
) -> BoardFacts:
    """Find out whether a board answers, what it runs, and whether others ask it for something.

    Nothing on it is changed.

    Parameters
    ----------
    board : BoardSettings
        Where it should be.
    listen_s : float
        For how long to listen for the replies to other programs.
    is_cancelled : callable
        Tells whether to end that early.
    """
    timeout_s = board.reply_timeout_s
    try:
        addresses = await resolve(board.host, timeout_s)
    except (OSError, TimeoutError) as error:
        why = str(error) or f"its name was not found in {timeout_s:.1f} s"
        return BoardFacts(board.url, lookup_error=why)
    trying = [_try_address(address, board.port, timeout_s) for address in addresses]
    attempts = tuple(await asyncio.gather(*trying))
    reached = next((one for one in attempts if not one.error), None)
    if reached is None:
        return BoardFacts(board.url, attempts)
    try:
        client = await BoardClient.connect(
            board.host,
            board.port,
            now=time.monotonic,
            reply_timeout_s=timeout_s,
            on_data=lambda _message, _arrived_s: None,
        )
    except BelaError as error:
        http_status = await _ask_http(reached.address, board.port)
        return BoardFacts(board.url, attempts, http_status=http_status, error=str(error))
    try:
        listed = (await client.list()).variable_list
        taken_s = await _time_replies(client) if listen_s else ()
        await asyncio.sleep(_LATE_REPLY_S)  # what comes so late may be the answer to an earlier one
        begun_s, n_before = time.monotonic(), client.counters.foreign_replies
        while time.monotonic() < begun_s + listen_s and not is_cancelled():
            await asyncio.sleep(_LOOK_S)
        return BoardFacts(
            board.url,
            attempts,
            project=client.project,
            declared_rate_hz=listed.sample_rate_hz,
            variables=listed.variables,
            n_asked_by_others=client.counters.foreign_replies - n_before,
            listened_s=time.monotonic() - begun_s,
            replies_s=taken_s,
        )
    except BelaError as error:
        return BoardFacts(board.url, attempts, error=str(error), project=client.project)
    finally:
        await client.close()


async def _time_replies(client: BoardClient) -> tuple[float, ...]:
    """Ask some times while the check asks nothing else: no other reply is taken for the answer."""
    taken_s: list[float] = []
    until_s = time.monotonic() + _TIMING_S
    while len(taken_s) < _N_TIMED and time.monotonic() < until_s:
        reply = await client.list()
        taken_s.append(reply.received_s - reply.sent_s)
    return tuple(taken_s)


async def _try_address(address: str, port: int, timeout_s: float) -> AddressAttempt:
    begun_s = time.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(address, port)
    except TimeoutError:
        return AddressAttempt(address, f"no answer in {timeout_s:.1f} s")
    except OSError as error:
        words = os.strerror(error.errno) if error.errno else str(error)
        return AddressAttempt(address, words)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return AddressAttempt(address, took_s=time.monotonic() - begun_s)


async def _ask_http(address: str, port: int) -> str:
    """Return the first line of the answer to a plain request: what is there instead of a board."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_HTTP_S):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write(_REQUEST)
                line = await reader.readline()
                return "".join(c for c in line.decode("latin-1").strip()[:80] if c.isprintable())
            finally:
                writer.close()
    return ""
