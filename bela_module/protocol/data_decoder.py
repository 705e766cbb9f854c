"""Decoder of the data channel: pairs headers and payloads; reasons and counts of refusals. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bela_module.errors import FrameError
from bela_module.protocol.data_channel import (
    MAX_HEADER_BYTES,
    Block,
    decode_payload,
    parse_header,
)
from bela_module.protocol.variables import PAYLOAD_BYTES, TICK_BYTES, ValueType, Variable


class RefusalReason(StrEnum):
    """Why the decoder gave no block for a message."""

    ORPHAN_HEADER = "a header was followed by another header: its payload was lost"
    ORPHAN_PAYLOAD = "a payload came without a header"
    BAD_FRAME = "a message is neither a header nor a payload of the announced type"
    UNKNOWN_VARIABLE = "a header names a variable that the board's list does not have"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that gave no block, and why."""

    reason: RefusalReason
    detail: str


@dataclass(slots=True)
class DecoderCounters:
    """Numbers of blocks and of refused messages."""

    blocks: int = 0
    orphan_headers: int = 0
    orphan_payloads: int = 0
    bad_frames: int = 0
    unknown_variables: int = 0


@dataclass(slots=True)
class DataDecoder:
    """Turns the messages of the data channel into blocks.

    Give each message to :meth:`receive`, in order. It returns ``None`` (after a header: wait for
    its payload), a :class:`Block`, or a :class:`Refusal`, which is also counted. No input makes it
    raise.
    """

    variables: Sequence[Variable] = ()
    """The board's variables in the order of its list; replace them with :meth:`describe`."""
    counters: DecoderCounters = field(default_factory=DecoderCounters)
    _pending: tuple[int, ValueType] | None = None
    _headers: dict[bytes, tuple[int, ValueType]] = field(default_factory=dict)  # parsed before

    def describe(self, variables: Sequence[Variable]) -> None:
        """Use a newer list of the board's variables."""
        if len(variables) != len(self.variables):
            self._headers.clear()
        self.variables = variables

    def restart(self) -> None:
        """Drop a header whose payload cannot come any more: the connection ended."""
        self._pending = None

    def receive(self, message: bytes | str) -> Block | Refusal | None:
        """Decode the next websocket message; text is refused, since the board sends none here."""
        if isinstance(message, str):
            return self._refuse(RefusalReason.BAD_FRAME, f"text {message[:40]!r}")
        header = None
        if len(message) <= MAX_HEADER_BYTES:
            header = self._headers.get(message) or self._parse_header(message)
        announced, self._pending = self._pending, header
        if header is None:
            return self._close(announced, message)
        if announced is None:
            return None
        index, value_type = announced
        return self._refuse(RefusalReason.ORPHAN_HEADER, f"{index}/{value_type.value}")

    def _parse_header(self, message: bytes) -> tuple[int, ValueType] | None:
        header = parse_header(message)
        if header is not None and header[0] < len(self.variables):
            self._headers[message] = header
        return header

    def _close(self, announced: tuple[int, ValueType] | None, message: bytes) -> Block | Refusal:
        if announced is None:
            is_payload = len(message) in _PAYLOAD_SIZES
            reason = RefusalReason.ORPHAN_PAYLOAD if is_payload else RefusalReason.BAD_FRAME
            return self._refuse(reason, f"{len(message)} bytes")
        index, value_type = announced
        if index >= len(self.variables) or self.variables[index].value_type is not value_type:
            return self._refuse(RefusalReason.UNKNOWN_VARIABLE, f"{index}/{value_type.value}")
        try:
            block = decode_payload(self.variables[index], message)
        except FrameError as error:
            detail = f"{index}/{value_type.value}: {error}"
            return self._refuse(RefusalReason.BAD_FRAME, detail)
        self.counters.blocks += 1
        return block

    def _refuse(self, reason: RefusalReason, detail: str) -> Refusal:
        counters = self.counters
        match reason:
            case RefusalReason.ORPHAN_HEADER:
                counters.orphan_headers += 1
            case RefusalReason.ORPHAN_PAYLOAD:
                counters.orphan_payloads += 1
            case RefusalReason.UNKNOWN_VARIABLE:
                counters.unknown_variables += 1
            case RefusalReason.BAD_FRAME:
                counters.bad_frames += 1
        return Refusal(reason, detail)


_PAYLOAD_SIZES: Final = frozenset(
    {PAYLOAD_BYTES, *(TICK_BYTES + kind.dtype.itemsize for kind in ValueType)}
)
