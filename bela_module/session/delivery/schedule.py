"""Course of a schedule: marks ``schedule_started``; whether it is over, late or void."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from bela_module.session.board.board_state import BoardState
from bela_module.session.delivery.schedule_windows import Windows
from bela_module.session.delivery.time_limits import LAST_BLOCK_S, WINDOW_OPENS_S
from bela_module.session.notices import Notices


@dataclass(slots=True)
class Schedule:
    """Follows the windows of a SCHEDULE by the board's clock; START and MONITOR have none.

    Parameters
    ----------
    board : BoardState
        Its clock.
    now : callable
        LSL seconds.
    notices : Notices
        Are told that the schedule has begun.
    windows : Windows
        When each variable streams.
    """

    board: BoardState
    now: Callable[[], float]
    notices: Notices
    windows: Windows = field(default_factory=Windows)
    is_announced: bool = False
    """Whether its beginning was told."""
    is_void: bool = False
    """Whether the board restarted, so that its ticks will not come."""

    @property
    def first_s(self) -> float:
        """When it begins, in LSL seconds."""
        return self.board.time_at(self.windows.first_tick)

    @property
    def last_s(self) -> float:
        """When it ends."""
        return self.board.time_at(self.windows.last_tick)

    @property
    def has_begun(self) -> bool:
        """Whether the board may have begun by now; without windows it has."""
        return not (self.windows and self.board.ready) or self.now() >= self.first_s

    @property
    def is_over(self) -> bool:
        """Whether the board has come to the end of all windows."""
        return bool(self.windows) and self.board.tick >= self.windows.last_tick

    @property
    def is_late(self) -> bool:
        """Whether it is over, and its last blocks should have come by now."""
        return self.is_over and self.now() > self.last_s + LAST_BLOCK_S

    def is_due(self, name: str) -> bool:
        """Tell whether something of a variable should come now, for all that is known."""
        window = self.windows.get(name)
        if window is None:
            return True
        rate_hz = self.board.clock.tick_rate_hz if self.board.clock is not None else math.nan
        opening_ticks = WINDOW_OPENS_S * rate_hz
        return window.first_tick + opening_ticks < self.board.tick < window.last_tick

    def announce(self) -> None:
        """Tell that it has begun, once, as soon as it has."""
        if self.is_announced or not self.windows or not self.board.ready:
            return
        if self.now() >= self.first_s:
            self.is_announced = True
            self.notices.mark("schedule_started", self.first_s)
