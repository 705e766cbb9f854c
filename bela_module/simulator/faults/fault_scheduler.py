"""Applies faults to a simulated board: to messages as they leave, to the board when due."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from bela_module.simulator.faults.fault_list import Fault
from bela_module.simulator.faults.fault_target import FaultTarget
from bela_module.simulator.faults.message_faults import MessageFault, MessageFaultInjector
from bela_module.simulator.faults.timed_faults import TimedFault


class FaultScheduler:
    """The faults of one board; used in its event loop."""

    def __init__(self, target: FaultTarget, random: np.random.Generator) -> None:
        self.messages = MessageFaultInjector(random)
        self._target = target
        self._awaiting_client: list[TimedFault] = []

    def add(self, faults: Sequence[Fault], *, await_client: bool) -> None:
        """Apply faults from now on; or timed ones from :meth:`on_client_ready` on."""
        for fault in faults:
            match fault:
                case MessageFault():
                    self.messages.arm(fault)
                case TimedFault() if await_client:
                    self._awaiting_client.append(fault)
                case TimedFault():
                    self._schedule(fault, fault.at_s)

    def on_client_ready(self) -> None:
        """Start the times of the faults that wait for a client."""
        for fault in self._awaiting_client:
            self._schedule(fault, fault.at_s)
        self._awaiting_client.clear()

    def _schedule(self, fault: TimedFault, delay_s: float) -> None:
        self._target.call_later(delay_s, partial(self._apply, fault))

    def _apply(self, fault: TimedFault) -> None:
        fault.apply(self._target)
        if fault.every_s:
            self._schedule(fault, fault.every_s)
