"""State machine of the simulated Watcher: its variables, clients' commands, and ticks. Pure.

Advance the ticks with :meth:`SimulatedWatcher.advance`, pass clients' messages to
:meth:`SimulatedWatcher.execute`, and send what both return. A command acts, as on the board, at
the first tick of the next audio block.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from bela_module.protocol.block_encoder import encode_header
from bela_module.protocol.variables import Ticks, Variable
from bela_module.simulator import board_json
from bela_module.simulator.sketches.signals import Times
from bela_module.simulator.sketches.sketch import SketchVariable
from bela_module.simulator.time_limits import LOG_REPLY_S
from bela_module.simulator.watcher.simulated_variable import NEVER, SimulatedVariable
from bela_module.simulator.watcher.written_values import Payload

_MAX_MONITOR_PERIOD: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class DataPair:
    """A header and its payload, to be sent to every data client in this order."""

    header: bytes
    payload: Payload


@dataclass(frozen=True, slots=True)
class ControlReply:
    """A reply to be sent to every control client."""

    text: str


class SimulatedWatcher:
    """Runs the variables of a sketch and executes clients' commands.

    ``last_tick`` is the tick that has just happened, -1 before the first one. ``time_of_ticks``
    gives the seconds at which ticks happen, by default at the declared rate. A reply shows the last
    multiple of ``tick_call_step``, the distance of two calls of ``tick()``.
    """

    def __init__(
        self,
        variables: Sequence[SketchVariable],
        *,
        declared_rate_hz: float = 44100.0,
        last_tick: int = -1,
        tick_call_step: int = 1,
        time_of_ticks: Callable[[Ticks], Times] | None = None,
    ) -> None:
        def at_declared_rate(ticks: Ticks) -> Times:
            return ticks / declared_rate_hz

        self._rate_hz = float(np.float32(declared_rate_hz))
        self._tick = last_tick
        self._tick_call_step = tick_call_step
        self._client_active = False
        self._variables = [
            SimulatedVariable(index, spec, time_of_ticks or at_declared_rate)
            for index, spec in enumerate(variables)
        ]
        # With repeated names, commands reach the first one.
        self._by_name = {v.spec.name: v for v in reversed(self._variables)}
        self._headers = [
            encode_header(Variable(v.index, v.spec.name, v.spec.value_type))
            for v in self._variables
        ]
        self._pending: deque[Callable[[int], object]] = deque()
        self._log_replies: deque[tuple[int, str]] = deque()
        self._log_files: dict[str, int] = {}

    # ---- time --------------------------------------------------------------------------------

    @property
    def tick(self) -> int:
        """The last tick."""
        return self._tick

    @property
    def due_tick(self) -> int:
        """The next tick at which something is sent or changes; ``NEVER`` when none is known."""
        if self._pending:
            return self._tick + 1
        due = min((variable.due_tick for variable in self._variables), default=NEVER)
        return min(due, self._log_replies[0][0]) if self._log_replies else due

    def advance(self, to_tick: int) -> list[DataPair | ControlReply]:
        """Run the ticks up to and including one; return what the board sends, in order."""
        if to_tick <= self._tick:
            return []
        self._apply_pending()
        payloads: list[Payload] = []
        for variable in self._variables:
            if variable.due_tick <= to_tick:
                payloads += variable.advance(to_tick)
        self._tick = to_tick
        # Stable: a monitor's value stays before the block that ends at the same assignment.
        payloads.sort(key=self._order)
        sent: list[DataPair | ControlReply] = [
            DataPair(self._headers[p.position], p) for p in payloads
        ]
        while self._log_replies and self._log_replies[0][0] <= to_tick:
            sent.append(ControlReply(self._log_replies.popleft()[1]))
        return sent

    def skip(self, to_tick: int) -> None:
        """Skip the ticks before one."""
        self._catch_up()
        for variable in self._variables:
            variable.skip(to_tick)
        self._tick = max(self._tick, to_tick - 1)

    def find_due(self) -> None:
        """Find again when variables are due, after assignments that nobody could foresee."""
        self._catch_up()
        for variable in self._variables:
            variable.find_due(self._tick + 1)

    def set_assigned(self, assigned: bool, name: str = "") -> None:
        """Stop or resume the assignments of a variable, or of all, after the last tick.

        An unknown name is ignored.
        """
        self._catch_up()
        for variable in self._variables:
            if name in ("", variable.spec.name):
                variable.set_assigned(assigned, self._tick)

    def set_client_active(self, active: bool) -> None:
        """Pause or resume the data at the next tick."""
        self._pending.append(partial(self._set_client_active, active))

    def _set_client_active(self, active: bool, tick: int) -> None:
        if active == self._client_active:
            return
        self._client_active = active
        for variable in self._variables:
            variable.client_active = active
            variable.find_due(tick)

    def _order(self, payload: Payload) -> tuple[int, bool, int]:
        """Return the key by which payloads are sorted: tick, dense before sparse, position."""
        spec = self._variables[payload.position].spec
        return payload.tick, spec.sparse, payload.position

    def _apply_pending(self) -> None:
        if not self._pending:
            return
        self._catch_up()
        while self._pending:
            self._pending.popleft()(self._tick + 1)

    def _catch_up(self) -> None:
        """Run the assignments of variables that were not due, up to the last tick."""
        for variable in self._variables:
            variable.advance(self._tick)

    # ---- commands ----------------------------------------------------------------------------

    def command(self, text: str) -> list[str]:
        """Execute a message of a control client; return the replies to all control clients."""
        root = board_json.parse_message(text)
        return [] if root is None else self.execute(root)

    def execute(self, root: dict[str, Any]) -> list[str]:
        """Execute a parsed message of a control client; return the replies to all of them."""
        replies: list[str] = []
        for entry in board_json.items(root, "watcher"):
            cmd = entry.get("cmd") if isinstance(entry, dict) else None
            match cmd:
                case "list":
                    replies.append(self.list_reply())
                case "set" | "setMask":
                    if not self._set(entry, masked=cmd == "setMask"):
                        break  # the board skips the rest of the message
                case str():
                    self._each_variable(cmd, entry)
        return replies

    def list_reply(self) -> str:
        """Write the reply to ``list`` at the last tick."""
        self._catch_up()
        variables = self.describe()
        tick = max(self._tick - self._tick % self._tick_call_step, 0)
        return board_json.list_reply(self._rate_hz, tick, variables)

    def describe(self) -> list[Variable]:
        """Return all variables as a reply to ``list`` shows them."""
        return [variable.describe(self._tick) for variable in self._variables]

    def has(self, name: str) -> bool:
        """Whether there is a variable of a name."""
        return name in self._by_name

    def find(self, name: str) -> SimulatedVariable:
        """Return the first variable of a name, advanced to the last tick, or raise KeyError."""
        variable = self._by_name[name]
        variable.advance(self._tick)
        return variable

    def _each_variable(self, cmd: str, entry: dict[str, Any]) -> None:
        periods = board_json.items(entry, "periods")
        timestamps = board_json.items(entry, "timestamps")
        durations = board_json.items(entry, "durations")
        later = self._pending.append  # streams start and stop at the next tick
        for n, name in enumerate(board_json.items(entry, "watchers")):
            variable = self._by_name.get(name if isinstance(name, str) else "")
            if variable is None:
                continue
            tick = board_json.unsigned(timestamps[n]) if n < len(timestamps) else 0
            duration = board_json.unsigned(durations[n]) if n < len(durations) else 0
            match cmd:
                case "watch":
                    later(partial(variable.start, variable.watch, tick, duration))
                case "unwatch":
                    later(partial(variable.stop, variable.watch, tick))
                case "log" if not variable.log.streaming:
                    variable.log_file_name = self._new_log_file(variable.spec.name)
                    later(partial(self._start_log, variable, tick, duration))
                case "unlog":
                    later(partial(variable.stop, variable.log, tick))
                case "monitor" if n < len(periods):
                    period = min(board_json.unsigned(periods[n]), _MAX_MONITOR_PERIOD)
                    variable.advance(self._tick)
                    variable.monitor(period, self._tick + 1)
                case "monitor":
                    return
                case "control" | "uncontrol":
                    variable.set_control(cmd == "control", self._tick)

    def _start_log(
        self, variable: SimulatedVariable, tick: int, duration: int, now_tick: int
    ) -> None:
        start = variable.start(variable.log, tick, duration, now_tick)
        name, file_name = variable.spec.name, variable.log_file_name
        text = board_json.log_reply(name, file_name, start, variable.log.end_tick)
        self._log_replies.append((now_tick + round(LOG_REPLY_S * self._rate_hz), text))

    def _set(self, entry: dict[str, Any], *, masked: bool) -> bool:
        names = board_json.items(entry, "watchers")
        values = board_json.items(entry, "values")
        masks = board_json.items(entry, "masks")
        if len(names) != len(values):
            return False
        for n, (name, value) in enumerate(zip(names, values, strict=True)):
            variable = self._by_name.get(name if isinstance(name, str) else "")
            if variable is None:
                continue
            if not masked:
                variable.set_value(board_json.number(value))
            elif n < len(masks):
                mask = board_json.unsigned(masks[n])
                variable.set_masked(board_json.unsigned(value), mask)
        return True

    def _new_log_file(self, name: str) -> str:
        """Return the name of the next file: ``pot.bin``, ``pot+0.bin``, ``pot+1.bin``, ..."""
        count = self._log_files.get(name, 0)
        self._log_files[name] = count + 1
        return f"{name}.bin" if count == 0 else f"{name}+{count - 1}.bin"
