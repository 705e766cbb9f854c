"""Looks for the board: each address of its name, its list of variables, a plain HTTP request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time

from bela_module.checking.facts import AddressAttempt, BoardFacts
from bela_module.config import BoardSettings
from bela_module.connection.board_client import BoardClient
from bela_module.connection.host_resolver import resolve
from bela_module.errors import BelaError

_HTTP_S = 1.0
_REQUEST = b"GET / HTTP/1.1\r\nHost: bela\r\nConnection: close\r\n\r\n"


async def probe_board(board: BoardSettings) -> BoardFacts:
    """Find out whether a board answers, and what it runs; nothing on it is changed.

    Parameters
    ----------
    board : BoardSettings
        Where it should be.
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
        return BoardFacts(
            board.url,
            attempts,
            project=client.project,
            declared_rate_hz=listed.sample_rate_hz,
            variables=listed.variables,
        )
    except BelaError as error:
        return BoardFacts(board.url, attempts, error=str(error), project=client.project)
    finally:
        await client.close()


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
