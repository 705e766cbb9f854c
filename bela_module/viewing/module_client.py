"""A client of a module's PCOMM port: STATUS, LIST and commands, in the page's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, Final

from bela_module.errors import ModuleError
from bela_module.validation import host_in_url
from bela_module.viewing.time_limits import COMMAND_S, CONNECT_S, REPLY_S

_LONGEST_LINE_BYTES: Final = 16 * 2**20
_ESCAPED: Final = {";": "\\u003b", "|": "\\u007c"}
"""What separates commands, as it is written within the text of JSON, which has it nowhere else."""


class ModuleClient:
    """Asks a module, one question after another; a lost connection is made again.

    It never sends ``UP`` or ``GET_PCOMMS``: the module tells by them which client is the control
    room, to which it sends its callbacks.

    Parameters
    ----------
    host, port : str, int
        Where the module serves its PCOMMs.
    """

    def __init__(self, host: str, port: int) -> None:
        self.address = f"{host_in_url(host)}:{port}"
        self._host, self._port = host, port
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def query(self, pcomm: str) -> dict[str, Any]:
        """Ask ``STATUS`` or ``LIST``.

        Returns
        -------
        dict
            The answer.

        Raises
        ------
        ModuleError
            When there is none.
        """
        async with self._turn:
            line = await self._ask(f"{pcomm};", ("{", f"ERROR {pcomm}:"), REPLY_S)
        if not line.startswith("{"):
            raise ModuleError(line.removeprefix("ERROR "))
        try:
            answer: dict[str, Any] = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ModuleError(f"{self.address} answers {pcomm} with {line[:80]!r}") from error
        return answer

    async def command(self, pcomm: str, payload: dict[str, Any] | None = None) -> str:
        """Have a command carried out.

        Returns
        -------
        str
            ``OK`` and the command's name.

        Raises
        ------
        ModuleError
            When the module refuses it, or does not answer.
        """
        text = "" if payload is None else json.dumps(payload)
        for separator, escaped in _ESCAPED.items():
            text = text.replace(separator, escaped)
        message = f"{pcomm}|{text};" if text else f"{pcomm};"
        async with self._turn:
            line = await self._ask(message, (f"OK {pcomm}", f"ERROR {pcomm}:"), COMMAND_S)
        if line.startswith("ERROR"):
            raise ModuleError(line.removeprefix("ERROR "))
        return line

    async def close(self) -> None:
        """End the connection."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with contextlib.suppress(OSError):  # it had failed already
                await streams[1].wait_closed()

    async def _ask(self, message: str, beginnings: tuple[str, ...], timeout_s: float) -> str:
        """Send a message and return the line that answers it; other lines are left out."""
        try:
            reader, writer = self._streams or await self._connect()
            writer.write(message.encode("ascii"))
            async with asyncio.timeout(timeout_s):
                await writer.drain()
                while raw := await reader.readline():
                    line = raw.decode("utf-8", "replace").strip()
                    if line.startswith(beginnings):
                        return line
            reason = "it has closed the connection"
        except TimeoutError:
            reason = f"no reply in {timeout_s:g} s"
        except (OSError, ValueError) as error:  # ValueError: a line without an end
            reason = str(error)
        except BaseException:  # cancelled: an answer that is under way belongs to no question
            await self.close()
            raise
        await self.close()
        name = message.rstrip(";").split("|", 1)[0]
        raise ModuleError(f"{name} to the module at {self.address}: {reason}")

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(CONNECT_S):
            streams = await asyncio.open_connection(
                self._host, self._port, limit=_LONGEST_LINE_BYTES
            )
        self._streams = streams
        streams[1].write(b"VERBOSE;")
        return streams
