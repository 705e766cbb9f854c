"""Times of a session: reconnecting, idle probes, limits on commands, shutdown, health."""

from __future__ import annotations

from typing import Final

# ---- connecting ------------------------------------------------------------------------------
RECONNECT_PAUSE_S: Final = (0.1, 5.0)
"""Shortest and longest pause between two attempts to connect."""
CLEANING_RECONNECT_PAUSE_S: Final = 1.0
"""Longest such pause while something is left to be ended on the board."""
CLEANING_S: Final = 10.0
"""For how long to connect just to end what was left on the board."""
STABLE_CONNECTION_S: Final = 1.0
"""A connection that lasts so long was a good one."""
IDLE_PROBE_S: Final = 5.0
"""Between two probes of a settled clock while nothing is asked for."""
FRESH_LIST_S: Final = 1.0
"""Oldest list on which a command is based."""
UNUSED_DATA_S: Final = 5.0
"""For the data websocket to stay open when nothing streams any more."""
LOOP_PERIOD_S: Final = 0.1
"""Longest wait between two looks at what streams."""

# ---- beginning and ending --------------------------------------------------------------------
CLOCK_READY_S: Final = 0.35
"""For the clock to be measured before streams begin."""
SCHEDULE_CLOCK_READY_S: Final = 2.0
"""The same before a schedule, which cannot do without it."""
SCHEDULE_LEAD_S: Final = 0.1
"""A schedule begins no earlier than this after it was asked for."""
COMMAND_CONFIRM_S: Final = 1.0
"""For the board to confirm control, a value that was set, or the end of a watch."""
OTHERS_HEARD_S: Final = 0.5
"""For a value to come of what is watched, before that is taken for left over."""
HURRIED_SCHEDULE_S: Final = 0.5
"""Before the start of a schedule, beside that: for its outlets, and for the board to be told."""
OTHERS_LOOK_S: Final = 0.05
"""Between two looks at what others watch."""
FILES_OPEN_S: Final = 0.5
"""For the disk to open the files of a recording."""
RECONNECT_FOR_STOP_S: Final = 0.8
"""For a board that was just lost to come back, before STOP goes on without it."""
OUTLETS_VISIBLE_S: Final = 5.0
"""For LSL to look for streams of the same identity and to create the outlets."""
OUTLET_POLL_S: Final = 0.005
STOP_POLL_S: Final = 0.02
OUTLET_LINGER_S: Final = 0.1
"""An outlet that ends takes along what it has not sent yet."""

# ---- inputs ----------------------------------------------------------------------------------
ECHO_S: Final = 10.0
"""For the echo of a command to come; in blocks of a slow variable it takes its time."""
LATE_ECHO_S: Final = 2.0
"""For an echo that later ones have overtaken to come, before its command is told as lost."""
INPUT_LEAVE_S: Final = 0.5
"""For inputs to send their last word at the end of the session."""
INPUT_THREAD_END_S: Final = 1.0
"""For the thread of an input to end."""

# ---- the end of the session ------------------------------------------------------------------
SHUTDOWN_S: Final = 4.2
"""For all of the shutdown: callers of ``Session.close`` wait for 5 s."""
SHUTDOWN_ANSWER_S: Final = 1.0
"""For a job that is under way when the shutdown begins."""
SHUTDOWN_STEP_S: Final = 2.0
"""For each attempt to leave the board clean."""
SHUTDOWN_CONNECT_S: Final = 0.6
"""For one of several attempts to connect at the shutdown."""
SHUTDOWN_PAUSE_S: Final = 0.1
"""Between two of them."""
DEFECT_CLEANING_S: Final = 2.0
"""For cleaning the board up after a defect."""
THREAD_START_S: Final = 10.0
"""For the session's thread to begin."""
REMAINING_TASKS_S: Final = 0.1
"""For tasks that are left when the driver has ended."""

# ---- health ----------------------------------------------------------------------------------
HEALTH_PERIOD_S: Final = 0.25
IDLE_HEALTH_PERIOD_S: Final = 1.0
"""The same while nothing is asked for."""
STATUS_FRESH_S: Final = 0.05
"""A STATUS so old is given to who asks; an older one is built again."""
STATUS_WAIT_S: Final = 0.02
"""For the session's thread to build it, before an older one is given; `UP` waits as long."""
STATUS_KEPT_S: Final = 2.0
"""Age at which it is built again when nobody asks."""
DELAYED_ACKNOWLEDGEMENT_S: Final = 0.05
"""For which the board may hold back a reply until this computer acknowledges an earlier one."""
QUIET_BOARD_S: Final = 1.0
"""Without any message from the board, before that is told."""
PROCESS_STANDSTILL_S: Final = 2.0
"""A standstill of this process that is told; a busy computer takes less."""
CLOCK_SAMPLE_PERIOD_S: Final = 1.0
"""Between two samples of the stream that tells of the clock."""
