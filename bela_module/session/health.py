"""Periodic health checks: silence, standstills, jumps of the ticks, counts of bad messages."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bela_module.connection.board_client import BoardClient
from bela_module.errors import NoReplyError
from bela_module.session import recovery
from bela_module.session.delivery.delivery import Delivery
from bela_module.session.delivery.diagnosis import diagnose, mend
from bela_module.session.delivery.watchdog import Cause, Finding
from bela_module.session.runtime import Runtime
from bela_module.session.status import count_bad_frames, others_on_board
from bela_module.session.time_limits import (
    HEALTH_PERIOD_S,
    PROCESS_STANDSTILL_S,
    QUIET_BOARD_S,
)
from bela_module.validation import named

logger = logging.getLogger(__name__)

_ADVICE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "controlled": (
            "; RELEASE, or in Python Controller.stop_controlling, gives it back to the sketch"
        ),
    }
)
"""What to do about it: START itself takes over what it streams."""

_MAX_UNANSWERED = 3  # while data still comes


@dataclass(slots=True)
class HealthMonitor:
    """Watches over a session: replies, silence, standstills, jumps of the ticks.

    Parameters
    ----------
    runtime : Runtime
        The session.
    """

    runtime: Runtime
    _unanswered: int = 0
    _refreshed_s: float = 0.0
    _told_jumps: tuple[int, int] = (0, 0)

    def start(self) -> None:
        """Begin to measure standstills of this process."""
        self._refreshed_s = self.runtime.now()

    def connected(self) -> None:
        """Begin with a new connection."""
        self._unanswered = 0

    def report_others(self) -> None:
        """Log what others have left on the board, once for each connection."""
        for what, names in others_on_board(self.runtime).items():
            if names:
                text = f"{what} already, and left as it is: {named(names)}{_ADVICE.get(what, '')}"
                logger.warning("%s", text)

    # ---- with each reply ------------------------------------------------------------------

    async def check(self, client: BoardClient) -> None:
        """Probe, and deal with what the reply says of the board and of our watches.

        Raises
        ------
        BoardError
            When the connection is of no more use.
        """
        runtime = self.runtime
        try:
            await runtime.prober.probe(client)
        except NoReplyError as error:
            self._unanswered += 1
            silent_s = runtime.now() - client.last_received_s
            alive = silent_s < runtime.settings.board.reply_timeout_s
            if not alive or self._unanswered >= _MAX_UNANSWERED:
                raise
            if runtime.running:
                self.report(problems=[Finding(Cause.UNANSWERED)])
            logger.debug("%s", error)
            return
        self._unanswered = 0
        recovery.check_control(runtime)
        if runtime.prober.restart_pending or not runtime.running:
            return
        heard_s = max(delivery.router.heard_s for delivery in runtime.running)
        # What stands at the end of a schedule stays as it is: nothing is due any more.
        unfinished = [delivery for delivery in runtime.running if not delivery.schedule.is_over]
        diagnoses = [(delivery, diagnose(delivery, heard_s)) for delivery in unfinished]
        self.report(diagnoses)
        for delivery, findings in diagnoses:
            await mend(delivery, client, findings)

    def report(
        self,
        diagnoses: Iterable[tuple[Delivery, Sequence[Finding]]] = (),
        *,
        problems: Iterable[Finding] = (),
    ) -> None:
        """Tell each diagnosis once, as long as it stands.

        Parameters
        ----------
        diagnoses : iterable of (Delivery, sequence of Finding)
            What is wrong with each delivery that was checked.
        problems : iterable of Finding
            What is wrong with the connection.
        """
        runtime = self.runtime
        before = runtime.problems
        runtime.connection_problems = tuple(str(finding) for finding in problems)
        for delivery, findings in diagnoses:
            delivery.problems = tuple(str(finding) for finding in findings)
        for problem in runtime.problems:
            if problem not in before:
                runtime.notices.tell(problem)
        if before and not runtime.problems:
            logger.info("all comes as it should again")
        if before != runtime.problems:
            runtime.status_changed()

    # ---- without a reply ------------------------------------------------------------------

    def refresh(self) -> None:
        """Check what needs no reply, some times a second: silence, counts and losses."""
        runtime = self.runtime
        now_s = runtime.now()
        stood_still_s = now_s - self._refreshed_s - HEALTH_PERIOD_S
        self._refreshed_s = now_s
        if stood_still_s > PROCESS_STANDSTILL_S:
            runtime.notices.tell(f"this computer or process stood still for {stood_still_s:.1f} s")
        else:
            self._check_silence(now_s)
        runtime.notices.count(irregularities(runtime))
        self._tell_tick_jump()
        runtime.notices.flush()

    def _check_silence(self, now_s: float) -> None:
        """Tell that nothing comes, neither data nor replies, before that ends the connection."""
        runtime, client = self.runtime, self.runtime.client
        was_quiet, runtime.is_quiet = runtime.is_quiet, False
        if client is not None and runtime.is_connected and runtime.running:
            runtime.is_quiet = now_s - client.last_received_s > QUIET_BOARD_S
        if runtime.is_quiet and not was_quiet:
            runtime.notices.tell(Cause.QUIET.value)

    def _tell_tick_jump(self) -> None:
        """Tell that the ticks have paused or skipped some, once for each time."""
        clock = self.runtime.board.clock
        jumps = (clock.generation, clock.discontinuities) if clock is not None else (0, 0)
        if clock is not None and jumps[1] and jumps != self._told_jumps:
            what = "paused for" if clock.last_jump_s > 0 else "skipped"
            self.runtime.notices.tell(f"the board's ticks {what} {abs(clock.last_jump_s):.4f} s")
        self._told_jumps = jumps


def irregularities(runtime: Runtime) -> dict[str, int]:
    """Count messages that were bad, incomplete or repeated, by names for people."""
    board = runtime.board
    decoded = board.decoder.counters
    return {
        "bad frames": count_bad_frames(runtime),
        "orphan headers": decoded.orphan_headers,
        "orphan payloads": decoded.orphan_payloads,
        "repeated values": board.counters.repeated_values,
    }
