"""Times of the Python interface: limits on replies, callbacks and waiting; progress bar."""

from __future__ import annotations

from typing import Final

SESSION_REPLY_S: Final = 30.0
"""For the session to answer; its own time limits are shorter."""
VALUES_MARGIN_S: Final = 60.0
"""For values to come, beyond the time that they take by their rate."""
SCHEDULE_MARGIN_S: Final = 10.0
"""For a schedule to end, beyond its own end."""
PEEK_S: Final = 0.5
"""For the next value of each variable to come, when they are looked at once."""

PROGRESS_DELAY_S: Final = 1.0
"""Before a progress bar is shown."""
PROGRESS_REFRESH_S: Final = 0.2
"""Between two updates of a progress bar."""
PROGRESS_END_S: Final = 1.0
"""For the terminal to take it away."""

CALLBACK_THREAD_START_S: Final = 10.0
"""For the thread of the callbacks to start."""
CALLBACK_S: Final = 1.0
"""For a single call of a callback, at the end of a run."""
CALLBACK_CATCH_UP_S: Final = 5.0
"""For a callback to be called with all that waits, at the end of a run."""
