"""Blocks of many variables given to a delivery without sockets, to count what each block costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from bela_module.config import parse_settings
from bela_module.connection.client_records import ListReply
from bela_module.protocol.block_encoder import encode_block, encode_header
from bela_module.protocol.control_channel import VariableList
from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import ValueType, Variable
from bela_module.session.board.board_state import BoardState
from bela_module.session.board.prober import Prober
from bela_module.session.delivery.delivery import Delivery, DeliveryKind
from bela_module.session.delivery.schedule import Schedule
from bela_module.session.delivery.step_surveyor import StepSurveyor
from bela_module.session.notices import Notices
from bela_module.streams.sink import Sink
from bela_module.streams.stream_plans import plan_streams

RATE_HZ = 44100.0
BLOCK_VALUES = 1024


@dataclass
class BlockFeed:
    """A board whose clock is known, and a delivery of its variables into a sink.

    Each call of :meth:`next_messages` gives one block of every variable, headers and payloads;
    values are their own ticks.
    """

    n_variables: int
    sink: Sink
    grouped: bool = False

    def __post_init__(self) -> None:
        """Measure the clock and begin the delivery."""
        names = [f"v{k}" for k in range(self.n_variables)]
        self.variables = tuple(Variable(k, name, ValueType.FLOAT) for k, name in enumerate(names))
        self.board = BoardState("lab")
        self.now_s = 501.0
        for _ in range(40):
            self._reply()
        config: dict[str, Any] = {"streams": {"all": {"variables": names}}} if self.grouped else {}
        now: Callable[[], float] = lambda: self.now_s  # noqa: E731 - a clock
        notices = Notices(self.sink, now, lambda _name, _text: None)
        prober = Prober(self.board, self.sink, notices, now, lambda: False)
        self.sink.identify(self.board.origin())
        self.board.steps.update(dict.fromkeys(names, 1.0))
        self.delivery = Delivery(
            kind=DeliveryKind.START,
            board=self.board,
            sink=self.sink,
            notices=notices,
            prober=prober,
            surveyor=StepSurveyor(self.board, now, cast("Any", prober.probe)),
            plans=plan_streams(self.variables, parse_settings(config, "test")),
            schedule=Schedule(self.board, now, notices),
        )
        self._tick = self.board.tick // BLOCK_VALUES * BLOCK_VALUES + BLOCK_VALUES
        self.delivery.begin_trackers_at(self._tick)
        self.delivery.streaming_begins()
        self._headers = [encode_header(variable) for variable in self.variables]

    def _reply(self) -> None:
        tick = math.floor((self.now_s + 0.0002 - 500.0) * RATE_HZ / 16) * 16
        listed = VariableList(
            sample_rate_hz=RATE_HZ, tick=tick, tick_granularity=1, variables=self.variables
        )
        self.board.take_reply(ListReply(listed, self.now_s, self.now_s + 0.0004), "many")
        self.now_s += 0.0171

    def next_messages(self) -> tuple[list[bytes], float]:
        """Make the next block of every variable, and the time at which all of them arrive."""
        ticks = self._tick + np.arange(BLOCK_VALUES)
        self._tick += BLOCK_VALUES
        arrived_s = 500.0 + self._tick / RATE_HZ + 0.002
        payload = encode_block(self.variables[0], int(ticks[0]), ticks.astype(np.float32))
        messages = [part for header in self._headers for part in (header, payload)]
        return messages, arrived_s

    def take(self, messages: list[bytes], arrived_s: float) -> None:
        """Give messages to the delivery as the session does."""
        self.now_s = arrived_s
        for message in messages:
            block = self.board.decoder.receive(message)
            if isinstance(block, Block):
                self.delivery.take(block, arrived_s)

    def bursts(self, n_bursts: int) -> Iterator[tuple[list[bytes], float]]:
        """Make some bursts in advance."""
        for _ in range(n_bursts):
            yield self.next_messages()
