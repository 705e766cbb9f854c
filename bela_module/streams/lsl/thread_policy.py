"""Scheduling of LSL's threads: they do not interrupt the thread that pushes (on Linux)."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def become_batch_thread() -> None:
    """Let this thread, and those that it creates from now on, preempt no other when they wake up.

    LSL wakes the sending thread of an outlet with each sample that is pushed, 1024 times a block.
    Where both share a core, each time is a switch to the sending thread and back, some 36 a block
    on two cores. Threads of the policy ``SCHED_BATCH`` wait for a free core, or for the others'
    time slice to end; new threads inherit the policy of the one that creates them (``man 7
    sched``). LSL has no setting for it.

    Another policy than the default one is left as it is: somebody has chosen it.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # it is forbidden in some containers
            if os.sched_getscheduler(0) == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
