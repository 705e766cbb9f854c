"""TCP socket that stores when the kernel received and was given bytes (on Linux).

A program reads some 0.1 to 0.4 ms after the kernel has received, a busy one later still. On Linux
the kernel tells its time, that of the wall clock, with the bytes (``SO_TIMESTAMPNS``): the time of
the newest byte of each read. Elsewhere nothing is known of it. What that gains is measured in
``docs/decisions/0011-kernel-receive-times.md``.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

Ancillary = Sequence[tuple[int, int, bytes]]
"""What `socket.recvmsg` returns beside the bytes: level, type and content of each message."""

TIMESTAMP_OPTION: Final = getattr(socket, "SO_TIMESTAMPNS", 35)
"""Number of the socket option and of its messages; Python has no name for it before 3.14."""

_TIMESPEC: Final = struct.Struct("@ll")  # seconds and nanoseconds, of the system's own size
_ANCILLARY_BYTES: Final = 128
_STEPPED_S: Final = 1e-4  # far more than the wall clock is slewed between two reads


class KernelTimes:
    """Converts receive times of the kernel, on the wall clock, to another clock's seconds.

    Only the age of a time is used, and only where the wall clock was not set since the last
    reading: what cannot be trusted is refused.

    Parameters
    ----------
    now : callable
        Seconds of the clock to convert to.
    wall_ns : callable
        Nanoseconds of the wall clock.
    """

    def __init__(self, now: Callable[[], float], wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._now = now
        self._wall_ns = wall_ns
        self._ahead_s = wall_ns() * 1e-9 - now()

    def convert(self, ancillary: Ancillary) -> float | None:
        """Return when the kernel received, to be called right after the read.

        Parameters
        ----------
        ancillary : sequence of (int, int, bytes)
            What `socket.recvmsg` returned.

        Returns
        -------
        float or None
            Seconds; ``None`` without a time that can be trusted.
        """
        wall_ns = self._wall_ns()
        now_s = self._now()  # the later of both: a pause in between makes times late, never early
        ahead_s, before_s = wall_ns * 1e-9 - now_s, self._ahead_s
        self._ahead_s = ahead_s
        if abs(ahead_s - before_s) > _STEPPED_S:
            return None
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, TIMESTAMP_OPTION):
                if len(content) < _TIMESPEC.size:
                    return None
                seconds, nanoseconds = _TIMESPEC.unpack_from(content)
                age_s = (wall_ns - seconds * 10**9 - nanoseconds) * 1e-9
                return now_s - age_s if age_s >= 0.0 else None
        return None


class StampedSocket(socket.socket):
    """A TCP socket with the time at which the kernel received the newest byte of the last read.

    Attributes
    ----------
    kernel_s : float or None
        That time on the clock of `stamp_with`; ``None`` where it is not known.
    """

    kernel_s: float | None = None
    _times: KernelTimes | None = None
    _now: Callable[[], float]
    _expects_send = False
    _sent_s = 0.0

    def stamp_with(self, now: Callable[[], float]) -> None:
        """Ask the kernel for its times, if it has any, to be converted to those of a clock."""
        if sys.platform != "linux":
            return
        with contextlib.suppress(OSError):
            self.setsockopt(socket.SOL_SOCKET, TIMESTAMP_OPTION, 1)
            self._times, self._now = KernelTimes(now), now

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Read bytes, as asyncio's transport does, and note when they were received."""
        if self._times is None:
            return super().recv(size, flags)
        data, ancillary, _, _ = self.recvmsg(size, _ANCILLARY_BYTES, flags)
        self.kernel_s = self._times.convert(ancillary)
        return data

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        """Write bytes, as asyncio's transport does, and note when, if that is expected."""
        if self._expects_send:
            self._expects_send, self._sent_s = False, self._now()
        return super().send(data, flags)

    def expect_send(self) -> None:
        """Note when bytes are next given to the kernel."""
        self._sent_s, self._expects_send = -math.inf, self._times is not None

    def sent_since(self, earlier_s: float) -> float:
        """Return when bytes were first given to the kernel since :meth:`expect_send`.

        What takes its time before, from the message to the kernel, is no delay of the network. It
        is left out only where the kernel's receive times leave out the same on the way back.

        Parameters
        ----------
        earlier_s : float
            A time before that, for where it is not known.
        """
        return max(earlier_s, self._sent_s)


async def connect_socket(address: str, port: int, now: Callable[[], float]) -> StampedSocket:
    """Connect to a numeric address.

    Raises
    ------
    OSError
        When nothing listens there, or it is no address.
    """
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    family, kind, protocol, _, endpoint = found[0]
    connected = StampedSocket(family, kind, protocol)
    try:
        connected.setblocking(False)
        connected.stamp_with(now)
        await asyncio.get_running_loop().sock_connect(connected, endpoint)
    except BaseException:
        connected.close()
        raise
    return connected
