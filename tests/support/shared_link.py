"""A board that other clients ask, too, in synthetic time: their replies come to us as well.

The board's sockets use Nagle's algorithm: a reply or a pong waits there while an earlier one is not
acknowledged, which the client delays by 40 ms unless it sends something, or acknowledges quickly.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.support.synthetic_clock import Event, SyntheticLink

_DELAYED_ACK_S = 0.04
_LOOP_PERIOD_S = 0.1  # until a session asks again when to probe
_OTHERS_ASK_S = 10.0  # since a reply to them
_PONG = -1  # among ticks


@dataclass
class SharedLink(SyntheticLink):
    """A link of which `foreign_s`, seconds since the first probe, are requests of other clients."""

    foreign_s: Sequence[float] = ()
    foreign_lists: Callable[[int], int] = lambda _: 1
    """How many lists a message of theirs asks for, by its number."""
    acknowledges_quickly: bool = False
    confirm: Callable[[], object] = lambda: None
    """Called after a proven probe, while no others ask."""
    on_others: Callable[[], object] = lambda: None
    """Called before a probe, and after one, while others ask."""
    n_foreign: int = field(default=0, init=False)
    """Replies that were not taken for ours."""

    def play(self, duration_s: float, next_probe_in_s: Callable[[], float]) -> Iterator[Event]:
        """Yield what arrives, as the sockets deliver it."""
        yield from _Play(self, duration_s, next_probe_in_s).run()


class _Play:
    """One run of a shared link: the queue of what happens next."""

    def __init__(
        self, link: SharedLink, duration_s: float, next_probe_in_s: Callable[[], float]
    ) -> None:
        self.link = link
        self.next_probe_in_s = next_probe_in_s
        self.start_s = link.start_s + 1.0
        self.end_s = self.start_s + duration_s
        self.heap: list[tuple[float, int, str, Any]] = []
        self.count = 0
        self.waiting: list[int] = []  # ticks of replies, and pongs, that wait on the board
        self.unacknowledged = False
        self.ack_number = 0
        self.pending: tuple[float, bool] | None = None  # when sent, and whether a pong is to come
        self.newest: tuple[int, float] | None = None  # reply since then, and when it came
        self.send_number = 0
        self.next_send_s = np.inf
        self.last_arrival_s = 0.0
        self.heard_s = -np.inf  # when a reply to others came
        self.others: list[Event] = []  # those replies

    def at(self, time_s: float, what: str, value: Any = None) -> None:
        self.count += 1
        heapq.heappush(self.heap, (time_s, self.count, what, value))

    def run(self) -> Iterator[Event]:
        link = self.link
        blocks = link._blocks()
        self.at(self.start_s, "send", 0)
        for number, foreign_s in enumerate(link.foreign_s):
            self.at(self.start_s + foreign_s, "foreign", link.foreign_lists(number))
        if (block := next(blocks, None)) is not None:
            self.at(block.at_s, "block", block)
        while self.heap:
            now_s, _, what, value = heapq.heappop(self.heap)
            if now_s > self.end_s:
                return
            if what == "block":
                yield value
                if (block := next(blocks, None)) is not None:
                    self.at(block.at_s, "block", block)
                if self.pending is None:
                    self.send_at(now_s + _LOOP_PERIOD_S + self.next_probe_in_s(), earlier=True)
            elif what == "send" and value == self.send_number and self.pending is None:
                proven = self.others_ask(now_s) or link.proves()
                self.pending, self.newest = (now_s, proven), None
                arrives_s = link.arrives_s(now_s, link.base_there_s)
                self.at(arrives_s, "request", (proven, self.ack_number))
            elif what == "foreign":
                for _ in range(value):
                    self.reply(now_s)
            elif what == "request":
                proven, ack_number = value
                self.acknowledged(now_s, ack_number)
                self.reply(now_s)
                if proven:
                    self.to_client(now_s, _PONG)
            elif what == "ack":
                self.acknowledged(now_s, value)
            elif what == "deliver":
                yield from self.delivered(now_s, value)

    def send_at(self, time_s: float, *, earlier: bool = False) -> None:
        if earlier and time_s >= self.next_send_s:
            return
        self.next_send_s = time_s
        self.send_number += 1
        self.at(time_s, "send", self.send_number)

    def others_ask(self, now_s: float) -> bool:
        ask = now_s < self.heard_s + _OTHERS_ASK_S
        if ask:
            self.link.on_others()
        return ask

    def reply(self, now_s: float) -> None:
        self.to_client(now_s, self.link.tick_by(now_s))

    def to_client(self, now_s: float, message: int) -> None:
        self.waiting.append(message)
        if not self.unacknowledged:
            self.flush(now_s)

    def flush(self, now_s: float) -> None:
        if not self.waiting:
            return
        arrives_s = max(self.last_arrival_s, self.link.arrives_s(now_s, self.link.base_back_s))
        self.last_arrival_s = arrives_s
        self.at(arrives_s, "deliver", self.waiting)
        self.waiting = []
        self.unacknowledged = True

    def acknowledged(self, now_s: float, ack_number: int) -> None:
        if ack_number == self.ack_number and self.unacknowledged and ack_number:
            self.ack_number = 0
            self.unacknowledged = False
            self.flush(now_s)

    def delivered(self, now_s: float, messages: Sequence[int]) -> Iterator[Event]:
        link = self.link
        self.count += 1
        self.ack_number = self.count
        quickly = 0.0 if link.acknowledges_quickly else _DELAYED_ACK_S
        self.at(link.arrives_s(now_s + quickly, link.base_there_s), "ack", self.ack_number)
        for message in messages:
            if message != _PONG:
                if self.pending is None or self.newest is not None:
                    link.n_foreign += 1
                    self.heard_s = now_s
                    self.others.append(Event(now_s, np.nan, message, is_block=False))
                if self.pending is not None:
                    self.newest = message, now_s
            if self.pending is None or self.newest is None:
                continue
            sent_s, proven = self.pending
            if proven == (message == _PONG):
                tick, at_s = self.newest
                self.pending = None
                yield from self.others
                self.others.clear()
                yield Event(at_s, sent_s, tick, is_proven=proven)
                if not self.others_ask(now_s) and proven:
                    link.confirm()
                self.send_at(max(now_s, at_s + self.next_probe_in_s()))
