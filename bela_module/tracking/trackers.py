"""The choice of a variable's tracker. Pure, no I/O.

:func:`tracker_for` makes the tracker of a variable. It turns blocks, in order of arrival, into
runs of values with exact ticks, and gaps with the number of values that are missing.
"""

from __future__ import annotations

from bela_module.protocol.variables import Variable
from bela_module.tracking.prompt_dense import PromptDenseTracker
from bela_module.tracking.prompt_sparse import PromptSparseTracker
from bela_module.tracking.regular_ticks import RegularTicks
from bela_module.tracking.runs import Tracker
from bela_module.tracking.sparse_tracker import MonitorTracker


def tracker_for(
    variable: Variable, *, monitor: bool = False, ticks: RegularTicks | None = None
) -> Tracker:
    """Make the tracker for what START or SCHEDULE stream, or for what MONITOR does.

    Parameters
    ----------
    variable : Variable
        Whose blocks it will take.
    monitor : bool
        Whether MONITOR streams it.
    ticks : RegularTicks, optional
        Gives the ticks of regular blocks; to be shared by trackers of one board.
    """
    if monitor:
        return MonitorTracker(variable)
    return PromptSparseTracker(variable) if variable.sparse else PromptDenseTracker(variable, ticks)
