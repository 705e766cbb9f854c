"""``Watcher``: the variables of a board, for scripts that stream, monitor and set nothing."""

from __future__ import annotations

from bela_module.scripting.live_board import LiveBoard


class Watcher(LiveBoard):
    """Asks a board for its variables, its project, its rates and the present tick."""
