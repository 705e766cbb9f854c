"""Whole binary messages in a websocket's bytes, without the websocket library. Pure, no I/O.

The board sends thousands of messages a second, all of one kind, and the library's parser, which
takes any kind, would cost as much as all that is done with them. Frames are those of RFC 6455,
section 5.2.
"""

from __future__ import annotations

from typing import Final

_WHOLE_BINARY: Final = 0x82
"""First byte of a binary message in one frame, without extensions."""
_TWO_BYTES_LENGTH: Final = 126
"""Second byte of a frame that is not masked and whose length follows in two bytes; if it is less
than that, it is the length itself."""


class MessageSplitter:
    """Finds binary messages of one frame each, of at most 65535 bytes.

    Give each piece of what follows the opening handshake to :meth:`split`, in order. The first
    frame of another kind, be it right or wrong, is left to the library, with all that comes then.
    """

    def __init__(self) -> None:
        self._rest: bytes | None = b""  # of a frame that is not complete; None: see above

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Take more bytes; return the messages in them, and what follows for the library."""
        if self._rest is None:
            return [], data
        if self._rest:
            data = self._rest + data
        messages: list[bytes] = []
        at, size = 0, len(data)
        while at + 2 <= size:
            if data[at] != _WHOLE_BINARY or data[at + 1] > _TWO_BYTES_LENGTH:
                self._rest = None
                return messages, data[at:]
            begin, length = at + 2, data[at + 1]
            if length == _TWO_BYTES_LENGTH:
                if at + 4 > size:
                    break
                begin, length = at + 4, data[at + 2] << 8 | data[at + 3]
            if begin + length > size:
                break
            at = begin + length
            messages.append(data[begin:at])
        self._rest = data[at:]
        return messages, b""
