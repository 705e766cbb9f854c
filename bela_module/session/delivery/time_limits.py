"""Times of a delivery: leads, limits on last blocks, surveys of steps and the watchdog."""

from __future__ import annotations

from typing import Final

COMMAND_LEAD_S: Final = 0.05
"""A command for a tick this far ahead reaches the board in time."""
LAST_BLOCK_S: Final = 0.3
"""After the end of a stream, for its last block to arrive."""
BACKLOG_S: Final = 3.0
"""For blocks that wait to be read on a busy computer, while more of them keep coming."""
HURRIED_LAST_BLOCK_S: Final = 0.12
"""The same at the end of the process, which is killed a second after it was told to end."""
UNWATCH_BEFORE_START_S: Final = 0.4
"""For the board to end what earlier clients left watched."""
UNWATCH_AT_END_S: Final = 0.3
"""For the board to confirm that it ended our watches."""
STEP_FROM_BLOCKS_S: Final = 0.3
"""For the step of a dense variable to show in its blocks; its stream is irregular otherwise."""
STEP_FROM_RECORDED_BLOCKS_S: Final = 3.0
"""The same for a recording, which answers no survey and may begin with a pause."""
CLOCK_POLL_S: Final = 0.1
"""For the clock to become known, between two looks at streams that wait for it."""
OUTLETS_OPEN_S: Final = 3.0
"""For LSL to create the outlets of all streams; a few milliseconds each."""
WINDOW_OPENS_S: Final = 0.1
"""After the start of a window, for its variables to show as watched."""
END_TICK_S: Final = 0.15
"""For the board to get to a tick at which something begins or ends."""
END_LOOK_S: Final = 0.01
"""Between two questions, until that tick, whether somebody else has ended a watch before it."""
LATE_BLOCK_S: Final = 0.1
"""For blocks that come after the reply which says that nothing is watched."""
POLL_S: Final = 0.005

# ---- single values and blocks ----------------------------------------------------------------
RATE_WINDOW_S: Final = 0.5
"""Over which the rate of single values is measured."""
LATE_START_S: Final = 0.1
"""After the start, for the first value of a variable that is assigned all the time."""
SIEVE_PERIOD_S: Final = 0.0015
"""Of a coarse monitor: what is nearly as often comes more than 500 times a second."""
SINGLE_AGAIN_S: Final = 5.0
"""Before a stream that was too fast may come singly again; doubled each time."""
SINGLE_HEARD_S: Final = 0.5
"""Since the last message of the board, for a stream to change to single values."""
SLOW_BLOCK_S: Final = 1.0
"""Since the last block of a variable, for it to be looked at whether single values suit it."""
STEADY_LOOK_S: Final = 0.25
"""Between two looks at a delivery of which nothing is under way."""
UNHEARD_S: Final = 1.0
"""Since the last message of the board, to ask for single values of what seems assigned."""
SCHEDULED_SINGLE_LEAD_S: Final = 0.5
"""Before the start of a window, for the board to send its single values."""
FOREIGN_PERIOD_S: Final = 0.5
"""For our own monitor to show in a list, before another period is another client's."""

# ---- the survey of steps ---------------------------------------------------------------------
FIRST_VALUE_S: Final = 0.15
"""For the first value of a survey: a monitor's first message comes at once."""
SECOND_VALUE_S: Final = 0.5
HURRIED_SURVEY_S: Final = 0.25
"""For the steps that decide on nominal rates: outlets must be found within a second."""
SHARED_SURVEY_S: Final = 1.0
"""For steps that decide which variables share a stream, while values come."""
LONGEST_SURVEY_S: Final = 2.0

COUNTED_S: Final = 0.05
"""For the blocks of a count of values to arrive."""
BLOCK_SURVEY_S: Final = 0.3
"""For the steps that show in blocks, where no monitor may be used."""
SURVEYED_UNWATCH_S: Final = 0.3
"""For the board to end the watches of such a survey."""

# ---- the watchdog ----------------------------------------------------------------------------
TICKS_STAND_STILL_S: Final = 1.5
NO_DATA_S: Final = 1.5
WATCH_IGNORED_S: Final = 2.0
"""For a watch to show in a list."""
ASK_AGAIN_S: Final = 5.0
"""Between two times that something is asked for once more."""
VALUE_OVERDUE_S: Final = 0.5
"""After a list has shown a new value, for that value to come."""
RECONNECT_IF_DEAF_S: Final = 3.0
LOOK_STALL_S: Final = 1.0
"""Between two looks: longer means that this process or the network stood still."""
