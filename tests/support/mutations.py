"""What can become of captured data on its way: pairs played again and again, and mutated."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bela_module.protocol.data_channel import Block
from bela_module.protocol.data_decoder import DataDecoder
from bela_module.protocol.variables import Variable

_TICK = struct.Struct("<Q")
_MUTATED_SHARE = 0.25


@dataclass(frozen=True)
class Pair:
    """A header and its payload as they were captured, and what the decoder makes of them."""

    header: bytes
    payload: bytes
    block: Block

    @property
    def last_tick(self) -> int:
        """The tick by which the board had filled it, and sent it."""
        return int(self.block.ticks[-1]) if self.block.relative_ticks is not None else self._dense

    @property
    def _dense(self) -> int:
        return self.block.tick if self.block.monitor else self.block.tick + self.block.values.size

    def at(self, offset: int) -> Pair:
        """Give the same pair of a later time."""
        payload = _TICK.pack(self.block.tick + offset) + self.payload[_TICK.size :]
        return Pair(self.header, payload, self.block)


def pairs_of(messages: Sequence[bytes], variables: Sequence[Variable]) -> list[Pair]:
    """Find the pairs among captured messages."""
    decoder = DataDecoder(variables)
    pairs = []
    for header, payload in zip(messages, messages[1:], strict=False):
        decoder.receive(header)
        block = decoder.receive(payload)
        if isinstance(block, Block):
            pairs.append(Pair(header, payload, block))
        decoder.restart()
    return pairs


def mutate(messages: Sequence[bytes], random: np.random.Generator) -> bytes:
    """Change a message, or join it with another, in one of eight ways."""
    message = messages[int(random.integers(len(messages)))]
    at, until = sorted(int(n) for n in random.integers(0, len(message) + 1, 2))
    match random.integers(8):
        case 0:
            return message
        case 1:
            return message[:at]
        case 2:
            return message[:at] + message[until:]
        case 3:
            return message[:until] + message[at:]
        case 4:
            return message[:at] + random.bytes(until - at) + message[until:]
        case 5:
            other = messages[int(random.integers(len(messages)))]
            return message[:at] + other[at:]
        case 6:
            return random.bytes(int(random.integers(0, 32)))
    flipped = bytearray(message or b"\0")
    for position in random.integers(0, len(flipped), 3).tolist():
        flipped[position] ^= 1 << int(random.integers(8))
    return bytes(flipped)


def mutate_pair(pair: Pair, other: Pair, random: np.random.Generator) -> list[bytes]:
    """Change a pair, mostly so that it still is one: what is behind the decoder is to see it."""
    header, payload = pair.header, pair.payload
    tick, rest = _TICK.unpack(payload[: _TICK.size])[0], payload[_TICK.size :]
    match random.integers(12):
        case 0:
            return [payload]
        case 1:
            return [header]
        case 2:
            return []
        case 3:
            return [header, payload] * 2
        case 4:
            return [other.header, other.payload, header, payload]
        case 5:
            return [mutate([header], random), payload]
        case 6:
            return [header, mutate([payload], random)]
        case 7:  # another tick near it
            near = max(0, tick + int(random.integers(-2000, 2000)))
            return [header, _TICK.pack(near) + rest]
        case 8:  # any tick
            return [
                header,
                _TICK.pack(int(random.integers(2 ** int(random.integers(1, 64))))) + rest,
            ]
        case 9:  # it ends early, and is padded
            kept = int(random.integers(len(rest)))
            return [header, payload[: _TICK.size + kept] + bytes(len(rest) - kept)]
        case 10:  # other values
            return [header, payload[: _TICK.size] + random.bytes(len(rest))]
    return [mutate([header, payload], random)]


def played(
    pairs: Sequence[Pair], count: int, random: np.random.Generator
) -> Iterator[tuple[int, list[bytes]]]:
    """Play pairs again and again, a quarter of them mutated, ticks going on.

    Yields
    ------
    int
        The tick that the board has reached.
    list of bytes
        What comes then.
    """
    first_tick = min(pair.block.tick for pair in pairs)
    length = max(pair.last_tick for pair in pairs) - first_tick + 1
    for n in range(count):
        round_, at = divmod(n, len(pairs))
        offset = round_ * length - first_tick
        pair = pairs[at].at(offset)
        messages = [pair.header, pair.payload]
        if random.random() < _MUTATED_SHARE:
            other = pairs[int(random.integers(len(pairs)))].at(offset)
            messages = mutate_pair(pair, other, random)
        yield pairs[at].last_tick + offset, messages
