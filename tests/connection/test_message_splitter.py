"""Whole binary messages are found in a websocket's bytes, however these are cut; no other frame is.

What is left to the library is what it would have got without the splitter, from that frame on.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from bela_module.connection.message_splitter import MessageSplitter

SIZES = (0, 1, 3, 125, 126, 127, 4104, 65535)


def frame(data: bytes, opcode: Opcode = Opcode.BINARY, *, fin: bool = True) -> bytes:
    return bytes(Frame(opcode, data, fin).serialize(mask=False))


def split(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    splitter, messages, rest = MessageSplitter(), [], b""
    for piece in pieces:
        found, left = splitter.split(piece)
        assert not (found and rest)  # once the library has begun, it gets everything
        messages += found
        rest += left
    return messages, rest


def cut(data: bytes, draw: random.Random, n_cuts: int) -> list[bytes]:
    at = sorted(draw.randrange(len(data) + 1) for _ in range(n_cuts))
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]


def test_messages_of_all_sizes_are_found_in_one_piece_and_byte_by_byte() -> None:
    sent = [bytes([size % 251]) * size for size in SIZES]
    stream = b"".join(map(frame, sent))
    assert split([stream]) == (sent, b"")
    assert split([stream[k : k + 1] for k in range(len(stream))]) == (sent, b"")


@pytest.mark.parametrize(
    "other",
    [
        frame(b"text", Opcode.TEXT),
        frame(b"a part", fin=False),
        frame(b"the last part", Opcode.CONT),
        frame(b"", Opcode.PING),
        frame(b"", Opcode.PONG),
        frame(b"\x03\xe8", Opcode.CLOSE),
        frame(b"long", Opcode.BINARY)[:1] + b"\x7f" + (65536).to_bytes(8, "big"),
        b"\x82\x86mask" + b"masked",
        b"\x82\xfe\x01\x2cmask" + b"x" * 300,
        b"\xc2\x01a",  # a reserved bit
        b"\x83\x01a",  # a reserved opcode
        b"HTTP/1.1 400 Bad Request\r\n",
    ],
)
def test_the_first_other_frame_and_all_that_follows_are_the_librarys(other: bytes) -> None:
    before, after = frame(b"0/f") + frame(b"\0" * 4104), frame(b"1/f") + frame(b"x" * 300)
    stream = before + other + after
    expected = [b"0/f", b"\0" * 4104], other + after
    assert split([stream]) == expected
    draw = random.Random(len(other))
    for _ in range(50):
        assert split(cut(stream, draw, 6)) == expected


def test_any_bytes_in_other_pieces_give_the_same() -> None:
    draw = random.Random(15)
    for _ in range(300):
        stream = b"".join(frame(draw.randbytes(draw.choice(SIZES[:6]))) for _ in range(8))
        damaged = bytearray(stream)
        for _ in range(draw.randrange(3)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        messages, rest = split([bytes(damaged)])
        for n_cuts in (1, 5, 40):
            assert split(cut(bytes(damaged), draw, n_cuts)) == (messages, rest)


def test_no_more_than_one_message_is_kept_meanwhile() -> None:
    splitter = MessageSplitter()
    held = frame(b"x" * 65535)[:-1]
    assert splitter.split(held) == ([], b"")
    assert splitter.split(held[-1:] + b"\x82") == ([b"x" * 65535], b"")
    assert splitter.split(b"\x01y") == ([b"y"], b"")


def test_a_message_takes_a_call_or_two() -> None:
    n_messages, n_calls = 100, 0
    splitter, stream = MessageSplitter(), frame(b"x" * 4104) * n_messages

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal n_calls
        n_calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        messages, _ = splitter.split(stream)
    finally:
        sys.setprofile(before)
    assert len(messages) == n_messages
    assert n_messages <= n_calls <= 2 * n_messages
